"""Popular items: the simplest list, the baseline of the gate and the last rung of the ladder."""

from collections.abc import Sequence

import numpy as np

from recjobs.core.rows.interactions import DAY, RowBlocks, takers_of

WINDOWS: dict[str, float | None] = {"popularity_30d": 30, "popularity_all": None}
"""Popular lists by name: the days that each counts, None: all time. The first is the default."""
DEFAULT_WINDOW = next(iter(WINDOWS))


def title(window: str) -> str:
    """The name of a window's list, for people."""
    days = WINDOWS[window]
    return "popular, all time" if days is None else f"popular, last {days:g} days"


def popularity(interactions: RowBlocks, since: int | None = None) -> np.ndarray:
    """How many users liked each item, from `since` (microseconds) on or ever; shape (n_items,), int64."""
    if since is None:
        return interactions.takers
    newer = (block.where(block.occurred_at >= since) for block in interactions.blocks())
    return takers_of(newer, interactions.n_items)


def popular_order(interactions: RowBlocks, now: int, days: float | None = 30) -> tuple[np.ndarray, np.ndarray]:
    """Items by popularity of the last `days` days, best first, and each one's score in that order.

    Items that were equally popular in the window rank by popularity of all time, then by index. The score is the
    number of users in the window plus a fraction below 1 for all time, so it falls along the list; days=None ranks by
    all time alone.
    """
    ever = popularity(interactions)
    recent = popularity(interactions, int(now - days * DAY)) if days else None
    return _in_order(ever, recent)


def popular_in_groups(
    interactions: RowBlocks, now: int, days: float | None, groups: Sequence[str | None]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`popular_order` among the users of each group, by its name; groups: the name of each user's, or None."""
    names = sorted({name for name in groups if name is not None})
    if not names:
        return {}
    place = {name: number for number, name in enumerate(names)}
    group = np.array([-1 if name is None else place[name] for name in groups])
    ever, recent = (np.zeros((len(names), interactions.n_items), np.int64) for _ in range(2))
    for block in interactions.blocks():
        newer = block.where(block.occurred_at >= int(now - days * DAY)) if days else None
        for counts, rows in ((ever, block), (recent, newer)):
            if rows is not None:
                user, item = np.divmod(rows.liked().distinct_pairs(), interactions.n_items)
                known = group[user] >= 0
                np.add.at(counts, (group[user[known]], item[known]), 1)
    return {name: _in_order(ever[row], recent[row] if days else None) for name, row in place.items()}


def _in_order(ever: np.ndarray, recent: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    score = ever.astype(np.float64) if recent is None else recent + ever / (1.0 + ever.max(initial=0))
    order = np.lexsort((np.arange(score.size), -score)).astype(np.int32)
    return order, score[order].astype(np.float32)
