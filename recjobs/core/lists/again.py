"""What a user is likely to need again now: their own items, by frequency and by the usual interval between purchases.

Of an item taken on k days (UTC), the first and the last d days apart, the usual interval is d / (k - 1) days. With r,
the time since it was last taken, in such intervals,

    score = f x (1 + min(r, 1 / r)) / 2

f counts the days on which it was taken, each 0.5^(age / 90 days). The second factor is lowest just after a purchase and
highest when the interval has passed; it falls again once the user seems to have given the item up. An item that was
taken on one day only has no interval and is in no list.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists.own_items import HALF_LIFE_DAYS
from recjobs.core.model.ranking import step_of
from recjobs.core.rows.instants import NO_TIME
from recjobs.core.rows.interactions import DAY, Interactions, RowBlocks


@dataclass(frozen=True)
class OwnLists:
    """The lists of all users, one after the other: offsets (n_users + 1,), where each begins; item_idx, scores."""

    offsets: np.ndarray
    item_idx: np.ndarray
    scores: np.ndarray


def again_lists(
    interactions: RowBlocks, now: int, n: int, eligible: np.ndarray, returned: csr_matrix | None = None
) -> OwnLists:
    """Each user's first n eligible items by need, of equal ones the first item; now: in microseconds.

    Rows of negative kinds do not count; returned: user_items of those whose latest row is of such a kind, which are
    left out. Lists are empty without times.
    """
    rows = interactions
    parts = [_needs(block.liked(), now, eligible) for block in rows.blocks()]
    parts.append((np.zeros(0, np.int64), np.zeros(0)))
    pair, need = (np.concatenate(each) for each in zip(*parts, strict=True))
    kept = np.ones(pair.size, bool)
    if returned is not None:
        out = returned.tocoo()
        kept &= ~np.isin(pair, out.row[out.data > 0].astype(np.int64) * rows.n_items + out.col[out.data > 0])
    user, item = np.divmod(pair[kept], max(1, rows.n_items))
    return _first(user, item, need[kept].astype(np.float32), rows.n_users, n)


def _needs(rows: Interactions, now: int, eligible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(user_idx * n_items + item_idx of each pair of more than one day, ascending; how likely it is needed now)."""
    rows = rows.where(eligible[rows.item_idx] & (rows.occurred_at != NO_TIME))
    pair = rows.user_idx.astype(np.int64) * rows.n_items + rows.item_idx
    at = rows.occurred_at
    if not ((pair[1:] > pair[:-1]) | ((pair[1:] == pair[:-1]) & (at[1:] >= at[:-1]))).all():
        order = np.lexsort((at, pair))  # rows from `validate` are sorted already
        pair, at = pair[order], at[order]
    day = at // DAY
    begins = np.flatnonzero(np.diff(pair, prepend=-1))
    if not begins.size:
        return np.zeros(0, np.int64), np.zeros(0)
    is_new_day = np.ones(pair.size, bool)
    is_new_day[1:] = (pair[1:] != pair[:-1]) | (day[1:] != day[:-1])
    n_days = np.add.reduceat(is_new_day, begins, dtype=np.int64)
    frequency = np.add.reduceat(is_new_day * np.exp2(-((now - at) / DAY) / HALF_LIFE_DAYS), begins)
    last = np.append(begins[1:], pair.size) - 1
    usual = n_days > 1
    begins, last, n_days, frequency = begins[usual], last[usual], n_days[usual], frequency[usual]
    interval = (day[last] - day[begins]) / (n_days - 1)
    passed = np.maximum((now - at[last]) / DAY / interval, 1e-9)
    return pair[begins], frequency * (1 + np.minimum(passed, 1 / passed)) / 2


def _first(user: np.ndarray, item: np.ndarray, score: np.ndarray, n_users: int, n: int) -> OwnLists:
    highest = np.zeros(n_users, np.float32)
    np.maximum.at(highest, user, score)
    step = step_of(highest)[user]
    score = np.rint(score / step) * step  # as scores of a model are: not below what another processor rounds
    order = np.lexsort((item, -score, user))
    user, item, score = user[order], item[order], score[order]
    first = np.arange(user.size) - np.searchsorted(user, user) < n
    counts = np.bincount(user[first], minlength=n_users)
    return OwnLists(np.concatenate([[0], np.cumsum(counts)]), item[first].astype(np.int32), score[first])
