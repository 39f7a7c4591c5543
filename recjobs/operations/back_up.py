"""Back up the catalogs' schemas, the artifacts that they need, and MLflow's and Airflow's databases.

All schemas are as of one instant, with the artifacts that they need then. Nothing is pruned meanwhile; nights go on.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recjobs.adapters import postgres_programs
from recjobs.adapters.artifact_store import INPUTS, STUDIES, ArtifactStore
from recjobs.adapters.backup_cipher import keys_of
from recjobs.adapters.backup_files import BackupFiles, BackupPlace
from recjobs.adapters.object_store import folder_files
from recjobs.adapters.postgres import Database
from recjobs.adapters.statsd import Metrics
from recjobs.catalog.names import CatalogName
from recjobs.config import Settings, load_settings
from recjobs.core.retention import ALL
from recjobs.errors import DataRefused, ModelRefused, SystemAway
from recjobs.night.catalogs import schemas
from recjobs.night.handovers import Handovers
from recjobs.night.night import code_version, database
from recjobs.operations.garbage_collection import needed_by_database, needed_by_studies, request_of
from recjobs.operations.other_databases import other_databases
from recjobs.operations.prune import alone

DUMP = "recjobs.dump"
_TRIES = 3
log = logging.getLogger(__name__)


def run(place: str, keep: int | None = None) -> dict[str, Any]:
    """Write a back-up below `place` and read it again; it counts once its manifest, written last, is there.

    keep: how many back-ups stay; older ones are removed afterwards, None: all stay. Raises Locked while a prune runs,
    DataRefused if there is nothing to back up or if what was written is not what is read.
    """
    settings, began = load_settings(), time.monotonic()
    names = [CatalogName(name) for name in schemas(settings)]
    if not names:
        raise DataRefused("there is nothing to back up: the database has no catalog")
    backups, owner = BackupPlace(place, keys_of(settings.backup_key)), Database(settings.url_of("owner"))
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(alone(database(name, "owner")))
            _note_place(name, backups, keep)
        files = backups.new(datetime.now(UTC))
        for other in other_databases(settings):
            if reason := other.reason_left_out():
                left_out[other.name] = reason
            else:
                files.write(other.file, other.dump())
        before = {name: _needs(settings, name) for name in names}
        with owner.connect() as session:
            version = session.major_version
        schemas_ = [name.name for name in names]
        files.write(DUMP, postgres_programs.dump(settings.url_of("owner"), version, "recjobs_owner", schemas_))
        # What the dump needs is needed before it or after it: nothing is pruned in between.
        for name in names:
            _copy_artifacts(settings, name, before[name].joined(_needs(settings, name)), files, left_out)
    for path, chunks in folder_files(settings.artifacts, "_mlflow"):
        files.write(f"artifacts/_mlflow/{path}", chunks)
    for what, reason in left_out.items():
        log.warning("not in the back-up: %s (%s)", what, reason)
    changes = {name.name: needs.changed_at and needs.changed_at.isoformat() for name, needs in before.items()}
    catalogs = {name: {"changed_at": changed_at} for name, changed_at in changes.items()}
    files.finish({"catalogs": catalogs, "left_out": left_out, "made_by": code_version()})
    removed = _remove_old(backups, files, keep)
    metrics = Metrics(settings.statsd_host, settings.statsd_port, "_all", "back_up")  # no catalog can be called that
    metrics.gauge("backup_finished_timestamp_seconds", int(time.time()))
    return {
        "backup": files.folder,
        "catalogs": " ".join(catalogs),
        "files": len(files.files),
        "bytes": sum(file["bytes"] for file in files.files.values()),
        "encrypted": bool(backups.keys),
        "left_out": " ".join(left_out) or None,
        "removed": len(removed),
        "seconds": round(time.monotonic() - began, 1),
    }


def _note_place(name: CatalogName, backups: BackupPlace, keep: int | None) -> None:
    """Tell the catalog where it is backed up, and the place who was erased: a restore from there leaves them out."""
    with database(name, "owner").connect() as session:
        session.rows("become_owner")
        if not session.rows("has_erasures")[0]["known"]:  # not migrated yet
            return
        session.rows("note_backup_place", place=backups.place, keep=keep)
        for row in session.rows("erased_people"):
            backups.note_erasure({"catalog": name.name, "person": row["person"], "salt": row["salt"]})


@dataclass(frozen=True)
class _Needs:
    """When a catalog last changed, and which artifacts it needs: parts by night, and searches."""

    changed_at: datetime | None
    nights: dict[str, set[str]]
    studies: set[str]

    def joined(self, later: "_Needs") -> "_Needs":
        """Both together, as of the earlier change."""
        batch_ids = self.nights.keys() | later.nights.keys()
        nights = {
            batch_id: self.nights.get(batch_id, set()) | later.nights.get(batch_id, set()) for batch_id in batch_ids
        }
        return _Needs(self.changed_at, nights, self.studies | later.studies)


def _needs(settings: Settings, name: CatalogName) -> _Needs:
    with database(name, "owner").connect() as session:
        session.rows("become_owner")
        changed_at = session.rows("newest_change")[0]["changed_at"]
        studies = {row["study_id"] for row in session.rows("waiting_studies")}
        nights: dict[str, set[str]] = {}
        for batch_id, parts in (*needed_by_database(session, set()), *needed_by_studies(settings, name, studies)):
            nights.setdefault(batch_id, set()).update(parts)
    return _Needs(changed_at, nights, studies)


def _copy_artifacts(
    settings: Settings, name: CatalogName, needs: _Needs, files: BackupFiles, left_out: dict[str, str]
) -> None:
    needed, studies = needs.nights, needs.studies
    store, inputs = ArtifactStore(settings.artifacts, name.name), set[str]()
    for folder in store.night_folders():
        wanted = needed.get(folder.name, set())
        night = store.night(folder.name)
        for step in sorted(folder.parts if wanted & ALL else wanted & folder.parts.keys()):
            if night.is_done(step):
                try:
                    _copy_step(files, f"artifacts/{name.name}/{folder.name}/{step}", Handovers(night), step)
                except ModelRefused as error:
                    left_out[f"{name.name}/{folder.name}/{step}"] = str(error)
        if wanted & {"begin", *ALL}:
            inputs |= {
                file["path"].rpartition("/")[2]
                for file in request_of(Handovers(night)).get("input", {}).get("files", [])
            }
    for lost in sorted(needed.keys() - {folder.name for folder in store.night_folders()}):
        left_out[f"{name.name}/{lost}"] = "its folder is lost"
    for within, wanted_names in ((STUDIES, studies), (INPUTS, inputs)):
        for path, chunks in folder_files(settings.artifacts, f"{name.name}/{within}"):
            if path.partition("/")[0] in wanted_names:
                files.write(f"artifacts/{name.name}/{within}/{path}", chunks)


def _copy_step(files: BackupFiles, folder: str, night: Handovers, step: str) -> None:
    """Copy a finished step's files and its manifest. A step that is run again meanwhile is copied again."""
    for _ in range(_TRIES):
        manifest = night.files.stored_manifest(step)
        hashes = {
            name: files.write(f"{folder}/{name}", _chunks(night.files.load_bytes(step, name)))
            for name in manifest["files"]
        }
        if hashes == manifest["files"]:
            files.write(f"{folder}/manifest.json", [json.dumps(manifest, indent=1).encode()])
            return
    raise SystemAway(f"{night.files.where(step, '')} changed again and again; take the back-up later")


def _chunks(content: Any) -> Iterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(view), 1 << 20):
        yield bytes(view[start : start + (1 << 20)])


def _remove_old(backups: BackupPlace, newest: BackupFiles, keep: int | None) -> list[str]:
    """Remove whole back-ups beyond `keep`, and half-written ones from before this one."""
    if keep is None:
        return []
    earlier = [backup for backup in backups.all() if backup.name < newest.name]
    whole = [backup for backup in earlier if backup.is_whole()]
    surplus = whole[: max(0, len(whole) - (keep - 1))]
    old = [*surplus, *(backup for backup in earlier if backup not in whole)]
    for backup in old:
        backup.remove()
    return [backup.name for backup in old]
