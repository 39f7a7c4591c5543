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
SCORES = {
    "blend": f"the score of the first stage, {_DEVIATIONS}; missing where another generator added the candidate",
    "als": f"the part of ALS in it, {_DEVIATIONS}",
    "neighbours": f"the score by item neighbours, also where `blend` is 0, {_DEVIATIONS}",
    "linear": f"the score by an item-item linear model (EASE), {_DEVIATIONS}; missing for large catalogues",
    "linear_long": f"the same of interactions that count however old they are, {_DEVIATIONS}; missing likewise",
}
OF_PAIRS = {
    **SCORES,
    **{f"{name}_rank": f"the candidate's place by `{name}`, from 1" for name in SCORES},
    "own_confidence": "the confidence in the user's own interactions with the item; 0: none",
    "own_frequency": "how often the user took the item, an interaction of 90 days ago counting half; 0: never",
    "own_last_days": "days since the user last took the item; missing: never",
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
    "rows_per_buyer": "log2 of the number of interactions for each of them",
    "next_last_year": f"popularity in the {SEASON_DAYS} days that followed this day a year ago, as `popular`; missing "
    "where the data does not reach back so far",
    "rise_last_year": f"that, less the popularity in the {SEASON_DAYS} days before that day",
}
OF_USERS = {
    "user_rows": "log2 of 1 + the number of the user's interactions",
    "user_items": "log2 of 1 + the number of items among them",
    "user_last_days": "days since the user's last interaction",
    "user_popular": "the mean of `popular_90d` over the user's interactions",
    "user_novelty": "the mean age of the items that the user took, as they were taken: log2 of 1 + days since somebody "
    "first took them",
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
    buyers = np.bincount(liked.distinct_pairs() % n, minlength=n)
    columns["buyers"] = np.log2(1 + buyers)
    columns["rows_per_buyer"] = np.log2(np.maximum(1, np.bincount(liked.item_idx, minlength=n)) / np.maximum(1, buyers))
    reach, missing = float(age.max(initial=0)), np.full(n, np.nan)
    after = popular((age <= 365) & (age > 365 - SEASON_DAYS)) if reach >= 365 else missing
    before = popular((age > 365) & (age <= 365 + SEASON_DAYS)) if reach >= 365 + SEASON_DAYS else missing
    columns["next_last_year"], columns["rise_last_year"] = after, after - before
    return _table(columns, OF_ITEMS)


def user_features(interactions: Interactions, now: int, items: np.ndarray) -> np.ndarray:
    """(n_users, OF_USERS) float32, at `now` (microseconds). items: `item_features` of the same."""
    n, age = interactions.n_users, (now - interactions.occurred_at) / DAY
    newest = np.full(n, np.inf)
    np.minimum.at(newest, interactions.user_idx, age)

    def mean(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        user = interactions.user_idx[known]
        total, count = np.bincount(user, values[known], n), np.bincount(user, minlength=n)
        return np.asarray(np.divide(total, count, out=np.full(n, np.nan), where=count > 0))

    of_items = dict(zip(OF_ITEMS, items.T.astype(np.float64), strict=True))
    first_days = of_items["first_days"][interactions.item_idx]
    columns = {
        "user_popular": mean(of_items["popular_90d"][interactions.item_idx]),
        "user_novelty": mean(np.log2(1 + np.maximum(0, first_days - age))),
        "user_rows": np.log2(1 + np.bincount(interactions.user_idx, minlength=n)),
        "user_items": np.log2(1 + np.bincount(interactions.distinct_pairs() // interactions.n_items, minlength=n)),
        "user_last_days": np.where(np.isfinite(newest), newest, np.nan),
    }
    return _table(columns, OF_USERS)


def pair_features(
    listed: np.ndarray, scores: Mapping[str, np.ndarray | None], own: Mapping[str, np.ndarray]
) -> np.ndarray:
    """(n_users, places, OF_PAIRS) float32; listed: (n_users, places) item_idx, -1: none.

    scores: each generator's, (n_users, places), NaN or None: missing; own: the features that begin with own_, likewise.
    """
    columns: dict[str, np.ndarray] = {**own}
    for name, values in scores.items():
        if values is None:
            columns[name] = columns[f"{name}_rank"] = np.full(listed.shape, np.nan)
            continue
        valid = (listed >= 0) & np.isfinite(values)
        rounded = _standardised(values.astype(np.float64), valid)
        columns[name] = np.where(valid, rounded, np.nan)
        order = np.argsort(np.where(valid, -rounded, np.inf), axis=1, kind="stable")
        rank = np.empty(listed.shape)
        np.put_along_axis(rank, order, np.arange(1.0, listed.shape[1] + 1)[None].repeat(len(listed), 0), axis=1)
        columns[f"{name}_rank"] = np.where(valid, rank, np.nan)
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
