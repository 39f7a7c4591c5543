"""The features by which the second stage orders a user's candidates, all of interactions before an instant.

A table with a row per candidate; FEATURES names its columns and documents them.
"""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.rows.interactions import DAY, Interactions

HALF_LIVES = (3, 7, 14, 30, 90, 365)
"""Days, of popularity."""
SEASON_DAYS = 30
"""How far ahead the features of last year look."""

_DEVIATIONS = "in standard deviations of the user's candidates"
_OF_SCORES = {
    "blend": f"the score of the first stage, {_DEVIATIONS}",
    "als": f"the part of ALS in it, {_DEVIATIONS}",
    "neighbours": f"the score by item neighbours, also where `blend` is 0, {_DEVIATIONS}",
    "linear": f"the score by an item-item linear model (EASE), {_DEVIATIONS}; missing for large catalogues",
}
OF_PAIRS = {
    **_OF_SCORES,
    **{f"{name}_rank": f"the candidate's place by `{name}`, from 1" for name in _OF_SCORES},
    "own_confidence": "the confidence in the user's own interactions with the item; 0: none",
    "own_frequency": "how often the user took the item, an interaction of 90 days ago counting half; 0: never",
}
OF_ITEMS = {
    **{
        f"popular_{days}d": f"popularity with a half-life of {days} days: log2 of the ratio to the mean item"
        for days in HALF_LIVES
    },
    "trend": "`popular_7d` - `popular_90d`",
    "surge": "`popular_3d` - `popular_14d`",
    "first_days": "days since somebody first took the item",
    "last_days": "days since somebody last took it",
    "buyers": "log2 of 1 + the number of users who took it",
    "next_last_year": f"popularity in the {SEASON_DAYS} days that followed this day a year ago, as `popular`; missing "
    "where the data does not reach back so far",
    "rise_last_year": f"that, less the popularity in the {SEASON_DAYS} days before that day",
}
OF_USERS = {
    "user_rows": "log2 of 1 + the number of the user's interactions",
    "user_items": "log2 of 1 + the number of items among them",
    "user_last_days": "days since the user's last interaction",
}
FEATURES: dict[str, str] = {**OF_PAIRS, **OF_ITEMS, **OF_USERS}
"""Meaning of each feature, in the order of the columns."""
DECIMALS = 3
"""Of a feature: the last bits differ by processor, and must not decide on which side of a split a candidate falls."""


def item_features(interactions: Interactions, now: int) -> np.ndarray:
    """(n_items, OF_ITEMS) float32, at `now` (microseconds). Interactions of negative kinds do not count."""
    liked, n = interactions.liked(), interactions.n_items
    age = (now - liked.occurred_at) / DAY
    n_taken = max(1, np.count_nonzero(np.bincount(liked.item_idx, minlength=n)))

    def popular(weights: np.ndarray) -> np.ndarray:
        count = np.bincount(liked.item_idx, weights, n)
        mean = max(count.sum() / n_taken, np.finfo(np.float64).tiny)
        return np.asarray(np.log2((count / mean + 0.05) / 1.05))

    columns = {f"popular_{days}d": popular(np.exp2(-age / days)) for days in HALF_LIVES}
    columns["trend"] = columns["popular_7d"] - columns["popular_90d"]
    columns["surge"] = columns["popular_3d"] - columns["popular_14d"]
    oldest, newest = np.full(n, -np.inf), np.full(n, np.inf)
    np.maximum.at(oldest, liked.item_idx, age)
    np.minimum.at(newest, liked.item_idx, age)
    columns["first_days"] = np.where(np.isfinite(oldest), oldest, np.nan)
    columns["last_days"] = np.where(np.isfinite(newest), newest, np.nan)
    columns["buyers"] = np.log2(1 + np.bincount(liked.distinct_pairs() % n, minlength=n))
    reach, missing = float(age.max(initial=0)), np.full(n, np.nan)
    after = popular((age <= 365) & (age > 365 - SEASON_DAYS)) if reach >= 365 else missing
    before = popular((age > 365) & (age <= 365 + SEASON_DAYS)) if reach >= 365 + SEASON_DAYS else missing
    columns["next_last_year"], columns["rise_last_year"] = after, after - before
    return _table(columns, OF_ITEMS)


def user_features(interactions: Interactions, now: int) -> np.ndarray:
    """(n_users, OF_USERS) float32, at `now` (microseconds)."""
    n = interactions.n_users
    newest = np.full(n, np.inf)
    np.minimum.at(newest, interactions.user_idx, (now - interactions.occurred_at) / DAY)
    columns = {
        "user_rows": np.log2(1 + np.bincount(interactions.user_idx, minlength=n)),
        "user_items": np.log2(1 + np.bincount(interactions.distinct_pairs() // interactions.n_items, minlength=n)),
        "user_last_days": np.where(np.isfinite(newest), newest, np.nan),
    }
    return _table(columns, OF_USERS)


def pair_features(
    listed: np.ndarray, scores: Mapping[str, np.ndarray | None], own: Mapping[str, np.ndarray]
) -> np.ndarray:
    """(n_users, places, OF_PAIRS) float32; listed: (n_users, places) item_idx, -1: none.

    scores: each generator's, (n_users, places), or None: missing; own: `own_confidence` and `own_frequency` likewise.
    """
    valid = listed >= 0
    columns: dict[str, np.ndarray] = {**own}
    for name, values in scores.items():
        if values is None:
            columns[name] = columns[f"{name}_rank"] = np.full(listed.shape, np.nan)
            continue
        rounded = _standardised(values.astype(np.float64), valid)
        columns[name] = rounded
        order = np.argsort(np.where(valid, -rounded, np.inf), axis=1, kind="stable")
        rank = np.empty(listed.shape)
        np.put_along_axis(rank, order, np.arange(1.0, listed.shape[1] + 1)[None].repeat(len(listed), 0), axis=1)
        columns[f"{name}_rank"] = rank
    return _table(columns, OF_PAIRS)


def values_at(rows: csr_matrix, listed: np.ndarray) -> np.ndarray:
    """The values of users' rows at their listed items, (n_users, places); 0 where there is none."""
    user = np.repeat(np.arange(len(listed)), listed.shape[1])
    values = np.asarray(rows[user, np.maximum(listed, 0).ravel()]).reshape(listed.shape)
    return np.where(listed >= 0, values, 0)


def _standardised(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    n = np.maximum(1, valid.sum(axis=1, keepdims=True))
    kept = np.where(valid, values, 0)
    off = np.where(valid, values - kept.sum(axis=1, keepdims=True) / n, 0)
    spread = np.sqrt((off**2).sum(axis=1, keepdims=True) / n)
    return np.asarray(np.round(np.divide(off, spread, out=np.zeros_like(off), where=spread > 0), DECIMALS))


def _table(columns: Mapping[str, np.ndarray], names: Mapping[str, str]) -> np.ndarray:
    table = np.stack([columns[name] for name in names], axis=-1)
    return np.round(table, DECIMALS).astype(np.float32)
