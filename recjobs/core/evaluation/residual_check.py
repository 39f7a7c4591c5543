"""Whether factors follow from data: the residuals of ALS' equations.

A row's factors x solve A x = b, where A and b depend on the other side's factors and the row's confidence (Hu, Koren &
Volinsky 2008). The residual b - A x is small if the model was fit on these interactions, and large if rows were
shuffled, or other data or none was used. Its projection on what some interactions add to b - A x tells whether the
model knew these.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.als import Factors, known_rows, row_regularization
from recjobs.core.recipe import Recipe
from recjobs.core.rows.by_blocks import activity_of, items_of, rows_of_items, rows_of_users
from recjobs.core.rows.interactions import Interactions, RowBlocks

SAMPLE = 1_000
"""Rows sampled of each side: half those with the most in the holdout, half at random."""
NEWEST = 0.01
"""Share of the train part that counts as newest."""
SOLVED = 1e-9
"""Residuals below this count as 0: implicit's solver stops at a norm of 1e-10."""
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Trace:
    """left_of_items, left_of_users: sum of |b - A x| over sampled rows, relative to that of |b|; 0: they follow. Items
    are solved last, users for the items of the step before, so that users are compared at the best common scale.

    holdout: how much of what the holdout adds is in the factors; 0: none, 1: all. newest_missing: how much of what the
    newest hundredth of the train part adds is not; 0 where all have one time, as without times. holdout is the larger
    of the two sides, newest_missing the smaller.
    """

    left_of_items: float
    left_of_users: float
    holdout: float
    newest_missing: float

    def to_json(self) -> dict[str, float | None]:
        """Plain JSON; null for values that are not finite."""
        return {name: float(value) if np.isfinite(value) else None for name, value in asdict(self).items()}


def trace(factors: Factors, train: RowBlocks, holdout: Interactions, recipe: Recipe, now: int, seed: int) -> Trace:
    """The trace in sampled rows that the factors know and that have interactions in the train part.

    The factors are finite; now is the instant of the fit, in microseconds.
    """
    rng = np.random.default_rng(seed)
    first_new = _first_of_newest(train) if len(train) else now
    has_older = any((block.occurred_at < first_new).any() for block in train.blocks())
    left, of_holdout, of_newest = [], [], []
    for axis in (1, 0):
        own, other = (factors.user_factors, factors.item_factors)[:: 1 - 2 * axis]
        rows = _sampled(train, holdout, axis, known_rows(own), rng)
        own, part, later = own[rows], _of_rows(train, axis, rows), _of_rows(holdout, axis, rows)
        older = part.where(part.occurred_at < first_new)
        tonight, before, after = (
            _weighted(each, recipe, now, axis, rows) for each in (part, older, part.joined(later))
        )
        wanted, solved = _products(tonight, _above_one(tonight), own, other)
        of_all = own @ (other.T @ other)
        solved += of_all + row_regularization(tonight, recipe).astype(np.float32)[:, None] * own
        as_left = np.linalg.norm(wanted - solved, axis=1) < SOLVED
        gap = wanted - (solved if axis else _scaled(solved, wanted))
        gap[as_left] = 0
        left.append(_norm(gap) / max(_norm(wanted), 1e-30))
        of_holdout.append(_share(-gap, tonight, after, own, other))
        of_newest.append(_share(gap, before, tonight, own, other) if has_older else 0.0)
    return Trace(left[0], left[1], max(of_holdout), min(of_newest))


def _first_of_newest(rows: RowBlocks) -> int:
    """The instant of the oldest row among the newest: the quantile 1 - NEWEST, or the next value above it."""
    n = len(rows) - int(np.ceil((len(rows) - 1) * (1 - NEWEST)))
    newest = np.zeros(0, np.int64)
    for block in rows.blocks():
        newest = np.concatenate([newest, block.occurred_at])
        if newest.size > n:
            newest = np.partition(newest, newest.size - n)[-n:]
    return int(newest.min())


def _sampled(
    train: RowBlocks, holdout: Interactions, axis: int, known: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    n_train, n_holdout = _counts(train, axis), _counts(holdout, axis)
    askable = np.flatnonzero(known & (n_train > 0))
    if askable.size <= SAMPLE:
        return askable
    order = rng.permutation(askable)
    order = order[np.argsort(-n_holdout[order] / n_train[order], kind="stable")]
    return np.sort(np.concatenate([order[: SAMPLE // 2], rng.permutation(order[SAMPLE // 2 :])[: SAMPLE // 2]]))


def _counts(rows: RowBlocks, axis: int) -> np.ndarray:
    return items_of(rows) if axis else activity_of(rows)


def _of_rows(rows: RowBlocks, axis: int, asked: np.ndarray) -> Interactions:
    return rows_of_items(rows, asked) if axis else rows_of_users(rows, asked)


def _weighted(interactions: Interactions, recipe: Recipe, now: int, axis: int, rows: np.ndarray) -> csr_matrix:
    matrix = interactions.confidence(recipe, now)
    return recipe.alpha * (matrix.T.tocsr() if axis else matrix)[rows]


def _above_one(weighted: csr_matrix) -> csr_matrix:
    """The weight of each pair above that of a missing one."""
    result = weighted.copy()
    result.data = result.data - np.float32(1)
    return result


def _products(
    weighted: csr_matrix, above_one: csr_matrix, own: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(b; A x less the terms common to all rows)"""
    scored = above_one.copy()
    row = np.repeat(np.arange(len(own), dtype=np.int32), np.diff(scored.indptr))
    per_block = max(1, _BLOCK // other.shape[1])
    for first in range(0, scored.nnz, per_block):
        here = slice(first, first + per_block)
        scored.data[here] *= np.einsum("ij,ij->i", other[scored.indices[here]], own[row[here]])
    return weighted @ other, scored @ other


def _share(gap: np.ndarray, less: csr_matrix, more: csr_matrix, own: np.ndarray, other: np.ndarray) -> float:
    """The share of what `more` adds to the equations beyond `less` that is in a gap, -1 to 1.

    The mean of the rows' projections, weighted by the norm of what is added.
    """
    wanted, solved = _products(more - less, _above_one(more) - _above_one(less), own, other)
    pull = wanted - solved
    strength = np.linalg.norm(pull, axis=1)
    pulled = strength > 0
    if not pulled.any():
        return 0.0
    pull, strength = pull[pulled], strength[pulled]
    return float(np.average(np.clip((gap[pulled] * pull).sum(axis=1) / strength**2, -1, 1), weights=strength))


def _scaled(solved: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    size = float((solved**2).sum())
    return solved * np.float32((solved * wanted).sum() / size) if size > 0 else solved


def _norm(rows: np.ndarray) -> float:
    return float(np.linalg.norm(rows, axis=1).sum())
