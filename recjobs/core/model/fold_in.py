"""What each interaction adds to its user's vector and scores (Hu, Koren & Volinsky 2008, section 5).

A user's vector solves A x = sum of c_j y_j over their history, A = Y'Y + lambda I + sum of (c_j - 1) y_j y_j'. So it is
a sum over the history, of shares c_j A^-1 y_j; the inner product of a share with an item's factors is what that
interaction adds to the item's score.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.als import known_rows, row_regularization
from recjobs.core.model.ranking import in_threads
from recjobs.core.recipe import Recipe

NUMBERS = 1 << 19
"""Numbers in a batch of shares: with its intermediate results it about fits into one core's cache."""
_BY_LAPACK = 16


@dataclass(frozen=True)
class Shares:
    """Users with histories of about the same length. rows: (b,), the users; item_idx: (b, h), their histories in order
    of item_idx, -1 behind the end; confidence: (b, h), before alpha; of_vector: (b, h, factors), the shares."""

    rows: np.ndarray
    item_idx: np.ndarray
    confidence: np.ndarray
    of_vector: np.ndarray


class FoldIn:
    """Folds users in with fixed item_factors (n_items, factors), as `fold_in` does, and keeps the shares."""

    def __init__(self, item_factors: np.ndarray, recipe: Recipe, threads: int = 1) -> None:
        self.recipe, self.threads = recipe, threads
        self.known = known_rows(item_factors)
        self.padded = np.vstack([item_factors, np.zeros((1, item_factors.shape[1]), np.float32)])  # row -1: of no item
        self.gram = item_factors.T @ item_factors
        self._solvers: dict[float, _Solver] = {}

    def of(self, user_items: csr_matrix) -> tuple[np.ndarray, list[Shares]]:
        """(each user's vector, (n_users, factors); the shares it is the sum of): one exact solve per user, independent
        of the other users.

        Shares hold `factors` numbers for each interaction: pass some thousand users at a time, see `blocks`. An
        interaction with an unknown item has a share of zeros; a user without interactions is in no Shares.
        """
        user_items = user_items.sorted_indices()
        vectors = np.zeros((user_items.shape[0], len(self.gram)), np.float32)
        usable = self.recipe.alpha * user_items
        usable.data[~self.known[usable.indices]] = 0
        regularization = row_regularization(usable, self.recipe)
        result = []
        for value in np.unique(regularization):
            solver = self._solver(float(value))
            batches = _alike(np.diff(user_items.indptr), regularization == value, len(self.gram))
            result += in_threads(partial(solver.of, user_items), batches, self.threads)
        for shares in result:
            vectors[shares.rows] = shares.of_vector.sum(axis=1)
        return vectors, result

    def _solver(self, regularization: float) -> "_Solver":
        if regularization not in self._solvers:
            left = self.gram + np.float32(regularization) * np.eye(len(self.gram), dtype=np.float32)
            self._solvers[regularization] = _Solver(self.padded, left, np.float32(self.recipe.alpha))
        return self._solvers[regularization]


def blocks(user_items: csr_matrix, first: int, last: int, factors: int, most: int = 1 << 24) -> Iterator[slice]:
    """Neighbouring users from first to last - 1 whose shares come to about `most` numbers together."""
    ends = user_items.indptr[first : last + 1].astype(np.int64) * factors
    while first < last:
        taken = int(np.searchsorted(ends - ends[0], most, side="right")) - 1
        taken = min(max(1, taken), last - first)
        yield slice(first, first + taken)
        first, ends = first + taken, ends[taken:]


def _alike(lengths: np.ndarray, among: np.ndarray, factors: int) -> Iterator[np.ndarray]:
    """Users in batches of histories of about equal length. Rounding depends on a user's own length alone, so that the
    result does not depend on the other users."""
    rounded = _rounded(lengths)
    for length in np.unique(rounded[among & (lengths > 0)]):
        rows = np.flatnonzero(among & (rounded == length) & (lengths > 0))
        size = max(1, NUMBERS // (int(length) * factors))
        yield from (rows[first : first + size] for first in range(0, rows.size, size))


def _rounded(lengths: np.ndarray) -> np.ndarray:
    """Lengths rounded up to an eighth of the power of two below: at most an eighth of a batch is padding."""
    step = np.exp2(np.maximum(np.floor(np.log2(np.maximum(lengths, 1))) - 3, 0)).astype(np.int64)
    return np.asarray(-(-lengths // step) * step)


class _Solver:
    """Solves for the shares of users with one regularization; left is Y'Y + lambda I."""

    def __init__(self, padded: np.ndarray, left: np.ndarray, alpha: np.float32) -> None:
        self.padded, self.left, self.alpha = padded, left, alpha
        self.solved = (padded @ np.linalg.inv(left.astype(np.float64))).astype(np.float32)

    def of(self, user_items: csr_matrix, rows: np.ndarray) -> Shares:
        starts, lengths = user_items.indptr[rows], np.diff(user_items.indptr)[rows]
        width = int(_rounded(lengths[:1])[0])
        within = np.arange(width) < lengths[:, None]
        source = (starts[:, None] + np.arange(width))[within]
        item_idx = np.full(within.shape, -1, np.int32)
        confidence = np.zeros(within.shape, np.float32)
        item_idx[within], confidence[within] = user_items.indices[source], user_items.data[source]
        weighted = self.alpha * confidence
        above_one = np.where(within, weighted - 1, 0).astype(np.float32)
        taken = self.padded[item_idx]
        if width <= len(self.left):
            # (I + Y_H B^-1 Y_H' (C - I)) R = Y_H B^-1, B = Y'Y + lambda I: the smaller system, by Woodbury's identity
            solved = self.solved[item_idx]
            system = np.matmul(solved, taken.transpose(0, 2, 1)) * above_one[:, None, :]
            system[:, np.arange(width), np.arange(width)] += 1
            shares = np.matmul(_inverse(system), solved)
        else:
            system = np.matmul((taken * above_one[..., None]).transpose(0, 2, 1), taken)
            system += self.left
            shares = np.matmul(taken, _inverse(system))
        shares *= weighted[..., None]
        return Shares(rows, item_idx, confidence, shares)


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """The inverse of each matrix (b, n, n), by halves (Schur complements), as LAPACK takes three times as long on small
    matrices. It does not pivot, so leading blocks must be invertible too: here they are the same problem's with fewer
    factors, or with a shorter history."""
    n = matrices.shape[1]
    if n <= _BY_LAPACK:
        return np.asarray(np.linalg.inv(matrices))
    half = n // 2
    first, right, below = _inverse(matrices[:, :half, :half]), matrices[:, :half, half:], matrices[:, half:, :half]
    to_right, to_below = np.matmul(first, right), np.matmul(below, first)
    result = np.empty_like(matrices)
    last = result[:, half:, half:] = _inverse(matrices[:, half:, half:] - np.matmul(below, to_right))
    np.negative(np.matmul(to_right, last), out=result[:, :half, half:])
    np.negative(np.matmul(last, to_below), out=result[:, half:, :half])
    result[:, :half, :half] = first - np.matmul(result[:, :half, half:], to_below)
    return result
