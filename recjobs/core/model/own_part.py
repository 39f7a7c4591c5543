"""The part of a user's own items, by decayed frequency, in the scores of a model."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.neighbours import Blend, Sums
from recjobs.core.model.user_items import UserItems


@dataclass(frozen=True)
class BlendWithOwn(Blend):
    """A blend to which each user's own items are added; weight 0: without neighbours.

    own: (n_users, n_items), how often each user took each item; own_weight: their share in the score, below 1.
    own_unit: (n_users,), what each user's frequencies were multiplied by; `add_to` writes it.
    """

    own: csr_matrix
    own_weight: float
    own_unit: np.ndarray

    @classmethod
    def of_all(
        cls, rows: UserItems, similarity: csr_matrix | None, weight: float, own: csr_matrix, own_weight: float
    ) -> "BlendWithOwn":
        """The blend of all users; similarity: None without neighbours."""
        if similarity is None:
            nothing = np.zeros(0, np.int32)
            similarity = csr_matrix((nothing.astype(np.float32), (nothing, nothing)), shape=(rows.shape[1],) * 2)
        return cls(rows, similarity, weight, own, own_weight, np.zeros(rows.shape[0], np.float32))

    def of(self, users: slice | np.ndarray) -> "BlendWithOwn":
        """The same for some of the users."""
        own = self.own[users]
        unit = np.zeros(own.shape[0], np.float32)
        return BlendWithOwn(self.rows[users], self.similarity, self.weight, own, self.own_weight, unit)

    def among(self, columns: np.ndarray, similarity: csr_matrix) -> "BlendWithOwn":
        """The same for some of the items, with the same own_unit."""
        return replace(self, similarity=similarity, own=self.own[:, columns].tocsr())

    def add_to(
        self, values: np.ndarray, first: int, last: int, sums: Sums | None = None, spread: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add neighbours as `Blend.add_to` does, then the own items of users first to last - 1.

        Frequencies are scaled to standard deviations of that user's scores, for which `values` must be exact. Returns
        the neighbours' unit, and None.
        """
        unit = np.zeros(last - first, np.float32)
        if self.weight:
            unit, _ = super().add_to(values, first, last, sums, spread)
        own = self.own[first:last]
        row = np.repeat(np.arange(last - first), np.diff(own.indptr))
        n, data = values.shape[1], own.data.astype(np.float64)
        mean, square = (np.bincount(row, weights=d, minlength=last - first) / n for d in (data, data**2))
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        scale = self.own_weight / (1 - self.own_weight) * values.std(axis=1)
        factor = np.divide(scale, spread, out=np.zeros_like(spread), where=spread > 0).astype(np.float32)
        values[row, own.indices] += factor[row] * own.data
        self.own_unit[first:last] = factor
        return unit, None
