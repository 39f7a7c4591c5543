"""Where an erasure looks beyond the rows of one user id: every id that is stored, results of queries, exports, and
back-ups."""

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.backup_files import BackupPlace
from recjobs.adapters.exported_files import Exported, exported, remove
from recjobs.adapters.object_store import folder_files
from recjobs.adapters.postgres import Session
from recjobs.catalog.names import Named
from recjobs.config import load_settings
from recjobs.core.model import npz
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows.people import bare
from recjobs.errors import ModelRefused, ModelUnreadable, RecjobsError
from recjobs.operations.export import as_plain_text
from recjobs.operations.person_files import PersonInNight


def stored_ids(session: Session, catalog: Named) -> Iterator[str | None]:
    """Every user id in the tables of a catalog and the files of its nights, of quarantined rows too; some repeatedly. A
    damaged file is passed over."""
    for table in session.rows("tables_of_people"):
        ids = pa.array([row["user_id"] for row in session.rows("user_ids", {"table": table["name"]})], pa.string())
        yield from ids.to_pylist()
        if table["kind"] == "rejected_records":
            yield from bare(ids).to_pylist()
    for files in ArtifactStore(load_settings().artifacts, catalog.name).nights():
        night = files.with_refused()
        for step, name in _readable(PersonInNight(night, "")):
            try:
                if name.endswith(".parquet") and "user_id" in night.open_table(step, name).schema_arrow.names:
                    ids = pc.unique(night.load_table(step, name, ["user_id"])["user_id"].combine_chunks())
                    yield from ids.cast(pa.string()).to_pylist()
                    if name == "rejected.parquet":
                        yield from bare(ids).to_pylist()
                elif name.endswith(".npz"):
                    yield from _ids_of_model(night.load_bytes(step, name).to_pybytes())
            except ModelRefused:
                continue
    for path, chunks in folder_files(load_settings().artifacts, f"_mlflow/{catalog.name}"):
        if path.endswith(".npz"):
            yield from _ids_of_model(b"".join(chunks))


def _ids_of_model(content: bytes) -> list[str]:
    try:
        return StoredModel.from_arrays(npz.read(io.BytesIO(content), "")).user_ids
    except ModelUnreadable:  # factors without ids, or no model of ours
        return []


def _readable(night: PersonInNight) -> list[tuple[str, str]]:
    try:
        return night.files
    except ModelRefused:
        return []


def take_out_results(store: ArtifactStore, user_id: str) -> list[str]:
    """Remove the stored results of queries that hold a user id; a night that begins asks the query again. Returns which
    could not be read, and were removed too.
    """
    unread = []
    for result in store.input_folders():
        try:
            text = gzip.decompress(store.load_input(result.name)).decode()
            is_held = any(user_id in row for row in csv.reader(io.StringIO(text, newline="")))
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            unread.append(f"the result of a query, {result.name}, which was removed: {error}")
            is_held = True
        if is_held:
            store.remove_input(result.name)
    return unread


def take_out_exports(catalog: Named, user_id: str) -> tuple[int, list[str]]:
    """Remove the files of `recjobs export` that hold a user id; one is made again by the same command.

    Only those that were written on this machine, and not changed since. Returns how many were removed, and which of
    these could not be read.
    """
    state, held, unread = load_settings().state, list[Exported](), list[str]()
    written = {user_id, *as_plain_text(pa.array([user_id])).to_pylist()}
    for entry in [entry for entry in exported(state) if entry.catalog == catalog.name]:
        try:
            is_held = not written.isdisjoint(_exported_ids(Path(entry.path)))
        except (OSError, EOFError, UnicodeDecodeError, csv.Error, pa.ArrowException, KeyError) as error:
            unread.append(f"the export {entry.path}, which was removed: {error}")
            is_held = True
        if is_held:
            held.append(entry)
    remove(state, held)
    return len(held), unread


def _exported_ids(path: Path) -> Iterator[str]:
    if path.name.endswith(".parquet"):
        yield from pc.unique(pq.read_table(path, columns=["user_id"])["user_id"]).to_pylist()
        return
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["user_id"]


def note_at_backups(session: Session, catalog: Named, person: str, salt: str) -> list[dict[str, Any]]:
    """Note an erasure at every place that the catalog was backed up to, for a restore to apply it again.

    Returns of each place which back-ups are there, and whether the erasure could be noted.
    """
    entry = {"catalog": catalog.name, "person": person, "salt": salt, "noted_at": datetime.now(UTC).isoformat()}
    places = []
    for row in session.rows("backup_places"):
        found = {"place": row["place"], "keep": row["keep"], "holds": [], "noted": True, "why": None}
        try:
            place = BackupPlace(row["place"])
            place.note_erasure(entry)
            found["holds"] = [backup.name for backup in place.all()]
        except (RecjobsError, OSError) as error:
            found |= {"noted": False, "why": str(error)}
        places.append(found)
    return places
