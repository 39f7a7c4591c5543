"""Ranking metrics with binary gain, per user, over the whole catalogue.

For a user with holdout items T and a list of length k with hits at ranks r (from 1):

    recall@k = hits / |T|
    ndcg@k   = sum of 1/log2(1+r) over hits / the same sum for min(k, |T|) hits at the top
    map@k    = mean over min(k, |T|) of precision at each hit
    hit@k    = 1 if there is a hit

Means are over users with |T| > 0 (Jarvelin & Kekalainen 2002 with binary gain). `ranx` agrees, except that its map@k
divides by |T|, so that a user with more than k holdout items cannot reach 1.
"""

import numpy as np
from scipy.sparse import csr_matrix

PER_USER = ("ndcg", "recall", "map", "hit")


def hits(lists: np.ndarray, holdout: csr_matrix, k: int) -> np.ndarray:
    """Whether each list's item at each rank is in the user's holdout; (n_users, k) bool.

    lists: (n_users, >= 1) item_idx, -1 for none; holdout: (n_users, n_items), the same users row by row.
    """
    top = lists[:, :k]
    rows = np.repeat(np.arange(holdout.shape[0], dtype=np.int64), np.diff(holdout.indptr))
    truth = np.sort(rows * holdout.shape[1] + holdout.indices)
    listed = np.arange(len(top), dtype=np.int64)[:, None] * holdout.shape[1] + top
    hit = are_among(listed, truth) & (top >= 0)
    return np.pad(hit, ((0, 0), (0, max(0, k - hit.shape[1]))))


def are_among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Which values are among the ascending ones; NumPy's `isin` hashes both sides, which takes longer."""
    if not ascending.size:
        return np.zeros(values.shape, bool)
    return np.asarray(ascending[np.minimum(np.searchsorted(ascending, values), ascending.size - 1)] == values)


def per_user(lists: np.ndarray, holdout: csr_matrix, k: int) -> dict[str, np.ndarray]:
    """Each of PER_USER for each user; (n_users,) float64, NaN where the user's holdout is empty."""
    hit = hits(lists, holdout, k)
    size = np.diff(holdout.indptr)
    gains = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0], np.cumsum(gains)])[np.minimum(size, k)]
    precision = np.cumsum(hit, axis=1) / np.arange(1, k + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = {
            "ndcg": hit @ gains / best,
            "recall": hit.sum(axis=1) / size,
            "map": (precision * hit).sum(axis=1) / np.minimum(size, k),
            "hit": hit.any(axis=1).astype(np.float64),
        }
    return {name: np.where(size > 0, value, np.nan) for name, value in result.items()}


def of_lists(lists: np.ndarray, popularity: np.ndarray, eligible: np.ndarray) -> dict[str, float]:
    """Metrics of all lists together, without the holdout.

    coverage: share of eligible items in at least one list. gini: inequality of how often eligible items are shown, 0
    for equal counts, near 1 where one item takes all. novelty: mean -log2 of an item's share of all pairs (an item
    without users counts as if it had one).
    """
    shown = np.bincount(lists[lists >= 0], minlength=eligible.size)[eligible]
    if shown.sum() == 0:
        return {"coverage": 0.0, "gini": 0.0, "novelty": 0.0}
    ordered = np.sort(shown).astype(np.float64)
    n = ordered.size
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))
    share = np.maximum(popularity, 1) / max(1, popularity.sum())
    return {
        "coverage": float((shown > 0).mean()),
        "gini": gini,
        "novelty": float(-np.log2(share[lists[lists >= 0]]).mean()),
    }
