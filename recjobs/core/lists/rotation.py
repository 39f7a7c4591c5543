"""Rotation: items that lists have shown in so many nights, and their users have not taken, stand behind the others."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists.finished import Lists

PLACES = 20
"""The most first places of a list whose items count as shown: so many are answered if a caller asks for no number."""


@dataclass(frozen=True, eq=False)
class Rotation:
    """after: the nights in which an item is shown before it stands behind the others. nights: (n_users, n_items)
    integers, in how many nights each item was among the first places of the user's list and has not been taken since.
    """

    after: int
    nights: csr_matrix

    def of_users(self, first: int, last: int) -> "Rotation":
        """The rotation of some users, who count from 0."""
        return replace(self, nights=self.nights[first:last])

    def applied(self, lists: Lists, users: np.ndarray) -> Lists:
        """The lists of these users (user_idx) in their new order, see `rotated`."""
        return rotated(lists, self.nights_of(lists.ranked.item_idx, users), self.after)

    def nights_of(self, item_idx: np.ndarray, users: np.ndarray) -> np.ndarray:
        """(n_users, n): the nights of each item of these users' lists, 0 behind the end."""
        rows, n_items = self.nights[users], self.nights.shape[1]
        rows.sort_indices()
        pairs = np.repeat(np.arange(users.size, dtype=np.int64), np.diff(rows.indptr)) * n_items + rows.indices
        if not pairs.size:
            return np.zeros(item_idx.shape, np.int64)
        listed = np.arange(users.size, dtype=np.int64)[:, None] * n_items + item_idx
        place = np.minimum(np.searchsorted(pairs, listed), pairs.size - 1)
        is_shown = (pairs[place] == listed) & (item_idx >= 0)
        return np.where(is_shown, rows.data[place], 0).astype(np.int64)


def shown_places(served: int) -> int:
    """The first places of a list, of which at most `served` are answered, whose items count as shown."""
    return min(PLACES, served)


def rotated(lists: Lists, nights: np.ndarray, after: int) -> Lists:
    """Lists ordered by how many times `after` nights each item was shown (`nights`, (n_users or 1, n)), else as before.

    The model's items, those of categories and popular ones are ordered among themselves, and every list keeps its
    items. Scores stay at their places, so that they fall. Reasons move with their items; the lists must have them for
    all places that may rise.
    """
    ranked, places = lists.ranked, np.arange(lists.ranked.item_idx.shape[1])
    part = (places >= lists.n_model[:, None]).astype(np.int64) + (places >= (lists.n_model + lists.n_category)[:, None])
    part[ranked.item_idx < 0] = 3
    turns = nights // after
    order = np.argsort(part * (int(turns.max(initial=0)) + 1) + turns, axis=1, kind="stable")
    because = lists.because
    if because is not None:
        packed = np.zeros(ranked.item_idx.shape, because.packed.dtype)
        packed[:, : because.packed.shape[1]] = because.packed
        because = replace(because, packed=np.take_along_axis(packed, order, axis=1))
    item_idx = np.take_along_axis(ranked.item_idx, order, axis=1)
    return replace(lists, ranked=replace(ranked, item_idx=item_idx), because=because)
