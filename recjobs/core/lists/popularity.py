"""Popular items: the simplest list, the baseline of the gate and the last rung of the ladder."""

import numpy as np

from recjobs.core.rows.interactions import DAY, Interactions


def popularity(interactions: Interactions, since: int | None = None) -> np.ndarray:
    """How many users liked each item, from `since` (microseconds) on or ever; shape (n_items,), int64."""
    part = interactions.liked()
    part = part if since is None else part.where(part.occurred_at >= since)
    return np.bincount(part.distinct_pairs() % part.n_items, minlength=part.n_items)


def popular_order(interactions: Interactions, now: int, days: float | None = 30) -> tuple[np.ndarray, np.ndarray]:
    """Items by popularity of the last `days` days, best first, and each one's score in that order.

    Items that were as popular lately rank by popularity of all time, then by index. The score is users lately plus
    a fraction below 1 for all time, so it falls along the list; days=None ranks by all time alone.
    """
    ever = popularity(interactions)
    lately = popularity(interactions, int(now - days * DAY)) if days else np.zeros_like(ever)
    score = lately + ever / (1.0 + ever.max(initial=0)) if days else ever.astype(np.float64)
    order = np.lexsort((np.arange(score.size), -score)).astype(np.int32)
    return order, score[order].astype(np.float32)
