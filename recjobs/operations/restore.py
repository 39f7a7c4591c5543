"""Restore a back-up: artifacts first, then the catalogs' schemas in one transaction, then MLflow and Airflow."""

import logging
import time
from datetime import datetime
from typing import Any

from recjobs.adapters import postgres_programs
from recjobs.adapters.backup_cipher import keys_of
from recjobs.adapters.backup_files import BackupFiles, BackupPlace
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.object_store import write_files
from recjobs.adapters.postgres import Database
from recjobs.catalog.names import CatalogName
from recjobs.config import Settings, load_settings
from recjobs.errors import DataRefused, Misuse, RecjobsError, Superseded
from recjobs.night.catalogs import schemas
from recjobs.night.night import database
from recjobs.operations import erase_user
from recjobs.operations.back_up import DUMP
from recjobs.operations.other_databases import other_databases

log = logging.getLogger(__name__)
_ARTIFACTS = "artifacts/"


def run(place: str, force: str | None = None) -> dict[str, Any]:
    """Restore one back-up, or the newest whole one below `place`, and erase again who was erased since.

    Killed, it is run again.

    Catalogs that it does not have stay as they are. MLflow's and Airflow's databases are replaced where nothing is in
    them, with `force` always. Raises DataRefused for a damaged or half-written back-up, and BadConfiguration for one
    that is encrypted with a key that RECJOBS_BACKUP_KEY does not have, before anything is changed; and Superseded if a
    catalog has changed since, unless `force` says why that may be lost.
    """
    if force is not None and not force.strip():
        raise Misuse("--force needs a reason")
    settings, began = load_settings(), time.monotonic()
    backup = _chosen(BackupPlace(place, keys_of(settings.backup_key)))
    manifest = backup.verified()
    if DUMP not in backup.files:
        raise DataRefused(f"{backup.folder} has no {DUMP}; take another back-up")
    if settings.database_url:
        migrate_database(Database(settings.url_of("database")))
    catalogs = {CatalogName(name): of for name, of in manifest["catalogs"].items()}
    _refuse_to_lose(settings, backup, catalogs, force)
    others = [other for other in other_databases(settings) if other.file in backup.files]
    kept = [other.name for other in others if not other.can_be_restored() or (other.is_used() and not force)]

    erased = {name: _erased(name, BackupPlace(place).above()) for name in catalogs}
    artifacts = sorted((path for path in backup.files if path.startswith(_ARTIFACTS)), key=_manifest_last)
    write_files(settings.artifacts, ((path.removeprefix(_ARTIFACTS), backup.read(path)) for path in artifacts))
    owner = Database(settings.url_of("owner"))
    with owner.connect() as session:
        version = session.major_version
    names = [name.name for name in catalogs]
    postgres_programs.restore(settings.url_of("owner"), version, "recjobs_owner", names, backup.read(DUMP))
    live = []
    for name in catalogs:
        migrate_catalog(database(name, "owner"), None)  # to this release's state, if an earlier one made the back-up
        with database(name, "owner").connect() as session:
            session.rows("become_owner")
            live += [row["batch_id"] for row in session.rows("live_batch")]
            for entry in erased[name]:
                session.rows("note_erasure", person=entry["person"], salt=entry["salt"])
    for other in others:
        if other.name not in kept:
            other.restore(backup.read(other.file))
    erased_again = [receipt for name in catalogs for receipt in erase_user.finish(name)]
    return {
        "backup": backup.folder,
        "catalogs": " ".join(names),
        "live": " ".join(live),
        "artifacts": len(artifacts),
        "databases": " ".join(["recjobs", *(other.name for other in others if other.name not in kept)]),
        "kept": " ".join(kept) or None,
        "erased_again": len(erased_again),
        "forced": force,
        "seconds": round(time.monotonic() - began, 1),
    }


def _chosen(place: BackupPlace) -> BackupFiles:
    """The back-up in the folder itself, else the newest whole one below it."""
    backups = place.all()
    if not backups:
        return place.itself()  # whose missing manifest is named, if it is none
    whole = [backup for backup in backups if backup.is_whole()]
    if not whole:
        raise DataRefused(f"{place.place} has only half-written back-ups, such as {backups[-1].folder}")
    for backup in backups:
        if backup.name > whole[-1].name:
            log.warning("%s is half-written and does not count; taken is %s", backup.folder, whole[-1].folder)
    return whole[-1]


def _erased(name: CatalogName, place: BackupPlace) -> list[dict[str, str]]:
    """Who was erased from a catalog, by what is noted beside the back-ups and in the schema that is overwritten.

    The latter is noted beside them first, so that a kill loses nothing.
    """
    entries = {entry["person"]: entry for entry in place.erasures(name.name)}
    if name.name in schemas(load_settings()):
        with database(name, "owner").connect() as session:
            session.rows("become_owner")
            here = session.rows("erased_people") if session.rows("has_erasures")[0]["known"] else []
        for row in (row for row in here if row["person"] not in entries):
            entries[row["person"]] = {"catalog": name.name, "person": row["person"], "salt": row["salt"]}
            try:
                place.note_erasure(entries[row["person"]])
            except (OSError, RecjobsError) as error:
                log.warning("an erasure cannot be noted beside the back-ups: %s", error)
    return list(entries.values())


def _refuse_to_lose(
    settings: Settings, backup: BackupFiles, catalogs: dict[CatalogName, dict[str, Any]], force: str | None
) -> None:
    """Raise Superseded if a catalog's schema has changed since the back-up, unless there is a reason."""
    there = set(schemas(settings))
    for name, of in catalogs.items():
        if name.name not in there:
            continue
        with database(name, "owner").connect() as session:
            session.rows("become_owner")
            changed = session.rows("newest_change")[0]["changed_at"]
        if changed and (of["changed_at"] is None or changed > datetime.fromisoformat(of["changed_at"])):
            what = f"{name.name} has changed since {backup.name}, last at {changed:%Y-%m-%d %H:%M:%S} UTC"
            if not force:
                raise Superseded(f"{what}, and a restore would lose that: --force REASON if it may")
            log.warning("%s; it is overwritten: %s", what, force)


def _manifest_last(path: str) -> tuple[str, bool, str]:
    """Order files so that a step's manifest is written after the files it names."""
    folder, _, name = path.rpartition("/")
    return folder, name == "manifest.json", name
