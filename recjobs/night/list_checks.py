"""Finished lists checked chunk by chunk, here or by tasks on another machine."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters.shared_table import SharedTable
from recjobs.core.ahead import mapped_ahead
from recjobs.core.lists.bands import TOP, Shape
from recjobs.core.lists.checksum import Digests, list_digests
from recjobs.core.lists.contract import Broken, World, check_lists
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.night.night import Night
from recjobs.night.on_spark import cluster_of
from recjobs.night.stored import shared_table, verified_table

AT_A_TIME = 4
"""Chunks of each core of the cluster whose results the driver takes at once."""


@dataclass(frozen=True, eq=False)
class CheckedChunk:
    """What was found in a chunk of lists. users: user_idx of each list, -1 for an unknown user."""

    broken: Broken
    users: np.ndarray
    digests: Digests
    shape: Shape


@dataclass(frozen=True, eq=False)
class ListChecks:
    """What lists are checked against: the world without its users, and where users' ids and interactions lie. view,
    since, negative: which interactions keep an item out of a list. Goes from process to process."""

    world: World
    users: SharedTable
    interactions: SharedTable
    view: str
    since: int | None
    negative: frozenset[str]
    shape: Shape

    @classmethod
    def of(cls, night: Night, world: World) -> "ListChecks":
        """Those of a night."""
        catalog, top_n = night.catalog, night.catalog.top_n
        days = catalog.after_days
        # Rotation puts other items in front on purpose, of the same list.
        compared = TOP if top_n.rotate_after is None else max(TOP, top_n.stored)
        return cls(
            replace(world, user_ids=pa.array([], pa.string())),
            shared_table(night, "validate", "users.parquet"),
            shared_table(night, "validate", "interactions.parquet"),
            catalog.view,
            None if days is None else microseconds(night.request.as_of) - int(days * DAY),
            frozenset(kind for kind, weight in catalog.kinds.items() if weight < 0),
            Shape(world.item_ids, top_n.served, compared),
        )

    def chunk(self, lists: pa.Table, first: int, last: int) -> CheckedChunk:
        """Check lists of the users first to last - 1, by the rows of these alone."""
        user_ids = self.users.rows(first, last, ["user_id"])["user_id"].combine_chunks()
        rows = Interactions.from_table(self.interactions.between("user_idx", first, last))
        pairs = (rows.user_idx - np.int64(first)) * len(self.world.item_ids) + rows.item_idx
        taken, seen = _sorted(pairs), self._kept_out(rows, pairs)
        world = replace(self.world, user_ids=user_ids, taken=taken, seen=taken if seen is pairs else seen)
        found, shape = Broken(), Shape(self.shape.item_ids, self.shape.served, self.shape.compared)
        users = check_lists(lists, world, found)
        shape.add(lists)
        return CheckedChunk(found, np.where(users >= 0, users + first, -1), list_digests(lists), shape)

    def _kept_out(self, rows: Interactions, pairs: np.ndarray) -> np.ndarray | None:
        """The pairs that lists must not have, sorted, or `pairs` itself; None: they may have any."""
        kept_out: np.ndarray | None = pairs
        if self.view != "discovery":
            kept_out = self._disliked(rows, pairs)
        if self.since is not None:
            recent = pairs[rows.occurred_at >= self.since]
            kept_out = recent if kept_out is None else np.concatenate([recent, kept_out])
        return kept_out if kept_out is None or kept_out is pairs else _sorted(kept_out)

    def _disliked(self, rows: Interactions, pairs: np.ndarray) -> np.ndarray | None:
        """The pairs whose latest interaction is of a negative kind: lists omit them whatever `seen` says."""
        negative = [place for place, kind in enumerate(rows.kinds) if kind in self.negative]
        if not negative:
            return None
        order = np.lexsort((rows.occurred_at, pairs))
        last = order[np.append(pairs[order][1:] != pairs[order][:-1], True)]
        return np.asarray(pairs[last[np.isin(rows.kind[last], negative)]])


def checked_chunks(night: Night, checks: ListChecks, user_ids: pa.Array) -> Iterator[CheckedChunk]:
    """Check all lists of a night, on its engine; user_ids: of all users. Raises ModelRefused for a file that was
    changed."""
    if night.catalog.engine != "spark":
        yield from mapped_ahead(lambda file: _of_file(checks, user_ids, file.read()), night.list_chunks())
        return
    places = list[tuple[SharedTable, int, int]]()
    for name in sorted(night.files.manifest("score")):
        if name.startswith("top_n-"):
            table = verified_table(night, "score", name)
            places.append((table, *_span(user_ids, table.read(["user_id"])["user_id"])))
    cluster = cluster_of(night)
    task = cluster.broadcast(checks)
    try:
        yield from cluster.in_turns(partial(_check, task), places, AT_A_TIME)
    finally:
        task.destroy()


def _check(broadcast: Any, place: tuple[SharedTable, int, int]) -> CheckedChunk:
    """In a task: check a chunk."""
    checks: ListChecks = broadcast.value
    table, first, last = place
    return checks.chunk(table.read(), first, last)


def _of_file(checks: ListChecks, user_ids: pa.Array, lists: pa.Table) -> CheckedChunk:
    return checks.chunk(lists, *_span(user_ids, lists["user_id"]))


def _span(user_ids: pa.Array, users: pa.ChunkedArray) -> tuple[int, int]:
    """The first place in user_ids, which ascend byte for byte, of the users of some lists, and that behind the last."""
    if users.null_count == len(users):
        return 0, 0
    ends = pc.min_max(users)

    def encoded(place: int) -> bytes:
        return str(user_ids[place].as_py()).encode()

    places = range(len(user_ids))
    first = bisect_left(places, ends["min"].as_py().encode(), key=encoded)
    return first, bisect_right(places, ends["max"].as_py().encode(), key=encoded)


def _sorted(pairs: np.ndarray) -> np.ndarray:
    if (pairs[1:] < pairs[:-1]).any():  # rows from `validate` are sorted already
        pairs = np.sort(pairs)
    return np.asarray(pairs[np.diff(pairs, prepend=-1) != 0])
