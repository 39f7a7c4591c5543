"""EASE: an item-item linear model in closed form, for catalogues small enough to invert (Steck, WWW 2019)."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_matrix

from recjobs.core.model.neighbours import drawn_users

MAX_ITEMS = 5000
"""Items with interactions above which there is none: memory grows with the square of them, time with the cube."""
REGULARIZATION = 2.0
"""lambda, in units of the mean of the diagonal of X'X."""


@dataclass(frozen=True, eq=False)
class Linear:
    """weights: (known, known) float32, the weight of each item of a history (row) in the score of an item (column).

    known: item_idx of the items with interactions, ascending.
    """

    weights: np.ndarray
    known: np.ndarray

    @classmethod
    def fit(cls, user_items: csr_matrix) -> "Linear | None":
        """The model of user_items; None where more than MAX_ITEMS items have interactions, or none has."""
        known = np.flatnonzero(np.bincount(user_items.indices, minlength=user_items.shape[1]))
        if not 0 < known.size <= MAX_ITEMS:
            return None
        x = drawn_users(user_items)[:, known].astype(np.float64)
        gram = (x.T @ x).toarray()
        gram[np.diag_indices_from(gram)] += REGULARIZATION * gram.trace() / known.size
        factor, failed = lapack.dpotrf(gram, lower=True, overwrite_a=True)
        if failed:
            return None
        inverse, _ = lapack.dpotri(factor, lower=True, overwrite_c=True)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = np.ascontiguousarray(-inverse / np.diag(inverse), np.float32)  # B = -P / diag(P), by column
        np.fill_diagonal(weights, 0)
        return cls(weights, known)

    def scores(self, histories: csr_matrix) -> np.ndarray:
        """The scores of the known items for users with these histories: (n_users, known) float32."""
        return np.asarray(histories[:, self.known] @ self.weights)

    def at(self, scores: np.ndarray, listed: np.ndarray) -> np.ndarray:
        """The scores of users' listed items, (n_users, places), 0 for unknown ones; listed: item_idx, -1: none."""
        place = np.minimum(np.searchsorted(self.known, listed), self.known.size - 1)
        return np.where(self.known[place] == listed, np.take_along_axis(scores, place, axis=1), np.float32(0))
