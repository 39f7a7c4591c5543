"""Item neighbours: items that the same users took, by the cosine of their TF-IDF rows (implicit's TFIDFRecommender)."""

import warnings
from dataclasses import dataclass

import numpy as np
from implicit.nearest_neighbours import TFIDFRecommender
from implicit.utils import ParameterWarning
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Blend:
    """What neighbours add to the scores of some users.

    rows: (n_users, n_items), each user's confidence; similarity: (n_items, n_items); weight: their share in the score,
    1: nothing else counts.
    """

    rows: csr_matrix
    similarity: csr_matrix
    weight: float

    def of(self, users: slice | np.ndarray) -> "Blend":
        """The same for some of the users."""
        return Blend(self.rows[users], self.similarity, self.weight)

    def among(self, columns: np.ndarray) -> "Blend":
        """The same for some of the items."""
        return Blend(self.rows, self.similarity[:, columns].tocsr(), self.weight)

    def add_to(self, values: np.ndarray, first: int, last: int) -> np.ndarray:
        """Add what neighbours say of the users first to last - 1 to their scores by ALS, (last - first, n_items).

        Both count in standard deviations of that user's scores, and the sum is given in the unit of ALS, so that a
        weight of 0 changes nothing; at weight 1 it is what neighbours say alone. Returns which users have any.
        """
        found = (self.rows[first:last] @ self.similarity).tocsr()
        user = np.repeat(np.arange(last - first), np.diff(found.indptr))
        total = np.bincount(user, found.data, last - first)
        if self.weight == 1:
            values[:] = 0
            values[user, found.indices] = found.data
            return np.asarray(total > 0)
        mean = total / values.shape[1]
        squares = np.bincount(user, found.data.astype(np.float64) ** 2, last - first) / values.shape[1]
        spread = np.sqrt(np.maximum(squares - mean**2, 0))
        unit = self.weight / (1 - self.weight) * values.std(axis=1)
        factor = np.divide(unit, spread, out=np.zeros_like(spread), where=spread > 0)
        values -= (factor * mean).astype(np.float32)[:, None]
        values[user, found.indices] += (factor[user] * found.data).astype(np.float32)
        return np.asarray(total > 0)


def similarity_of(user_items: csr_matrix, n_neighbours: int, threads: int = 0) -> csr_matrix:
    """(n_items, n_items), the n_neighbours most similar items in each row, the item itself among them."""
    model = TFIDFRecommender(K=n_neighbours, num_threads=threads)
    with warnings.catch_warnings(action="ignore", category=ParameterWarning), np.errstate(invalid="ignore"):
        model.fit(user_items, show_progress=False)
    similarity: csr_matrix = model.similarity.astype(np.float32).tocsr()
    # An item that only somebody with nearly all items took has TF-IDF 0, and an angle to nothing.
    similarity.data = np.nan_to_num(similarity.data, nan=0.0, posinf=0.0, neginf=0.0)
    return similarity
