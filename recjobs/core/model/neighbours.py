"""Item neighbours: items that the same users took, by the cosine of their TF-IDF rows, as implicit weights them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from implicit.nearest_neighbours import normalize, tfidf_weight
from scipy.sparse import csr_matrix, vstack

from recjobs.core.model import compiled
from recjobs.core.model.compiled import neighbour_sums
from recjobs.core.model.threads import in_threads
from recjobs.core.model.user_items import UserItems, whole

PAIRS = 4_000_000
_ROWS = 8
_ITEMS = 64
"""Items whose neighbours a thread looks for at a time."""
SAME = 1e-5
"""Scores that spread by less of the largest one are equal; compiled.c has it too. Equal scores spread by what rounding
adds, which nothing must be made of."""
Sums: TypeAlias = dict[tuple[int, int], np.ndarray]
"""Sums of neighbours by the similarity (its id) and the first user, for blends of the same users that share it."""


@dataclass(frozen=True)
class Blend:
    """Item neighbours' part in the scores of some users.

    rows: (n_users, n_items), each user's confidence; similarity: (n_items, n_items); weight: their share in the score,
    1: neighbours alone.
    """

    rows: UserItems
    similarity: csr_matrix
    weight: float

    def of(self, users: slice | np.ndarray) -> "Blend":
        """The same for some of the users."""
        return Blend(self.rows[users], self.similarity, self.weight)

    def among(self, columns: np.ndarray, similarity: csr_matrix) -> "Blend":
        """The same for some of the items, in ascending order. similarity: `similar_among` of the same columns."""
        return replace(self, similarity=similarity)

    def similar_among(self, columns: np.ndarray) -> csr_matrix:
        """(n_items, columns), the columns of `similarity`."""
        return self.similarity if columns.size == self.similarity.shape[1] else self.similarity[:, columns].tocsr()

    def add_to(
        self, values: np.ndarray, first: int, last: int, sums: Sums | None = None, spread: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add the neighbour scores of users first to last - 1 to their ALS scores, (last - first, n_items).

        Both are scaled to standard deviations of that user's scores, and the sum to the unit of ALS, so that a weight
        of 0 changes nothing; at weight 1 the result is the neighbour scores alone. Returns the factor that each user's
        neighbour scores were multiplied by, (last - first,), 0 where they are all equal; and what was added, None at
        weight 1. sums: those that another blend has left, and where to leave them. spread: the standard deviations of
        the ALS scores, where `values` are those up to rounding only.
        """
        factor, added = np.zeros(last - first, np.float32), np.empty(values.shape, np.float32)
        for here in row_blocks(last - first):
            scores = self._scores_once(first + here.start, first + here.stop, sums)
            if self.weight == 1:
                values[here], factor[here] = scores, scores.any(axis=1)
                continue
            unit = values[here].std(axis=1) if spread is None else spread[here]
            unit = (self.weight / (1 - self.weight) * unit).astype(np.float32)
            factor[here] = compiled.blended(scores, unit, values[here], added[here])
        return factor, None if self.weight == 1 else added

    def _scores_once(self, first: int, last: int, sums: Sums | None) -> np.ndarray:
        if sums is None:
            return self._scores(first, last)
        key = id(self.similarity), first
        if key not in sums:
            sums[key] = self._scores(first, last)
        return sums[key]

    def at(self, listed: np.ndarray) -> np.ndarray:
        """The sums of all users' neighbours at their listed items, (n_users, places); listed: item_idx, -1: none, where
        the value means nothing."""
        result = np.zeros(listed.shape, np.float32)
        for here in row_blocks(len(listed)):
            scores = self._scores(here.start, here.stop)
            result[here] = np.take_along_axis(scores, np.maximum(listed[here], 0).astype(np.int64), axis=1)
        return result

    def _scores(self, first: int, last: int) -> np.ndarray:
        """The sums of users' neighbours, (last - first, n_items): nearly dense for active users, so that a product of
        sparse matrices takes five times as long."""
        return neighbour_sums(whole(self.rows), slice(first, last), self.similarity)


def row_blocks(n: int) -> Iterator[slice]:
    """Neighbouring rows of n, so few that their scores stay in the cache of one core."""
    return (slice(first, min(first + _ROWS, n)) for first in range(0, n, _ROWS))


def drawn_users(user_items: UserItems) -> csr_matrix:
    """A fixed sample of the users with about PAIRS pairs; all where there are no more."""
    if user_items.nnz <= PAIRS:
        return whole(user_items)
    drawn = np.random.default_rng(0).random(user_items.shape[0]) < PAIRS / user_items.nnz
    return user_items[np.flatnonzero(drawn)]


def similarity_of(user_items: UserItems, n_neighbours: int, threads: int = 0) -> csr_matrix:
    """(n_items, n_items), the n_neighbours most similar items in each row, the item itself among them.

    Above PAIRS pairs a fixed sample of users with about that many counts: it tells similarity well enough, and the time
    grows with the square of the history lengths.
    """
    drawn = drawn_users(user_items)
    with np.errstate(invalid="ignore"):
        weighted = normalize(tfidf_weight(drawn.T)).T.tocsr()
    # An item taken only by a user with nearly all items has TF-IDF 0, and no angle.
    weighted.data = np.nan_to_num(weighted.data, nan=0.0, posinf=0.0, neginf=0.0)
    similarity = all_pairs(weighted, n_neighbours, threads).astype(np.float32)
    similarity.data = np.nan_to_num(similarity.data, nan=0.0, posinf=0.0, neginf=0.0)
    return similarity


def all_pairs(weighted: csr_matrix, n: int, threads: int = 0) -> csr_matrix:
    """weighted' weighted, the n highest values of each row, float64; weighted: (n_users, n_items)."""
    weighted = weighted.astype(np.float64)
    by_item, n_items = weighted.T.tocsr(), weighted.shape[1]

    def nearest(first: int) -> csr_matrix:
        return compiled.nearest(weighted, by_item, slice(first, min(first + _ITEMS, n_items)), n)

    found = in_threads(nearest, range(0, n_items, _ITEMS), threads or os.cpu_count() or 1)
    return vstack(found, format="csr") if found else csr_matrix((0, 0))


def as_table(similarity: csr_matrix) -> pa.Table:
    """Item neighbours as a table with a row for each item: item_idx and similarity, lists."""
    offsets = pa.array(similarity.indptr.astype(np.int64))
    columns = {"item_idx": similarity.indices.astype(np.int32), "similarity": similarity.data}
    return pa.table(
        {name: pa.LargeListArray.from_arrays(offsets, pa.array(column)) for name, column in columns.items()}
    )


def of_table(table: pa.Table) -> csr_matrix:
    """The inverse of `as_table`."""
    item_idx, values = (table[name].combine_chunks() for name in ("item_idx", "similarity"))
    arrays = (values.flatten().to_numpy(), item_idx.flatten().to_numpy(), item_idx.offsets.to_numpy())
    return csr_matrix(arrays, shape=(table.num_rows, table.num_rows))
