"""The environment of the platform's programs.

Secrets are passed in the environment or a file of mode 0600, never as arguments, which every user can read.
"""

import os
from collections.abc import Mapping

OVERRIDES = {
    # no telemetry
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "OPENBLAS_NUM_THREADS": "1",  # implicit has its own threads, which more threads of BLAS slow down
}

DATABASE_URLS = ("RECJOBS_DATABASE_URL", "RECJOBS_OWNER_URL", "RECJOBS_LOADER_URL", "RECJOBS_PUBLISHER_URL")


def inherited() -> dict[str, str]:
    """Return the caller's environment, without a proxy for this machine and with `OVERRIDES`."""
    environment = dict(os.environ)
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, [environment.get(name), "127.0.0.1", "localhost"]))
    return environment | OVERRIDES


def without_write_access(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` less the database URLs that can change anything."""
    return {name: value for name, value in environment.items() if name not in DATABASE_URLS}


def of_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that configure our programs, none that differ from shell to shell."""
    prefixes = ("RECJOBS_", "AIRFLOW", "MLFLOW_", "STATSD_", "WEBAPP_", "OPENBLAS_", "OMP_", "NO_PROXY")
    return {name: value for name, value in environment.items() if name.startswith(prefixes)}
