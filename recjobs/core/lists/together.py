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
from recjobs.core.rows.interactions import DAY, RowBlocks
from recjobs.core.rows.orders import orders_of

HALF_LIFE_DAYS = 90.0
SHRINKAGE = 20.0
COMMONNESS = 0.2
"""Exponent of an item's orders where it is listed."""
MAX_ITEMS = 500
"""Larger orders say little of any two of their items, and take the square of it in time: they are left out."""
PAIRS = 1_000_000
"""Pairs of items that are added up at a time."""


@dataclass(frozen=True)
class Baskets:
    """The orders of interactions. An order counts 0.5^(age / 90 days) at `now` (microseconds).

    items: (n, n_items), 1 where an order of two items or more has an item; at: (n,), when that was made, in
    microseconds. orders: (n_items,), on how many orders each item stands, those of one item among them; evidence: the
    same, each as much as it counts.
    """

    items: csr_matrix
    at: np.ndarray
    orders: np.ndarray
    evidence: np.ndarray
    now: int

    @classmethod
    def of(cls, interactions: RowBlocks, now: int, gap_minutes: float | None = None) -> "Baskets":
        """The orders of the liked rows; gap_minutes: see `orders_of`."""
        n_items = interactions.n_items
        orders, evidence = np.zeros(n_items, np.int64), np.zeros(n_items)
        sizes, items, instants = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for block in interactions.blocks():
            rows = block.liked()
            order = orders_of(rows, gap_minutes)
            here = order >= 0
            at = np.zeros(int(order.max(initial=-1)) + 1, np.int64)
            np.maximum.at(at, order[here], rows.occurred_at[here])
            pairs = csr_matrix((np.ones(here.sum()), (order[here], rows.item_idx[here])), shape=(at.size, n_items))
            pairs.sum_duplicates()
            size = np.diff(pairs.indptr)
            orders += np.bincount(pairs.indices, minlength=n_items)
            np.add.at(evidence, pairs.indices, np.repeat(_decayed(now, at), size))
            several = size > 1
            sizes.append(size[several])
            items.append(pairs.indices[np.repeat(several, size)])
            instants.append(at[several])
        columns, ends = np.concatenate(items), np.cumsum(np.concatenate(sizes))
        items.clear()
        matrix = csr_matrix((np.ones(columns.size), columns, ends), shape=(ends.size - 1, n_items))
        return cls(matrix, np.concatenate(instants), orders, evidence, now)


def _decayed(now: int, at: np.ndarray) -> np.ndarray:
    """How much orders made at these instants count."""
    return np.asarray(np.exp2(-((now - at) / DAY) / HALF_LIFE_DAYS))


class Together:
    """What stands on one order with each item.

    listed: (n_items,), a mask of the items that may be listed; min_orders: the fewest orders of such an item.
    """

    def __init__(self, baskets: Baskets, listed: np.ndarray, min_orders: int) -> None:
        self.listed = listed & (baskets.orders >= min_orders)
        size = np.diff(baskets.items.indptr)
        usable = size <= MAX_ITEMS
        every = usable.all()
        self._orders = baskets.items if every else baskets.items[usable]
        by_item = self._orders.T.tocsr()
        self._cost = np.asarray(by_item @ size[usable])
        by_item.data = _decayed(baskets.now, baskets.at if every else baskets.at[usable])[by_item.indices]
        self._weighted, self._evidence = by_item, baskets.evidence

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
