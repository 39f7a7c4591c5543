"""Remove Airflow's old log files, and old runs from its database by its own `airflow db clean`."""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recjobs.adapters import airflow_database
from recjobs.adapters.postgres_programs import with_driver
from recjobs.config import Settings, load_settings
from recjobs.operations.other_databases import other_databases

_DAY = 86_400


def run(dry_run: bool = False) -> dict[str, Any]:
    """Remove what is older than RECJOBS_AIRFLOW_LOG_DAYS and RECJOBS_AIRFLOW_DAYS; a second time changes nothing.

    What still runs stays, and so does the latest run of each DAG. `left_out` says why the database was not reached.
    Raises SystemAway if `airflow db clean` fails. dry_run: only count files, and let Airflow say what it would remove.
    """
    settings = load_settings()
    files, n_bytes = _clean_logs(log_folder(settings), time.time() - settings.airflow_log_days * _DAY, dry_run)
    result: dict[str, Any] = {"dry_run": dry_run, "log_files": files, "bytes": n_bytes}
    database = other_databases(settings)[1]
    if reason := database.reason_left_out():
        return result | {"left_out": f"Airflow's database ({reason})"}
    before = datetime.now(UTC) - timedelta(days=settings.airflow_days)
    airflow_database.clean(with_driver(database.url), before, dry_run)
    return result | {"rows_before": f"{before:%Y-%m-%d}"}


def log_folder(settings: Settings) -> Path:
    """Where Airflow's log files are."""
    return settings.airflow_logs or settings.state / "airflow" / "logs"


def _clean_logs(folder: Path, before: float, dry_run: bool) -> tuple[int, int]:
    """How many files that were last written to before a time (in seconds since 1970) were removed, and their bytes.

    Folders that were as old, and are empty then, go as well. Links are not followed.
    """
    n_files = n_bytes = 0
    try:
        entries = [(entry, entry.stat(follow_symlinks=False)) for entry in os.scandir(folder)]
    except FileNotFoundError:  # there is none yet, or Airflow, or another cleaning, was faster
        return 0, 0
    for entry, found in entries:
        if entry.is_dir(follow_symlinks=False):
            below = _clean_logs(Path(entry.path), before, dry_run)
            n_files, n_bytes = n_files + below[0], n_bytes + below[1]
        is_old = found.st_mtime < before
        if is_old and entry.is_dir(follow_symlinks=False) and not dry_run:
            with suppress(OSError):  # it is not empty, or gone
                os.rmdir(entry.path)
        elif is_old and not entry.is_dir(follow_symlinks=False):
            if not dry_run:
                Path(entry.path).unlink(missing_ok=True)
            n_files, n_bytes = n_files + 1, n_bytes + found.st_size
    return n_files, n_bytes
