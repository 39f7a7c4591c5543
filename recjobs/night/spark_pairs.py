"""user_items on Spark: tasks make the confidence of some users' pairs each, and leave it in blocks for other tasks. The
process of the step holds counts, and the rows of those users whom it asks for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from uuid import uuid4

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix, vstack

from recjobs.adapters.shared_folder import SharedFolder
from recjobs.adapters.shared_table import SharedTable
from recjobs.adapters.spark import Cluster
from recjobs.core.model.user_items import UserItems
from recjobs.core.recipe import Recipe
from recjobs.core.rows.by_blocks import activity_of, confidence_of
from recjobs.core.rows.interactions import Interactions, RowBlocks
from recjobs.night.night import Night
from recjobs.night.on_spark import cluster_of, shared_folder
from recjobs.night.stored import shared_table

BLOCK_PAIRS = 1_000_000
"""Pairs of a block: a half step of it takes a few seconds at 64 factors."""
KEPT = 4
"""Sets of users whose rows are kept."""


@dataclass(frozen=True)
class Blocks:
    """Rows of a matrix in blocks: the place and the name of each."""

    places: list[slice]
    names: list[str]


@contextmanager
def user_items_of(
    night: Night, step: str, name: str, rows: RowBlocks, now: int
) -> Iterator[Callable[[Recipe], UserItems]]:
    """What returns the confidence of the rows of a step's file by a recipe, at `now` (microseconds), on the night's
    engine, until the block ends."""
    if night.catalog.engine != "spark":
        yield lambda recipe: confidence_of(rows, recipe, now)
        return
    cluster, folder = cluster_of(night), shared_folder(night, "pairs")
    folder.create()
    try:
        table, places = shared_table(night, step, name), list(slices(activity_of(rows), BLOCK_PAIRS))
        yield lambda recipe: PairsOnSpark.of(cluster, folder, table, places, rows.n_items, recipe, now)
    finally:
        folder.remove()


class PairsOnSpark:
    """user_items (n_users, n_items) in blocks of users, see `UserItems`."""

    def __init__(
        self, cluster: Cluster, folder: SharedFolder, users: Blocks, lengths: np.ndarray, takers: np.ndarray
    ) -> None:
        self._cluster, self.folder, self.users = cluster, folder, users
        self.indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.takers = takers
        self._kept = list[tuple[np.ndarray, csr_matrix]]()

    @classmethod
    def of(
        cls,
        cluster: Cluster,
        folder: SharedFolder,
        table: SharedTable,
        places: list[slice],
        n_items: int,
        recipe: Recipe,
        now: int,
    ) -> "PairsOnSpark":
        """By a recipe; table: the interactions, whose users ascend."""
        made = cluster.results(partial(_confidence, folder, table, recipe, now), places)
        takers = np.zeros(n_items, np.int64)
        for _, _, counts in made:
            takers += counts
        lengths = np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths, _ in made)])
        return cls(cluster, folder, Blocks(places, [name for name, _, _ in made]), lengths, takers)

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return self.indptr.size - 1, self.takers.size

    @property
    def nnz(self) -> int:
        """Pairs."""
        return int(self.indptr[-1])

    def __getitem__(self, users: np.ndarray | slice) -> csr_matrix:
        """The rows of users (user_idx), in memory."""
        users = np.arange(*users.indices(self.shape[0])) if isinstance(users, slice) else users
        asked = np.unique(users)
        for kept, rows in self._kept:
            place = np.minimum(np.searchsorted(kept, asked), kept.size - 1)
            if kept.size and (kept[place] == asked).all():
                return rows[np.searchsorted(kept, users)]
        ends = np.searchsorted(asked, [place.stop for place in self.users.places])
        some, first = list[tuple[str, np.ndarray]](), 0
        for block, name, last in zip(self.users.places, self.users.names, ends.tolist(), strict=True):
            if last > first:
                some.append((name, asked[first:last] - block.start))
            first = last
        parts = self._cluster.results(partial(_rows, self.folder, self.shape[1]), some)
        nobody = np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(1, np.int32)
        found: csr_matrix = vstack(parts or [csr_matrix(nobody, shape=(0, self.shape[1]))], format="csr")
        self._kept = [(asked, found), *self._kept[: KEPT - 1]]
        return found[np.searchsorted(asked, users)]

    @cached_property
    def items(self) -> Blocks:
        """The same matrix by items."""
        places = list(slices(self.takers, BLOCK_PAIRS))
        bounds = [place.start for place in places[1:]]
        blocks = list(zip(self.users.names, (place.start for place in self.users.places), strict=True))
        cut = self._cluster.results(partial(_cut, self.folder, self.shape[1], bounds), blocks)
        task = partial(_by_item, self.folder, cut, self.shape[0])
        names = self._cluster.results(task, list(zip(range(len(places)), places, strict=True)))
        for name in cut:
            self.folder.delete(name)
        return Blocks(places, names)


def slices(counts: np.ndarray, pairs: int) -> Iterator[slice]:
    """Neighbouring rows with about so many pairs together; counts: the pairs of each."""
    ends, first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), 0
    while first < counts.size:
        after = max(first + 1, int(np.searchsorted(ends, ends[first] + pairs, side="right")) - 1)
        yield slice(first, after)
        first = after


def _confidence(
    folder: SharedFolder, table: SharedTable, recipe: Recipe, now: int, place: slice
) -> tuple[str, np.ndarray, np.ndarray]:
    """In a task: make a block of users; returns its name, the pairs of each user, and those of each item."""
    rows = Interactions.from_table(table.between("user_idx", place.start, place.stop))
    rows = replace(rows, user_idx=rows.user_idx - np.int32(place.start), n_users=place.stop - place.start)
    block, name = rows.confidence(recipe, now), f"users-{uuid4().hex}"
    folder.save_matrix(name, block)
    return name, np.diff(block.indptr), np.bincount(block.indices, minlength=rows.n_items)


def _rows(folder: SharedFolder, n_items: int, place: tuple[str, np.ndarray]) -> csr_matrix:
    """In a task: the rows of some users of a block, who count from its first."""
    name, users = place
    return folder.load_matrix(name, n_items)[users]


def _cut(folder: SharedFolder, n_items: int, bounds: Sequence[int], block: tuple[str, int]) -> str:
    """In a task: leave the pairs of a block of users by item, a row group for each block of items, which begin at 0 and
    at the bounds; returns the file's name."""
    name, first_user = block
    by_item = folder.load_matrix(name, n_items).T.tocsr()
    item = np.repeat(np.arange(n_items, dtype=np.int32), np.diff(by_item.indptr))
    table = pa.table({"item": item, "user": by_item.indices + np.int32(first_user), "value": by_item.data})
    ends = by_item.indptr[[*bounds, n_items]].tolist()
    groups = [table.slice(first, last - first) for first, last in zip([0, *ends], ends, strict=False)]
    own = f"cut-{uuid4().hex}.parquet"
    folder.save_groups(own, groups)
    return own


def _by_item(folder: SharedFolder, cut: Sequence[str], n_users: int, block: tuple[int, slice]) -> str:
    """In a task: make a block of items from its row group of each file, which ascend by user; returns its name."""
    number, place = block
    groups = [folder.table(name).group(number) for name in cut]
    item, user, value = (
        np.concatenate([group[name].to_numpy() for group in groups]) for name in ("item", "user", "value")
    )
    order = np.argsort(item, kind="stable")
    counts = np.bincount(item - place.start, minlength=place.stop - place.start)
    ends = np.concatenate([[0], np.cumsum(counts)])
    name = f"items-{uuid4().hex}"
    folder.save_matrix(name, csr_matrix((value[order], user[order], ends), shape=(counts.size, n_users)))
    return name
