"""What is computed of interactions block by block: matrices and counts of users, without a copy of all rows."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import Interactions, RowBlocks, takers_of


def activity_of(rows: RowBlocks) -> np.ndarray:
    """The number of interactions of each user, (n_users,) int64."""
    activity = np.zeros(rows.n_users, np.int64)
    for block in rows.blocks():
        first = int(block.user_idx.min())
        counts = np.bincount(block.user_idx - first)
        activity[first : first + counts.size] += counts
    return activity


def items_of(rows: RowBlocks) -> np.ndarray:
    """The number of interactions with each item, (n_items,) int64."""
    counts = np.zeros(rows.n_items, np.int64)
    for block in rows.blocks():
        counts += np.bincount(block.item_idx, minlength=rows.n_items)
    return counts


class RowsOfUsers:
    """The rows of some users (user_idx) among others, as `RowBlocks`. activity: of all users, if it is known."""

    def __init__(self, rows: RowBlocks, users: np.ndarray, activity: np.ndarray | None = None) -> None:
        self._rows, self._activity = rows, activity
        self.n_users, self.n_items, self.negative = rows.n_users, rows.n_items, rows.negative
        self._asked = np.zeros(rows.n_users, bool)
        self._asked[users] = True

    def __len__(self) -> int:
        activity = activity_of(self._rows) if self._activity is None else self._activity
        return int(activity[self._asked].sum())

    def blocks(self) -> Iterator[Interactions]:
        """All rows in their order, those of some whole users at a time."""
        for block in self._rows.blocks():
            some = block.where(self._asked[block.user_idx])
            if len(some):
                yield some

    @cached_property
    def takers(self) -> np.ndarray:
        """How many users liked each item, (n_items,), int64; not to be changed."""
        return takers_of(self.blocks(), self.n_items)

    def whole(self) -> Interactions:
        """All rows in memory."""
        return _where(self._rows, lambda block: self._asked[block.user_idx])


def rows_of_users(rows: RowBlocks, users: np.ndarray) -> Interactions:
    """The rows of some users (user_idx), in memory."""
    return RowsOfUsers(rows, users).whole()


def rows_of_items(rows: RowBlocks, items: np.ndarray) -> Interactions:
    """The rows of some items (item_idx), in memory."""
    asked = np.zeros(rows.n_items, bool)
    asked[items] = True
    return _where(rows, lambda block: asked[block.item_idx])


def _where(rows: RowBlocks, mask_of: Callable[[Interactions], np.ndarray]) -> Interactions:
    found = [block.where(mask_of(block)) for block in rows.blocks()]
    return found[0].followed_by(found[1:]) if found else rows.whole()


def confidence_of(rows: RowBlocks, recipe: Recipe, now: int) -> csr_matrix:
    """user_items by a recipe, see `Interactions.confidence`."""
    return matrix_of(rows, lambda block: block.confidence(recipe, now))


def disliked_pairs_of(rows: RowBlocks) -> csr_matrix | None:
    """user_items, see `Interactions.disliked_pairs`."""
    return matrix_of(rows, Interactions.disliked_pairs) if rows.negative else None


def matrix_of(rows: RowBlocks, of_block: Callable[[Interactions], csr_matrix | None]) -> csr_matrix:
    """user_items (n_users, n_items), float32, in canonical form, from those of blocks, which number their users from 0.

    of_block: must give a block no more values than rows; None: no values.
    """
    data, item_idx = np.empty(len(rows), np.float32), np.empty(len(rows), np.int32)
    lengths, end = np.zeros(rows.n_users, np.int64), 0
    for block in rows.blocks():
        first, last = int(block.user_idx.min()), int(block.user_idx.max()) + 1
        part = of_block(replace(block, user_idx=block.user_idx - np.int32(first), n_users=last - first))
        if part is None:
            continue
        lengths[first:last] = np.diff(part.indptr)
        data[end : end + part.nnz], item_idx[end : end + part.nnz] = part.data, part.indices
        end += part.nnz
    ends = np.concatenate([[0], np.cumsum(lengths)])
    matrix = csr_matrix((data[:end], item_idx[:end], ends), shape=(rows.n_users, rows.n_items))
    matrix.has_canonical_format = True  # as each part has; scipy would look
    return matrix
