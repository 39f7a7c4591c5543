"""Programs of Debian packages that tests run."""

import os
import shutil

import pytest

PACKAGES = {
    "promtool": "prometheus", "prometheus": "prometheus", "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager", "collectd": "collectd-core libprotobuf-c1 libmicrohttpd12",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter", "openssl": "openssl",
}  # fmt: skip
"""The packages of each program. .ci/run installs those of `make test`; `make soak` needs all."""


def needed(program: str) -> str:
    """Return where a program is. Without it the test is skipped, or fails where CI promises it."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        missing = f"needs {program}: apt-get install {PACKAGES[program]}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found
