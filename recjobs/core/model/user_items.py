"""user_items as fits and lists see it: a sparse matrix in memory, or one whose rows lie elsewhere."""

from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix


class UserItems(Protocol):
    """(n_users, n_items), confidence or frequency. A csr_matrix is one."""

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""

    @property
    def nnz(self) -> int:
        """Pairs."""

    @property
    def indptr(self) -> np.ndarray:
        """(n_users + 1,): the pairs of all users before each."""

    def __getitem__(self, users: "np.ndarray | slice") -> csr_matrix:
        """The rows of users (user_idx), in memory."""


def takers_of(user_items: UserItems) -> np.ndarray:
    """How many users have each item, (n_items,)."""
    if isinstance(user_items, csr_matrix):
        return np.bincount(user_items.indices, minlength=user_items.shape[1])
    takers: np.ndarray = user_items.takers  # type: ignore[attr-defined]
    return takers


def whole(user_items: UserItems) -> csr_matrix:
    """All rows, in memory."""
    return user_items if isinstance(user_items, csr_matrix) else user_items[np.arange(user_items.shape[0])]
