"""ALS for implicit feedback (Hu, Koren & Volinsky 2008) by implicit's solvers."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix

from recjobs.core.recipe import Recipe


@dataclass(frozen=True)
class Factors:
    """user_factors (n_users, factors) and item_factors (n_items, factors), float32. A row of zeros is unknown."""

    user_factors: np.ndarray
    item_factors: np.ndarray

    def knows_items(self) -> np.ndarray:
        """Which items the model knows."""
        return known_rows(self.item_factors)

    def defect(self) -> str | None:
        """What makes these factors unusable, or None."""
        for name, rows in (("user_factors", self.user_factors), ("item_factors", self.item_factors)):
            if not np.isfinite(rows).all():
                return f"{name} holds values that are not finite"
            if not rows.any():
                return f"{name} is all zeros"
        known = self.item_factors[self.knows_items()]
        if len(known) > 1 and np.ptp(known, axis=0).max() == 0:
            return "every item has the same factors"
        return None


def known_rows(factors: np.ndarray) -> np.ndarray:
    """Which rows are not all zeros."""
    return np.asarray(factors.any(axis=1))


def fit(
    user_items: csr_matrix,
    recipe: Recipe,
    seed: int,
    threads: int = 0,
    start: Factors | None = None,
    iterations: int | None = None,
) -> Factors:
    """Fit a recipe to user_items (n_users, n_items; confidence before alpha).

    start: begin from these factors (rows of zeros are drawn small) instead of a random draw. iterations: instead of the
    recipe's. The result may hold NaN when the input is degenerate: ask `Factors.defect`.
    """
    rng = np.random.default_rng(seed)
    model = _model(recipe, threads)
    model.iterations = recipe.iterations if iterations is None else iterations
    model.user_factors, model.item_factors = (
        _drawn(rng, n, recipe.factors, None if start is None else rows)
        for n, rows in zip(
            user_items.shape, (start.user_factors, start.item_factors) if start else (None, None), strict=True
        )
    )
    with suppress(ModelFitError):  # NaN, which the gate refuses: a broken candidate is a result
        model.fit(user_items, show_progress=False)
    item_factors = _masked(model.item_factors, np.diff(user_items.tocsc().indptr) > 0)
    return Factors(_masked(model.user_factors, np.diff(user_items.indptr) > 0), item_factors)


def fold_in(user_items: csr_matrix, item_factors: np.ndarray, recipe: Recipe, threads: int = 0) -> np.ndarray:
    """The vector of each user (row of user_items) given fixed item factors: one exact solve.

    A user without an interaction in a known item gets zeros.
    """
    known = known_rows(item_factors)
    usable = user_items.copy()
    usable.data = np.where(known[usable.indices], usable.data, 0).astype(np.float32)
    usable.eliminate_zeros()
    model = _model(recipe, threads)
    model.item_factors = np.ascontiguousarray(item_factors, np.float32)
    model.user_factors = np.zeros((usable.shape[0], recipe.factors), np.float32)
    vectors = model.recalculate_user(np.arange(usable.shape[0]), usable)
    return _masked(vectors, np.diff(usable.indptr) > 0)


def aligned(rows: np.ndarray, ids: list[str], new_ids: list[str]) -> np.ndarray:
    """Rows by id in another order; ids that are new get zeros."""
    position = {identifier: row for row, identifier in enumerate(ids)}
    source = np.array([position.get(identifier, -1) for identifier in new_ids], np.int64)
    result = np.zeros((len(new_ids), rows.shape[1]), np.float32)
    result[source >= 0] = rows[source[source >= 0]]
    return result


def _model(recipe: Recipe, threads: int) -> AlternatingLeastSquares:
    return AlternatingLeastSquares(
        factors=recipe.factors,
        alpha=recipe.alpha,
        regularization=recipe.regularization,
        iterations=recipe.iterations,
        num_threads=threads,
    )


def _drawn(rng: np.random.Generator, n: int, factors: int, start: np.ndarray | None) -> np.ndarray:
    drawn = rng.random((n, factors), dtype=np.float32) * np.float32(0.01)
    return drawn if start is None else np.where(start.any(axis=1, keepdims=True), start, drawn).astype(np.float32)


def _masked(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known[:, None], rows, np.float32(0)).astype(np.float32)
