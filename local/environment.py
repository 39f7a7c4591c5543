"""The environment that the platform's programs are started with.

Secrets reach a program by its environment or by a file of mode 0600, never by its arguments: those are for all to see.
"""

import os
from collections.abc import Mapping

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
"""Nothing is reported to anybody."""

ONE_THREAD_EACH = {"OPENBLAS_NUM_THREADS": "1"}
"""implicit has its own threads; BLAS threads below them only get in each other's way."""

DATABASE_URLS = ("RECJOBS_DATABASE_URL", "RECJOBS_OWNER_URL", "RECJOBS_LOADER_URL", "RECJOBS_PUBLISHER_URL")


def inherited() -> dict[str, str]:
    """Return the caller's environment, kept from sending what is meant for this machine to a proxy."""
    ours = dict(os.environ)
    for name in ("NO_PROXY", "no_proxy"):
        ours[name] = ",".join(filter(None, [ours.get(name), "127.0.0.1", "localhost"]))
    return ours | QUIET | ONE_THREAD_EACH


def without_write_access(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` less the database URLs that can change anything."""
    return {name: value for name, value in environment.items() if name not in DATABASE_URLS}


def of_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of `environment` may change how our programs behave, and nothing that changes from shell to shell."""
    prefixes = ("RECJOBS_", "AIRFLOW", "MLFLOW_", "STATSD_", "WEBAPP_", "OPENBLAS_", "OMP_", "NO_PROXY")
    return {name: value for name, value in environment.items() if name.startswith(prefixes)}
