"""The rows of a range of users, gathered by themselves, and what the whole night must know of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recjobs.core.rows.gathering import Gathered
from recjobs.core.rows.interactions import Interactions


@dataclass(frozen=True, eq=False)
class BusyUsers:
    """Users of a range who may be bots: place, rows, distinct items and carried rows of each."""

    user_idx: np.ndarray
    rows: np.ndarray
    items: np.ndarray
    carried: np.ndarray

    @classmethod
    def of(cls, gathered: Gathered, least: int) -> "BusyUsers":
        """Those with so many rows at least."""
        of_all = gathered.interactions
        rows = np.bincount(of_all.user_idx, minlength=of_all.n_users)
        busy = np.flatnonzero(rows >= least)
        theirs = np.isin(of_all.user_idx, busy) if busy.size else np.zeros(len(of_all), bool)
        pairs = of_all.where(theirs).distinct_pairs()
        items = np.bincount(pairs // max(1, of_all.n_items), minlength=of_all.n_users)
        carried = np.bincount(of_all.user_idx[theirs & gathered.is_carried], minlength=of_all.n_users)
        return cls(busy, rows[busy], items[busy], carried[busy])


@dataclass(frozen=True, eq=False)
class RangeRows:
    """The rows of a range of users, numbered by its own ids. read: gives them, without rows of others.

    empty: the same without rows. merged, summed: rows that equalled another.
    """

    read: Callable[[], Interactions]
    empty: Interactions
    n_rows: int
    user_ids: pa.Array
    item_ids: pa.Array
    merged: int
    summed: int
    carried: int
    busy: BusyUsers

    @classmethod
    def held(cls, gathered: Gathered, summed: int, least: int) -> "RangeRows":
        """Rows in memory; least: the rows of a user who may be a bot."""
        rows = gathered.interactions
        return cls(
            lambda: rows,
            rows.where(slice(0, 0)),
            len(rows),
            gathered.user_ids,
            gathered.item_ids,
            gathered.merged,
            summed,
            int(gathered.is_carried.sum()),
            BusyUsers.of(gathered, least),
        )
