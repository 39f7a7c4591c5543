"""Airflow's own command that removes old rows from its database."""

import os
import subprocess
import sys
from datetime import datetime

from recjobs.errors import SystemAway

_CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_OLD_CONNECTION = "AIRFLOW__CORE__SQL_ALCHEMY_CONN"


def clean(url: str, before: datetime, dry_run: bool) -> None:
    """Remove what is older; what still runs stays, and so does the latest run of each DAG.

    url: as SQLAlchemy reads it. Raises SystemAway with the command's own last line if it fails.
    """
    command = [sys.executable, "-P", "-m", "airflow", "db", "clean", "--clean-before-timestamp", before.isoformat()]
    command += ["--skip-archive", "--yes", *(["--dry-run"] if dry_run else [])]
    # The password is not among its arguments, which every user of the machine can read. In a task both variables name
    # a database that is none.
    environment = {name: value for name, value in os.environ.items() if name != _OLD_CONNECTION} | {_CONNECTION: url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - Airflow's
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise SystemAway(f"`airflow db clean` failed ({said[-1]}); see to RECJOBS_AIRFLOW_DATABASE_URL")
