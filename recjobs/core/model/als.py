"""ALS for implicit feedback (Hu, Koren & Volinsky 2008) by conjugate gradients, as implicit's solver has it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model import compiled
from recjobs.core.model.ranking import Ranked, best_items, step_of
from recjobs.core.model.threads import in_threads
from recjobs.core.model.user_items import UserItems, takers_of, whole
from recjobs.core.recipe import Recipe

SAMPLE, SETTLED = 500, 0.95
"""Convergence: users sampled, and the share of their listed items that must stay the same to end the fit."""
Watch = Callable[[int, np.ndarray, np.ndarray], None]
"""Called with iteration (from 1), user_factors and item_factors."""
Alternation = Callable[[UserItems, np.ndarray, np.ndarray, Recipe, int], Iterator[tuple[np.ndarray, np.ndarray]]]
"""A solver, such as `alternate`."""
MIN_SCALE = 1e-6
"""What the largest score must reach, and the largest difference between items relative to their largest value. ALS fits
scores towards a preference of 1. Where regularization outweighs the data, the exact solution is zero; how far above it
a fit stops is up to rounding in BLAS. On two worlds of 80 and 150 users, with 1 to 64 factors and alpha from 0.001 to
1000, such fits ended at 6e-11 or below and all others at 1e-3 or above."""
FIRST_PAIRS = 4_000_000
"""Above so many pairs a fit from random factors begins with that of users with about as many."""
STEPS = 3
"""Of conjugate gradients, which begin at what the iteration before has found."""
PAIRS = 100_000
"""Pairs that a thread takes at a time: some milliseconds."""
_STEP = 1.1
"""Rows whose regularization differs by less are solved together."""


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
        largest = _longest(self.user_factors) * _longest(self.item_factors)
        if largest < MIN_SCALE:
            return f"no score can exceed {largest:.0e}, where 1 is a preference: regularization outweighs the data"
        known = self.item_factors[self.knows_items()]
        if len(known) > 1 and np.ptp(known, axis=0).max() <= MIN_SCALE * np.abs(known).max():
            return "every item has the same factors"
        return None


@dataclass(frozen=True)
class Fitted(Factors):
    """Factors, the iterations it took to fit them, and the device: cpu, gpu or spark. why_cpu: why not on a gpu; ""
    if it was not asked for."""

    iterations: int = 0
    device: str = "cpu"
    why_cpu: str = ""


def known_rows(factors: np.ndarray) -> np.ndarray:
    """Which rows are not all zeros."""
    return np.asarray(factors.any(axis=1))


def _longest(rows: np.ndarray) -> float:
    """The largest norm of a row. In double precision, where no square of a float32 vanishes or overflows."""
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64).max()))


def fit(
    user_items: UserItems,
    recipe: Recipe,
    seed: int,
    threads: int = 0,
    start: Factors | None = None,
    watch: Watch | None = None,
    solver: Alternation | None = None,
) -> Fitted:
    """Fit a recipe to user_items (n_users, n_items; confidence before alpha).

    Ends after the recipe's iterations, or when a share SETTLED of the first 20 items (at most a quarter of all) of
    SAMPLE users stays the same between two iterations: lists are served, while the loss would fall further.
    start: initial factors (rows of zeros are drawn small) instead of random ones. watch: called after each iteration;
    an exception ends the fit. solver: in place of `alternate`. The result may hold NaN when the input is degenerate,
    see `Factors.defect`.
    """
    rng = np.random.default_rng(seed)
    users = _drawn(rng, user_items.shape[0], recipe.factors, start.user_factors if start else None)
    items = _drawn(rng, user_items.shape[1], recipe.factors, start.item_factors if start else None)
    known_users, known_items = np.diff(user_items.indptr) > 0, takers_of(user_items) > 0
    sample = np.flatnonzero(known_users)
    sample = np.sort(rng.choice(sample, min(SAMPLE, sample.size), replace=False))
    of_sample, before, n = user_items[sample], None, min(20, -(-user_items.shape[1] // 4))
    alternation = (solver or alternate)(user_items, users, items, recipe, threads)
    for taken, (users, items) in enumerate(islice(alternation, recipe.iterations), 1):
        if watch:
            watch(taken, users.astype(np.float32), items.astype(np.float32))
        if not (np.isfinite(items).all() and np.isfinite(users).all()):
            break  # the gate refuses NaN: a broken candidate is a result
        if taken == recipe.iterations:
            break
        sides = users[sample].astype(np.float32), items.astype(np.float32, copy=False)
        lists = best_items(*sides, n, of_sample, known_items, max(1, threads))
        if before is not None and _have_settled(before, lists, *sides):
            break
        before = lists.item_idx
    return Fitted(_masked(users, known_users), _masked(items, known_items), taken)


def start_of_some(user_items: UserItems, recipe: Recipe, seed: int, threads: int = 0) -> Factors | None:
    """Where a fit of many users may begin: that of some, drawn by the seed, with about FIRST_PAIRS pairs; the others'
    rows are zeros. None where there are no more pairs than that. (docs/decisions/0093)
    """
    if user_items.nnz <= FIRST_PAIRS:
        return None
    users = np.flatnonzero(np.random.default_rng(seed).random(user_items.shape[0]) < FIRST_PAIRS / user_items.nnz)
    fitted = fit(user_items[users], recipe, seed, threads)
    if fitted.defect():
        return None
    user_factors = np.zeros((user_items.shape[0], recipe.factors), np.float32)
    user_factors[users] = fitted.user_factors
    return Factors(user_factors, fitted.item_factors)


def weighted_by(recipe: Recipe, confidence: csr_matrix) -> csr_matrix:
    """alpha x confidence."""
    weighted: csr_matrix = (recipe.alpha * confidence).tocsr().astype(np.float32, copy=False)
    return weighted


def alternate(
    user_items: UserItems, users: np.ndarray, items: np.ndarray, recipe: Recipe, threads: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield user_factors and item_factors after each iteration from the initial ones, without end; the arrays are the
    same ones each time, and may be the initial ones."""
    weighted = weighted_by(recipe, whole(user_items))
    transposed = weighted.T.tocsr()
    users, items = users.astype(np.float32, copy=False), items.astype(np.float32, copy=False)
    while True:
        solve_rows(weighted, users, items, recipe, threads)
        solve_rows(transposed, items, users, recipe, threads)
        yield users, items


def _have_settled(before: np.ndarray, lists: Ranked, user_factors: np.ndarray, item_factors: np.ndarray) -> bool:
    """Whether a share SETTLED of earlier lists (item_idx) still belongs there. Which of equal scores are listed does
    not matter: rounding must not decide when a fit ends."""
    scores = np.einsum("uf,unf->un", user_factors, item_factors[before])
    least = np.fmin.reduce(lists.scores, axis=1) - step_of(np.nan_to_num(lists.scores[:, 0]))
    listed = before >= 0
    return bool((listed & (scores >= least[:, None])).sum() >= SETTLED * listed.sum())


def row_regularization(weighted: csr_matrix, recipe: Recipe) -> np.ndarray:
    """lambda of each row of a matrix of alpha x confidence, float64, rounded to a power of 1.1.

    It grows with the weight of the squared errors in that row, 1 for each column and what was observed on top.
    """
    if not recipe.frequency_scaling:
        return np.full(weighted.shape[0], recipe.regularization, np.float64)
    observed = np.asarray(weighted.sum(axis=1)).ravel() / max(1, weighted.shape[1])
    steps = np.round(recipe.frequency_scaling * np.log1p(observed) / np.log(_STEP))
    return np.asarray(recipe.regularization * _STEP**steps)


def solve_rows(weighted: csr_matrix, solved: np.ndarray, fixed: np.ndarray, recipe: Recipe, threads: int = 1) -> None:
    """Improve the factors of some rows in place by STEPS of conjugate gradients (Takács, Pilászy & Tikk 2011), with
    those of the other side fixed; both float32.

    A row's result does not depend on the other rows: a half step may be made block by block, anywhere. Sums are added
    up in one order: they are the same on every processor.
    """
    regularization, squared = row_regularization(weighted, recipe), compiled.gram(fixed)

    def solve(place: slice) -> None:
        compiled.solve_rows(weighted, place, fixed, squared, regularization, STEPS, solved)

    in_threads(solve, blocks_of_pairs(weighted, PAIRS), max(1, threads))


def blocks_of_pairs(matrix: csr_matrix, pairs: int) -> Iterator[slice]:
    """Neighbouring rows with about so many pairs together."""
    ends, first = matrix.indptr.astype(np.int64), 0
    while first < matrix.shape[0]:
        after = max(first + 1, int(np.searchsorted(ends, ends[first] + pairs, side="right")) - 1)
        yield slice(first, after)
        first = after


def aligned(rows: np.ndarray, ids: list[str], new_ids: list[str]) -> np.ndarray:
    """Rows in the order of new_ids; zeros for ids without a row."""
    position = {identifier: row for row, identifier in enumerate(ids)}
    source = np.array([position.get(identifier, -1) for identifier in new_ids], np.int64)
    result = np.zeros((len(new_ids), rows.shape[1]), np.float32)
    result[source >= 0] = rows[source[source >= 0]]
    return result


def _drawn(rng: np.random.Generator, n: int, factors: int, start: np.ndarray | None) -> np.ndarray:
    """Initial factors, centred on 0. implicit's own are positive: strong regularization then leaves nothing but
    popularity for several iterations."""
    drawn = rng.standard_normal((n, factors), np.float32)
    if start is None:
        return drawn * np.float32(0.1)
    return np.where(start.any(axis=1, keepdims=True), start, drawn * np.float32(0.01)).astype(np.float32, copy=False)


def _masked(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known[:, None], rows, np.float32(0)).astype(np.float32, copy=False)
