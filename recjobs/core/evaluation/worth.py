"""What finished lists were worth: the share of later interactions that stood in the list that was live for the user.

Of the distinct (user, item) pairs taken after a batch went live, counted is the share whose item was among the first k
of the user's list; beside it, the share that a popular list and each user's own most frequent items would have hit.
This is no experiment: people also take what they are shown elsewhere, and what they would have taken anyway.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.bootstrap import Interval
from recjobs.core.evaluation.metrics import hits
from recjobs.core.model.compiled import newest
from recjobs.core.rows.interactions import Interactions

KS = (5, 10, 20)
Z = 1.959964
"""The 97.5% quantile of the normal distribution."""


def hit_share(hit: np.ndarray, taken: np.ndarray) -> Interval:
    """The share of taken pairs that were hit, with its 95% interval; hit, taken: counts by user, (n_users,).

    The interval is that of a ratio whose users are clusters, by linearization (Cochran 1977, section 6.3). It is NaN
    for a single user. taken must not be 0 in total.
    """
    total = float(taken.sum())
    share, n = float(hit.sum()) / total, taken.size
    if n < 2:
        return Interval(share, np.nan, np.nan)
    residuals = hit - share * taken
    error = Z * float(np.sqrt(n / (n - 1) * np.square(residuals).sum())) / total
    return Interval(share, max(0.0, share - error), min(1.0, share + error))


def popular_lists(order: np.ndarray, kept_out: csr_matrix | None, n_users: int, k: int) -> np.ndarray:
    """The first k of a popular list for each user, without what is kept out of the user's list.

    order: item_idx, best first, -1 for an item that is gone; kept_out: (n_users, n_items) or None. Returns
    (n_users, k) item_idx, -1 behind the end.
    """
    if kept_out is None:
        top = order[:k]
        return np.tile(np.pad(top, (0, k - top.size), constant_values=-1), (n_users, 1))
    lists = np.full((n_users, k), -1, np.int64)
    for first in range(0, n_users, 4096):  # bounds the dense block
        block = kept_out[first : first + 4096]
        free = (block[:, np.maximum(order, 0)].toarray() <= 0) | (order < 0)
        rank = np.cumsum(free, axis=1) - 1
        row, place = np.nonzero(free & (rank < k))
        lists[first + row, rank[row, place]] = order[place]
    return lists


def own_items(
    before: Interactions, users: np.ndarray, kept_out: csr_matrix | None, k: int, place_of: np.ndarray
) -> np.ndarray:
    """Each user's own k most frequent items, of equally frequent ones the latest, of equally late ones by `place_of`.

    kept_out: the users' rows, or None; place_of: (n_items,), each item's place in the order of ids.
    Returns (n_users, k) item_idx, -1 behind the end.
    """
    row_of = np.full(before.n_users, -1, np.int64)
    row_of[users] = np.arange(users.size)
    part = before.liked()
    part = part.where(row_of[part.user_idx] >= 0)
    key, latest = row_of[part.user_idx] * part.n_items + place_of[part.item_idx], part.occurred_at
    if (key[1:] < key[:-1]).any():  # rows from `validate` of ascending users are sorted already, if ids are
        order = np.argsort(key, kind="stable")
        key, latest = key[order], latest[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    row, place = np.divmod(key[begins], max(1, part.n_items))
    item, counts = np.argsort(place_of)[place], np.diff(begins, append=key.size)
    latest = np.maximum.reduceat(latest, begins) if begins.size else latest
    if kept_out is not None and row.size:
        free = np.asarray(kept_out[row, item]).ravel() <= 0
        row, item, counts, latest = row[free], item[free], counts[free], latest[free]
    first = newest(row, counts, k, latest)
    row, item = row[first], item[first]
    rank = np.arange(row.size) - np.searchsorted(row, row)
    lists = np.full((users.size, k), -1, np.int64)
    lists[row, rank] = item
    return lists


def worth(
    taken: csr_matrix, lists: dict[str, np.ndarray], groups: dict[str, np.ndarray], view: str
) -> list[dict[str, Any]]:
    """Rows of the evaluations view, without their batch: `hit_share_at_k` of every list, and the number of pairs.

    taken: (n_users, n_items), above 0 for each pair; lists: (n_users, max(KS)) item_idx by name; groups: masks of the
    users by segment. A segment in which nothing was taken has no row.
    """
    n_taken = np.diff(taken.indptr)
    rows: list[dict[str, Any]] = []

    def add(name: str, segment: str, metric: str, value: Interval) -> None:
        low, high = (end if np.isfinite(end) else None for end in (value.low, value.high))
        row = {"model": name, "segment": segment, "view": view, "metric": metric, "value": value.value}
        rows.append(row | {"low": low, "high": high})

    for name, of_users in lists.items():
        hit = np.cumsum(hits(of_users, taken, max(KS)), axis=1)
        for segment, mask in {"all": np.ones(n_taken.size, bool), **groups}.items():
            if n_taken[mask].sum() == 0:
                continue
            n_pairs = float(n_taken[mask].sum())
            add(name, segment, "n_pairs", Interval(n_pairs, np.nan, np.nan))
            for k in KS:
                add(name, segment, f"hit_share_at_{k}", hit_share(hit[mask, k - 1], n_taken[mask]))
    return rows
