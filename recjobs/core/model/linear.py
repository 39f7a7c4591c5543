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
    """weights: (known, known) float32, the weight of each item of a history (column) in the score of an item (row).

    place: (n_items,), the row of each item; -1: without interactions.
    """

    weights: np.ndarray
    place: np.ndarray

    @classmethod
    def fit(cls, user_items: csr_matrix) -> "Linear | None":
        """The model of user_items; None where more than MAX_ITEMS items have interactions, or none has."""
        known = np.flatnonzero(np.bincount(user_items.indices, minlength=user_items.shape[1]))
        if not 0 < known.size <= MAX_ITEMS:
            return None
        place = np.full(user_items.shape[1], -1)
        place[known] = np.arange(known.size)
        x = drawn_users(user_items)[:, known].astype(np.float64)
        gram = (x.T @ x).toarray()
        gram[np.diag_indices_from(gram)] += REGULARIZATION * gram.trace() / known.size
        factor, failed = lapack.dpotrf(gram, lower=True, overwrite_a=True)
        if failed:
            return None
        inverse, _ = lapack.dpotri(factor, lower=True, overwrite_c=True)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        # B = -P / diag(P) by column: B[i, j] is what i in a history adds to j, so that a row here is a column of B.
        weights = (-inverse / np.diag(inverse)[:, None]).astype(np.float32)
        np.fill_diagonal(weights, 0)
        return cls(weights, place)

    def at(self, histories: csr_matrix, listed: np.ndarray) -> np.ndarray:
        """The scores of users' listed items: (n_users, places); listed: item_idx, -1: none."""
        result = np.zeros(listed.shape, np.float32)
        for user, items in enumerate(listed):
            own = slice(*histories.indptr[user : user + 2])
            history = self.place[histories.indices[own]]
            scored = np.flatnonzero((items >= 0) & (self.place[items] >= 0))
            used = history >= 0
            taken = self.weights[np.ix_(self.place[items[scored]], history[used])]
            result[user, scored] = (taken * histories.data[own][used]).sum(axis=1)
        return result
