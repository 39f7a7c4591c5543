"""Items bought together: a cosine of the orders that items stand on, shrunk by evidence, recent orders counting more.

    score(i, j) = n(i, j) / (n(i)^0.5 n(j)^0.2) x n(i, j) / (n(i, j) + 20)

n(i) and n(i, j) are the orders of one item and of both, each counting 0.5^(age / 90 days). With n(j)^0.5, the cosine,
lists were 4 to 5% worse on four dates of `online_retail` (docs/decisions/0072).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.ranking import BITS, Ranked, step_of
from recjobs.core.model.threads import in_threads
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.core.rows.orders import orders_of

HALF_LIFE_DAYS = 90.0
SHRINKAGE = 20.0
COMMONNESS = 0.2
"""Exponent of an item's orders where it is listed."""
MAX_ITEMS = 500
"""Larger orders say little of any two of their items, and take the square of it in time: they are left out."""
PAIRS = 4_000_000
"""Pairs of items that are added up at a time."""


@dataclass(frozen=True)
class Baskets:
    """The orders of interactions: items (n_orders, n_items), 1 where an order has an item; at (n_orders,), when it was
    made, in microseconds; orders (n_items,), on how many orders each item stands."""

    items: csr_matrix
    at: np.ndarray
    orders: np.ndarray

    @classmethod
    def of(cls, interactions: Interactions, gap_minutes: float | None = None) -> "Baskets":
        """The orders of the liked rows; gap_minutes: see `orders_of`."""
        rows = interactions.liked()
        order = orders_of(rows, gap_minutes)
        at = np.zeros(int(order.max(initial=-1)) + 1, np.int64)
        orders = np.zeros(rows.n_items, np.int64)
        sizes, item_idx = [np.zeros(1, np.int32)], [np.zeros(0, np.int32)]
        for some in rows.blocks_of_users():
            place = some.start + np.flatnonzero(order[some] >= 0)
            if not place.size:
                continue
            own, item = order[place], rows.item_idx[place]
            np.maximum.at(at, own, rows.occurred_at[place])
            own = own - own.min()
            part = csr_matrix((np.ones(own.size), (own, item)), shape=(int(own.max()) + 1, rows.n_items))
            part.sum_duplicates()
            sizes.append(np.diff(part.indptr))
            item_idx.append(part.indices)
            orders += np.bincount(part.indices, minlength=rows.n_items)
        del order
        columns, ends = np.concatenate(item_idx), np.cumsum(np.concatenate(sizes), dtype=np.int32)
        del item_idx
        items = csr_matrix((np.ones(columns.size), columns, ends), shape=(at.size, rows.n_items))
        return cls(items, at, orders)


class Together:
    """What stands on one order with each item.

    now: the instant that ages count from, in microseconds. listed: (n_items,), a mask of the items that may be listed;
    min_orders: the fewest orders of such an item.
    """

    def __init__(self, baskets: Baskets, now: int, listed: np.ndarray, min_orders: int) -> None:
        self.listed = listed & (baskets.orders >= min_orders)
        size = np.diff(baskets.items.indptr)
        usable = (size > 1) & (size <= MAX_ITEMS)
        self._orders = baskets.items[usable]
        weight = np.exp2(-((now - baskets.at[usable]) / DAY) / HALF_LIFE_DAYS)
        by_item = self._orders.T.tocsr()
        self._cost = np.asarray(by_item @ size[usable])
        by_item.data = weight[by_item.indices]
        self._weighted = by_item
        # An item's orders of its own count too.
        ages = np.exp2(-((now - baskets.at) / DAY) / HALF_LIFE_DAYS)
        self._evidence = np.asarray(baskets.items.T @ ages)

    def lists(self, items: np.ndarray, n: int, threads: int = 1) -> Ranked:
        """The n best for each of these items (item_idx), itself excluded; of equal scores the first item."""
        parts = in_threads(lambda some: self._lists(some, n), self._blocks(items), threads)
        return Ranked.joined(parts, n)

    def _blocks(self, items: np.ndarray) -> Iterator[np.ndarray]:
        block = np.cumsum(self._cost[items]) // PAIRS
        return iter(np.split(items, np.flatnonzero(np.diff(block)) + 1) if items.size else [])

    def _lists(self, items: np.ndarray, n: int) -> Ranked:
        both = (self._weighted[items] @ self._orders).tocoo()
        row, item, count = both.row.astype(np.int64), both.col, both.data
        kept = self.listed[item] & (items[row] != item)
        row, item, count = row[kept], item[kept], count[kept]
        common = np.sqrt(self._evidence[items[row]]) * self._evidence[item] ** COMMONNESS
        return best_of_rows(row, item, count / common * count / (count + SHRINKAGE), items.size, n)


def best_of_rows(row: np.ndarray, item: np.ndarray, score: np.ndarray, n_rows: int, n: int) -> Ranked:
    """The n items with the highest scores, none below 0, of each row, rounded as a model's are; of equal scores the
    first item."""
    highest = np.zeros(n_rows)
    np.maximum.at(highest, row, score)
    step = step_of(highest.astype(np.float32))
    units = np.rint(score / step[row]).astype(np.int64)  # at most 2^BITS
    # A pair as one integer: NumPy sorts those several times as fast as three columns.
    width = int(item.max(initial=0)).bit_length()
    key = np.sort((((row.astype(np.int64) << BITS + 1) + (1 << BITS) - units) << width) + item)
    row, item = key >> width + BITS + 1, key & (1 << width) - 1
    score = ((1 << BITS) - (key >> width & (2 << BITS) - 1)) * step[row]
    rank = np.arange(row.size) - np.searchsorted(row, row)
    first = rank < n
    item_idx, scores = np.full((n_rows, n), -1, np.int32), np.full((n_rows, n), np.nan, np.float32)
    item_idx[row[first], rank[first]], scores[row[first], rank[first]] = item[first], score[first]
    return Ranked(item_idx, scores)
