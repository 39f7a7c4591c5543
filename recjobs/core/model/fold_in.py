"""Users' vectors from fixed item factors (Hu, Koren & Volinsky 2008, sections 4 and 5).

A user's vector solves A x = sum of c_j y_j over their history, A = Y'Y + lambda I + sum of (c_j - 1) y_j y_j'. So it is
a sum over the history, of shares c_j A^-1 y_j; the inner product of a share with an item's factors is what that
interaction adds to the item's score.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model import compiled
from recjobs.core.model.als import known_rows, row_regularization
from recjobs.core.model.ranking import CHUNK
from recjobs.core.model.threads import in_threads
from recjobs.core.recipe import Recipe


@dataclass(frozen=True)
class FoldedIn:
    """Users who were folded in. rows: (n_users, n_items), their confidence before alpha, in order of item_idx;
    item_factors: those they were folded in with; factorizations: see `compiled.fold_in`."""

    rows: csr_matrix
    item_factors: np.ndarray
    alpha: float
    factorizations: np.ndarray


class FoldIn:
    """Folds users in with fixed item_factors (n_items, factors), where rows of zeros are unknown items."""

    def __init__(self, item_factors: np.ndarray, recipe: Recipe, threads: int = 1) -> None:
        self.recipe, self.threads = recipe, threads
        self.known = known_rows(item_factors)
        self.item_factors = np.ascontiguousarray(item_factors, np.float32)
        self.gram = compiled.gram(self.item_factors)

    def vectors(self, user_items: csr_matrix) -> np.ndarray:
        """Each user's vector, (n_users, factors): one exact solve, independent of the other users. Interactions with
        unknown items count for nothing; a user without any other has a vector of zeros."""
        return self._solved(user_items.sorted_indices(), None)

    def of(self, user_items: csr_matrix) -> tuple[np.ndarray, FoldedIn]:
        """(each user's vector, what explains it), which is factors x factors numbers for each user: see `blocks`."""
        n_factors = len(self.gram)
        rows = user_items.sorted_indices()
        rows.data = np.ascontiguousarray(rows.data, np.float32)
        kept = np.empty((rows.shape[0], n_factors, n_factors))
        return self._solved(rows, kept), FoldedIn(rows, self.item_factors, self.recipe.alpha, kept)

    def _solved(self, rows: csr_matrix, factorizations: np.ndarray | None) -> np.ndarray:
        rows.data = np.ascontiguousarray(rows.data, np.float32)
        vectors = np.zeros((rows.shape[0], len(self.gram)), np.float32)
        usable = self.recipe.alpha * rows
        usable.data[~self.known[usable.indices]] = 0
        regularization = row_regularization(usable, self.recipe)

        def solve(first: int) -> None:
            place = slice(first, min(first + CHUNK, rows.shape[0]))
            compiled.fold_in(
                rows, place, self.recipe.alpha, self.item_factors, self.gram, regularization, vectors, factorizations
            )

        in_threads(solve, range(0, rows.shape[0], CHUNK), self.threads)
        return vectors


def blocks(n_users: int, factors: int, most: int = 1 << 23) -> Iterator[slice]:
    """All users in turn, so many at a time that factors x factors numbers for each come to about `most`."""
    size = max(1, most // factors**2)
    return (slice(first, min(first + size, n_users)) for first in range(0, n_users, size))
