"""Load the finished lists as a new batch, verify them, then move pointer and champion in one transaction."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters.postgres import Session
from recjobs.core.ahead import ahead
from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.lists import copy_format
from recjobs.errors import DiskFull, ListsRefused, Locked
from recjobs.night import room
from recjobs.night.decision import record
from recjobs.night.handovers import ChosenModel, Inspection
from recjobs.night.night import Night, database, let_alias_follow, registered_version

ROWS = 8192
"""Lists encoded at a time."""


def run(night: Night) -> dict[str, Any]:
    """Publish a batch. A second time changes nothing.

    Raises Locked while another process loads a batch of this catalog, Superseded if a newer batch is live or another
    champion in charge, DiskFull if there is no room, ListsRefused if Postgres holds other lists than were inspected.
    """
    inspection, chosen = night.inspection(), night.chosen_model()
    request, batch_id = night.request, night.batch_id

    with (
        database(night.catalog, "loader").connect() as turn,
        turn.transaction(),
        database(night.catalog, "loader").connect() as loader,
    ):
        if not turn.call("lock_loading"):
            raise Locked(f"another process is loading a batch of {night.catalog.name}")
        with database(night.catalog, "publisher").connect() as publisher:
            pinned, version = _versions(night, publisher, chosen)
        if loader.call("stage_batch", record=_record(night, version, inspection)) == "staged":
            _require_room(night, loader)
            _load(night, loader)
            loader.call("seal_batch", batch=batch_id)
            loader.call("record_exposure", batch=batch_id, counts=night.exposure().to_pydict())
            _verify(night, loader, inspection)
        with database(night.catalog, "publisher").connect() as publisher:
            record(night, publisher)
            before, forced = publisher.row("champion"), request.force is not None
            turn.call("lock_loading")  # raises SystemAway if its session was ended meanwhile, and another may load
            # Committed before anything points there: see wait_for_readers.
            publisher.call("attach_batch", batch=batch_id, pinned_champion=pinned, forced=forced)
            moved = publisher.call(
                "publish_batch", batch=batch_id, pinned_champion=pinned, forced=forced, why=request.force
            )
        alias = let_alias_follow(night.catalog, before)
        with night.writing("publish") as files:
            published = {"batch_id": batch_id, "model_version": version, "checksum": inspection.checksum}
            files.save_json("published.json", published)
    return {"batch_id": batch_id, "moved": moved, "users": inspection.users, **alias}


def _versions(night: Night, publisher: Session, chosen: ChosenModel) -> tuple[str | None, str | None]:
    """Return the versions of the pinned champion and of the lists' model, which a restored Postgres may not know."""
    pin = night.request.champion
    pinned = registered_version(publisher, pin) if pin else None
    if chosen.source != "refit":
        return pinned, pinned if chosen.source == "champion" else None
    sha256 = night.files.manifest("refit")["model.npz"]
    return pinned, registered_version(publisher, night.refit_pin(str(chosen.model_version), sha256))


def _record(night: Night, version: str | None, inspection: Inspection) -> dict[str, Any]:
    counts = night.input_account().counts
    request, top_n = night.request, night.catalog.top_n
    return {
        "batch_id": request.batch_id,
        "as_of": request.as_of,
        "attempt": parse_batch_id(request.batch_id)[1],
        "computed_at": request.began_at,
        "model_version": version,
        "champion_version": version,
        "n_users": counts["users"],
        "n_items": counts["items"],
        "n_interactions": counts["accepted"] + counts["carried"],
        "top_n_stored": top_n.stored,
        "top_n_served": top_n.served,
        "max_age_hours": night.catalog.serve.max_age_hours,
        "verb": night.catalog.verb,
        "input_hash": request.input["hash"],
        "checksum": inspection.checksum,
        "code_version": request.code_version,
    }


def _tables(night: Night) -> dict[str, Iterator[pq.ParquetFile]]:
    """The files of each list table."""
    return {
        "top_n": night.list_chunks(),
        "similar_lists": iter([night.scored("similar")]),
        "popular_lists": iter([night.scored("popular")]),
        "item_records": iter([night.scored("items")]),
        "history_lists": iter([night.scored("history")]),
    }


def _require_room(night: Night, loader: Session) -> None:
    """Raise DiskFull if Postgres has too little room for the batch and what it writes of it to its log of changes."""
    if (found := room.free(night.settings, loader)) is None:
        return
    (free, where), needed = found, room.needed(sum(_size(night.batch_id, parts) for parts in _tables(night).values()))
    if free < needed:
        raise DiskFull(
            f"a disk is full, nearly: {night.batch_id} needs {needed >> 20} MB, and {max(0, free) >> 20} MB are free "
            f"{where}. Nothing was loaded; make room, see docs/runbook.md, and run the same command again"
        )


def _size(batch_id: str, parts: Iterator[pq.ParquetFile]) -> int:
    """How many bytes a list table gets, by the first rows."""
    first = next(parts, None)
    rows = next(first.iter_batches(ROWS), None) if first else None
    if first is None or rows is None or not rows.num_rows:
        return 0
    encoded = copy_format.rows([copy_format.constant_text(batch_id), *map(field, rows.columns)], rows.num_rows)
    n_rows = first.metadata.num_rows + sum(part.metadata.num_rows for part in parts)
    return len(encoded) * int(n_rows) // int(rows.num_rows)


def _load(night: Night, loader: Session) -> None:
    """Load users' lists, and the other tables, which take as long, by a session beside it."""
    tables = _tables(night)
    lists = tables.pop("top_n")
    with database(night.catalog, "loader").connect() as second, ThreadPoolExecutor(1) as beside:
        others = [beside.submit(_copy, night, second, table, parts) for table, parts in tables.items()]
        _copy(night, loader, "top_n", lists)
        for each in others:
            each.result()


def _copy(night: Night, loader: Session, table: str, parts: Iterator[pq.ParquetFile]) -> None:
    """The files' columns are the table's, by name."""
    if first := next(parts, None):
        chunks = copy_format.stream(ahead(_encoded(night.batch_id, chain([first], parts))))
        loader.copy(partition(table, night.batch_id), ["batch_id", *first.schema_arrow.names], chunks)


def partition(table: str, batch_id: str) -> str:
    """The partition of a list table, named as by the SQL function partition_name."""
    return f"{table}_{batch_id.replace('-', '_').lower()}"


def _encoded(batch_id: str, parts: Iterable[pq.ParquetFile]) -> Iterator[memoryview]:
    first = copy_format.constant_text(batch_id)
    for part in parts:
        for batch in part.iter_batches(ROWS):
            yield copy_format.rows([first, *[field(column) for column in batch.columns]], batch.num_rows)


def field(column: pa.Array) -> pa.Array:
    """Encode a column as a field of binary COPY, by its type."""
    kind = column.type
    if pa.types.is_list(kind):
        value = kind.value_type
        encoded = {pa.string(): copy_format.text_array, pa.int32(): copy_format.integer_array}.get(value)
        encoded = encoded or (copy_format.timestamp_array if pa.types.is_timestamp(value) else copy_format.float_array)
        return encoded(column)
    if pa.types.is_boolean(kind):
        return copy_format.boolean(column)
    if pa.types.is_string(kind):
        return copy_format.text(column)
    return copy_format.number(column, {pa.int16(): ">i2", pa.int32(): ">i4", pa.float64(): ">f8"}[kind])


def _verify(night: Night, loader: Session, inspection: Inspection) -> None:
    loaded = loader.row("list_checksum", {"partition": partition("top_n", night.batch_id)})
    expected = {"n_users": inspection.users, "n_filled": inspection.filled, "checksum": inspection.checksum}
    if loaded != expected:
        raise ListsRefused(
            f"Postgres holds other lists of {night.batch_id} than were inspected: {loaded} instead of {expected}. "
            "The pointer was not moved"
        )
