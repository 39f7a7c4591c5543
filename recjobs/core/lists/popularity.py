"""Popular items: the simplest list, the baseline of the gate and the last rung of the ladder."""

import numpy as np

from recjobs.core.rows.interactions import DAY, Interactions

WINDOWS: dict[str, float | None] = {"popularity_30d": 30, "popularity_all": None}
"""Popular lists by name: the days that each counts, None: all time. The first is the default."""
DEFAULT_WINDOW = next(iter(WINDOWS))


def title(window: str) -> str:
    """The name of a window's list, for people."""
    days = WINDOWS[window]
    return "popular, all time" if days is None else f"popular, last {days:g} days"


def popularity(interactions: Interactions, since: int | None = None) -> np.ndarray:
    """How many users liked each item, from `since` (microseconds) on or ever; shape (n_items,), int64."""
    if since is None:
        return interactions.takers
    return interactions.where(interactions.occurred_at >= since).takers


def popular_order(interactions: Interactions, now: int, days: float | None = 30) -> tuple[np.ndarray, np.ndarray]:
    """Items by popularity of the last `days` days, best first, and each one's score in that order.

    Items that were equally popular in the window rank by popularity of all time, then by index. The score is the
    number of users in the window plus a fraction below 1 for all time, so it falls along the list; days=None ranks by
    all time alone.
    """
    ever = popularity(interactions)
    recent = popularity(interactions, int(now - days * DAY)) if days else np.zeros_like(ever)
    score = recent + ever / (1.0 + ever.max(initial=0)) if days else ever.astype(np.float64)
    order = np.lexsort((np.arange(score.size), -score)).astype(np.int32)
    return order, score[order].astype(np.float32)
