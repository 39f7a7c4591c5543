"""Rows checked and gathered on Spark: tasks check some rows of a source each and leave the sound ones as a row group
for each range of users; then tasks gather a range each from those. Files have names of their own, as in `spark_fit`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from recjobs.adapters.shared_folder import SharedFolder
from recjobs.adapters.shared_table import SharedTable
from recjobs.core.ahead import ahead
from recjobs.core.rows.accounting import Tally
from recjobs.core.rows.gathering import RowPiece
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.range_rows import RangeRows
from recjobs.core.rows.stated_items import StatedItems
from recjobs.core.rows.user_ranges import UserRanges
from recjobs.night.checked_rows import BATCH, CheckedBatch, CheckedRows, RowChecks
from recjobs.night.gathering import OfSource, RangeGathering
from recjobs.night.night import Night
from recjobs.night.on_spark import cluster_of, shared_folder

AT_A_TIME = 4
"""Tasks of each core of the cluster whose results the driver takes at once."""


@dataclass(frozen=True)
class _Checked:
    """What a task leaves of the rows that it checked. ranges: those that have a row group of the file `sound`."""

    ranges: tuple[int, ...]
    sound: str
    has_orders: bool
    rejected: str | None
    tally: Tally
    stated: StatedItems


@dataclass(frozen=True)
class _Gathered:
    """What a task leaves of a range: the rows of `RangeRows` but for rows and ids, which are files."""

    rows: RangeRows
    files: dict[str, str]


class GatheringOnSpark:
    """By a cluster: see `Gathering`. Use it in a `with` statement; what tasks have left goes with it."""

    def __init__(self, night: Night, sources: Sequence[SharedTable], n_ranges: int) -> None:
        self._night, self._sources, self._n_ranges = night, sources, n_ranges
        self._checked = list[tuple[int, _Checked]]()

    def __enter__(self) -> "GatheringOnSpark":
        self._cluster, self._folder = cluster_of(self._night), shared_folder(self._night, "rows")
        self._folder.create()
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.remove()

    def checked(self, source: int, checks: RowChecks) -> Iterator[CheckedBatch]:
        """See `Gathering`."""
        table = self._sources[source]
        _, n_rows = table.extent()
        step = -(-n_rows // (UserRanges.number_for(n_rows) * BATCH)) * BATCH
        task = self._cluster.broadcast(checks)
        try:
            places = [(first, min(first + step, n_rows)) for first in range(0, n_rows, max(1, step))]
            for found in self._cluster.in_turns(partial(_check, task, self._folder, table), places, AT_A_TIME):
                self._checked.append((source, found))
                yield CheckedBatch([], _tables(self._folder, found.rejected), found.tally, found.stated)
        finally:
            task.destroy()

    def ranges(self, by: RangeGathering, known_users: Sequence[pa.Array | None]) -> list[RangeRows]:
        """See `Gathering`."""
        files: list[list[tuple[int, str, int]]] = [[] for _ in range(self._n_ranges)]
        for source, found in self._checked:
            for group, number in enumerate(found.ranges):
                files[number].append((source, found.sound, group))
        task, places = self._cluster.broadcast(by), list(zip(range(self._n_ranges), known_users, files, strict=True))
        try:
            gathered = self._cluster.in_turns(partial(_gather, task, self._folder), places, AT_A_TIME)
            rows = [self._taken(one) for one in gathered]
        finally:
            task.destroy()
        has_orders = any(found.has_orders for _, found in self._checked)
        if has_orders and rows[0].empty.order_key is None:  # an order's column without a sound row
            rows[0] = replace(rows[0], empty=replace(rows[0].empty, order_key=np.zeros(0, np.int64)))
        return rows

    def _taken(self, found: _Gathered) -> RangeRows:
        """A range, its ids in memory, its rows where the task has left them."""
        ids = {name: _column(self._folder.table(found.files[name])) for name in ("user_id", "item_id")}
        for name in ids:
            self._folder.delete(found.files[name])
        read = partial(_read, self._folder.table(found.files["rows"]))
        return replace(found.rows, read=read, user_ids=ids["user_id"], item_ids=ids["item_id"])


def _check(broadcast: Any, folder: SharedFolder, table: SharedTable, place: tuple[int, int]) -> _Checked:
    """In a task: check some rows of a source; see `_Checked`."""
    checks: RowChecks = broadcast.value
    first, last = place
    found, rejected, own = CheckedRows(), list[pa.Table](), uuid4().hex
    pieces: list[list[RowPiece]] = [[] for _ in range(len(checks.ranges))]
    for begin in range(first, last, BATCH):
        rows = table.rows(begin, min(begin + BATCH, last)).combine_chunks()
        for batch in map(checks.batch, rows.to_batches()):
            found.add(batch)
            rejected += [bad for bad in batch.rejected if bad.num_rows]
            for piece, of_range in zip(batch.pieces, pieces, strict=True):
                if piece is not None:
                    of_range.append(piece)
    some = [number for number, of_range in enumerate(pieces) if sum(map(len, of_range))]
    if some:
        tables = (pa.concat_tables([piece.to_table() for piece in pieces[number]]) for number in some)
        folder.save_groups(f"{own}-sound.parquet", [table.unify_dictionaries() for table in tables])
    if rejected:
        folder.save_groups(f"{own}-rejected.parquet", rejected)
    has_orders = any(piece.order_key is not None for of_range in pieces for piece in of_range)
    sound, bad = f"{own}-sound.parquet", f"{own}-rejected.parquet" if rejected else None
    return _Checked(tuple(some), sound, has_orders, bad, found.tally, found.stated)


def _gather(
    broadcast: Any, folder: SharedFolder, place: tuple[int, pa.Array | None, list[tuple[int, str, int]]]
) -> _Gathered:
    """In a task: gather a range; see `_Gathered`."""
    by: RangeGathering = broadcast.value
    number, known_users, files = place

    def tonight() -> Iterator[OfSource]:
        for source, name, group in files:
            yield source, RowPiece.from_table(folder.table(name).group(group))

    found, own = by.rows(number, known_users, tonight()), uuid4().hex
    names = {name: f"{own}-{name}.parquet" for name in ("rows", "user_id", "item_id")}
    folder.save_table(names["rows"], found.read().to_table())
    for name, ids in (("user_id", found.user_ids), ("item_id", found.item_ids)):
        folder.save_table(names[name], pa.table({"id": ids}))
    without = pa.array([], pa.string())
    return _Gathered(replace(found, read=_nothing, user_ids=without, item_ids=without), names)


def _read(table: SharedTable) -> Interactions:
    groups = list(map(Interactions.from_table, ahead(table.groups())))
    return groups[0].followed_by(groups[1:]) if len(groups) > 1 else groups[0]


def _nothing() -> Interactions:
    raise AssertionError("the rows are where the task has left them")


def _column(table: SharedTable) -> pa.Array:
    return table.read()["id"].combine_chunks()


def _tables(folder: SharedFolder, name: str | None) -> Iterator[pa.Table]:
    if name is not None:
        yield from folder.table(name).groups()
        folder.delete(name)
