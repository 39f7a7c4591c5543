"""Checks of the refit, which is the model served."""

import numpy as np

from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.model.als import Factors

MAX_DROP = 0.01
"""A refit may be worse than the candidate by this share, or by what its users' interval cannot tell from 0: two fits of
one recipe differ by 0.5% where 1,500 users are measured (standard deviation over seeds), by 1.3% where 435 are."""


def defect_of_refit(
    refit: Factors,
    champion_item_factors: np.ndarray | None,
    *,
    ndcg_refit: np.ndarray,
    ndcg_candidate: np.ndarray,
    overlap: float,
    min_overlap: float,
    seed: int,
) -> str | None:
    """The defect of a refit that keeps it from being served, or None.

    ndcg_*: of each user of the holdout with nothing filtered; the refit has seen it, so it must not do worse than the
    candidate that had not, by more than MAX_DROP and beyond doubt. overlap: mean share of the candidate's first 20
    items that are in the refit's. The median norm of its item factors must lie within a factor of 4 of the champion's,
    where there is one of as many factors.
    """
    if defect := refit.defect():
        return defect
    after, before = (float(ndcg.mean()) if ndcg.size else 0.0 for ndcg in (ndcg_refit, ndcg_candidate))
    if after < (1 - MAX_DROP) * before and relative_difference(ndcg_refit, ndcg_candidate, seed).high < 0:
        return f"having seen the holdout it does worse on it than the candidate: {after:.4f}, {before:.4f}"
    if overlap < min_overlap:
        return f"its lists share {overlap:.1%} with the candidate's, {min_overlap:.1%} are asked for"
    if champion_item_factors is not None and champion_item_factors.shape[1] == refit.item_factors.shape[1]:
        ratio = _norm(refit.item_factors) / _norm(champion_item_factors)
        if not 0.25 <= ratio <= 4:
            return f"the norms of its item factors are {ratio:.2f} times the champion's"
    return None


def _norm(rows: np.ndarray) -> float:
    norms = np.linalg.norm(rows[rows.any(axis=1)], axis=1)
    return float(np.median(norms)) if norms.size else 1.0
