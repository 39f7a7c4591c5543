"""What finished lists were worth: the share of later interactions that stood in the list that was live for the user.

Of the distinct (user, item) pairs taken after a batch went live, counted is the share whose item was among the first k
of the user's list; beside it, the share that a popular list and each user's own most frequent items would have hit.
This is no experiment: people also take what they are shown elsewhere, and what they would have taken anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    item_of, lists = np.argsort(place_of), np.full((users.size, k), -1, np.int64)
    for block in before.blocks():
        part = block.liked()
        part = part.where(row_of[part.user_idx] >= 0)
        key, latest = row_of[part.user_idx] * part.n_items + place_of[part.item_idx], part.occurred_at
        if (key[1:] < key[:-1]).any():  # rows from `validate` of ascending users are sorted already, if ids are
            order = np.argsort(key, kind="stable")
            key, latest = key[order], latest[order]
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        row, place = np.divmod(key[begins], max(1, part.n_items))
        item, counts = item_of[place], np.diff(begins, append=key.size)
        latest = np.maximum.reduceat(latest, begins) if begins.size else latest
        if kept_out is not None and row.size:
            free = np.asarray(kept_out[row, item]).ravel() <= 0
            row, item, counts, latest = row[free], item[free], counts[free], latest[free]
        first = newest(row, counts, k, latest)
        row, item = row[first], item[first]
        lists[row, np.arange(row.size) - np.searchsorted(row, row)] = item
    return lists


@dataclass(frozen=True)
class Hits:
    """What users took, and how much of it lists had.

    taken: pairs of each user, (n_users,); by_list: of them those among the first k of a list, (n_users, len(KS)), by
    the list's name.
    """

    taken: np.ndarray
    by_list: dict[str, np.ndarray]

    @classmethod
    def of(cls, taken: csr_matrix, lists: Mapping[str, np.ndarray]) -> "Hits":
        """taken: (n_users, n_items), above 0 for each pair; lists: (n_users, max(KS)) item_idx by name."""
        counted = {name: np.cumsum(hits(one, taken, max(KS)), axis=1) for name, one in lists.items()}
        first = np.array(KS) - 1
        return cls(np.diff(taken.indptr), {name: counts[:, first] for name, counts in counted.items()})

    @classmethod
    def joined(cls, parts: Sequence["Hits"]) -> "Hits":
        """Those of several parts of the users, at least one."""
        lists = {name: np.concatenate([part.by_list[name] for part in parts]) for name in parts[0].by_list}
        return cls(np.concatenate([part.taken for part in parts]), lists)


def worth(found: Hits, groups: Mapping[str, np.ndarray], view: str) -> list[dict[str, Any]]:
    """Rows of the evaluations view, without their batch: `hit_share_at_k` of every list, and the number of pairs.

    groups: masks of the users by segment. A segment in which nothing was taken has no row.
    """
    rows: list[dict[str, Any]] = []

    def add(name: str, segment: str, metric: str, value: Interval) -> None:
        low, high = (end if np.isfinite(end) else None for end in (value.low, value.high))
        row = {"model": name, "segment": segment, "view": view, "metric": metric, "value": value.value}
        rows.append(row | {"low": low, "high": high})

    for name, hit in found.by_list.items():
        for segment, mask in {"all": np.ones(found.taken.size, bool), **groups}.items():
            n_taken = found.taken[mask]
            if n_taken.sum() == 0:
                continue
            add(name, segment, "n_pairs", Interval(float(n_taken.sum()), np.nan, np.nan))
            for place, k in enumerate(KS):
                add(name, segment, f"hit_share_at_{k}", hit_share(hit[mask, place], n_taken))
    return rows
