"""How old the oldest is of everything that grows, beside the setting by which it goes."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recjobs.adapters.exported_files import exported
from recjobs.adapters.postgres import Database
from recjobs.catalog.names import CatalogName
from recjobs.config import Settings, without_secrets
from recjobs.night.catalogs import schemas
from recjobs.night.database import database
from recjobs.operations.clean_airflow import log_folder
from recjobs.operations.other_databases import other_databases

_BACKUP = re.compile(r"\d{8}T\d{6}Z")


def run(settings: Settings) -> list[dict[str, Any]]:
    """A row for each thing that grows: `what`, `oldest` (None: there is none), `setting`, and `days` that it allows
    (None: another rule, which `setting` names). `error` if it cannot be asked."""
    mlflow, airflow = other_databases(settings)
    looks: list[tuple[str, str, int | None, Callable[[], datetime | None]]] = [
        ("MLflow's runs", "keep.mlflow_days", None, _of(mlflow)),
        ("Airflow's runs", "RECJOBS_AIRFLOW_DAYS", settings.airflow_days, _of(airflow)),
        (
            "Airflow's logs", "RECJOBS_AIRFLOW_LOG_DAYS", settings.airflow_log_days,
            lambda: _oldest_file(log_folder(settings)),
        ),
        ("the audit", "RECJOBS_AUDIT_DAYS", settings.audit_days, lambda: _oldest_audit(settings)),
        ("exports", "RECJOBS_EXPORT_DAYS", settings.export_days, lambda: _oldest_export(settings)),
        ("back-ups", "recjobs back-up --keep", None, lambda: _oldest_backup(settings)),
        ("the platform's logs", "logrotate or your log driver", None, lambda: _oldest_file(settings.state / "logs")),
    ]  # fmt: skip
    return [_row(what, setting, days, look) for what, setting, days, look in looks]


def _row(what: str, setting: str, days: int | None, look: Callable[[], datetime | None]) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "oldest": None, "setting": setting, "days": days}
    try:
        row["oldest"] = look()
    except Exception as error:  # such as a table that another version of MLflow has otherwise: a status shows the rest
        row["error"] = without_secrets(" ".join(str(error).split()))
    return row


def _of(other: Any) -> Callable[[], datetime | None]:
    def look() -> datetime | None:
        return None if other.reason_left_out() else other.oldest()

    return look


def _oldest_file(folder: Path) -> datetime | None:
    """When the file was last written to that was not for longest."""
    times = (
        (Path(parent) / name).lstat().st_mtime for parent, _, names in os.walk(folder) for name in names
    )  # fmt: skip
    oldest = min(times, default=None)
    return None if oldest is None else datetime.fromtimestamp(oldest, UTC)


def _oldest_audit(settings: Settings) -> datetime | None:
    with Database(settings.url_of("owner")).connect() as session:
        session.rows("become_owner")
        found: datetime | None = session.rows("oldest_audit")[0]["oldest"]
    return found


def _oldest_export(settings: Settings) -> datetime | None:
    return min((entry.written_at for entry in exported(settings.state)), default=None)


def _oldest_backup(settings: Settings) -> datetime | None:
    """By the names of the folders in the places that the catalogs know, those on this machine."""
    names: set[str] = set()
    for catalog in schemas(settings):
        with database(CatalogName(catalog), "owner").connect() as session:
            session.rows("become_owner")
            places = [row["place"] for row in session.rows("backup_places")]
        for place in places:
            if "://" not in place and Path(place).is_dir():
                names |= {path.name for path in Path(place).iterdir() if _BACKUP.fullmatch(path.name)}
    return datetime.strptime(min(names), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if names else None
