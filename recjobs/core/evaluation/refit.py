"""Checks of the refit, which is the model served."""

import numpy as np

from recjobs.core.model.als import Factors


def defect_of_refit(
    refit: Factors,
    champion_item_factors: np.ndarray | None,
    *,
    ndcg_refit: float,
    ndcg_candidate: float,
    overlap: float,
    min_overlap: float,
) -> str | None:
    """The defect of a refit that keeps it from being served, or None.

    ndcg_*: means on the holdout with nothing filtered; the refit has seen it, so it must not do worse than the
    candidate that had not. overlap: mean share of the candidate's first 20 items that are in the refit's. The median
    norm of its item factors must lie within a factor of 4 of the champion's, where there is one of as many factors.
    """
    if defect := refit.defect():
        return defect
    if ndcg_refit < ndcg_candidate:
        return f"having seen the holdout it does worse on it than the candidate: {ndcg_refit:.4f}, {ndcg_candidate:.4f}"
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
