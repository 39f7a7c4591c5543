"""Which rows of interactions are one order: by its id, else by user and day, or by a user's visits."""

import math

import numpy as np

from recjobs.core.rows.instants import NO_TIME
from recjobs.core.rows.interactions import DAY, Interactions

MINUTE = 60_000_000


def orders_of(interactions: Interactions, gap_minutes: float | None = None) -> np.ndarray:
    """The number of the order of each row, from 0 on; (n,) int64, -1 for a row of no order.

    Rows of one user with the same order id are one order. The other rows of a user are one order a day (UTC); with
    gap_minutes a visit: rows less than so long apart, one after the other. A row without order id and time has none.
    """
    parts, n_orders = [np.zeros(0, np.int64)], 0
    for block in interactions.blocks():
        orders = _orders_of(block.user_idx, block.occurred_at, block.order_key, gap_minutes)
        parts.append(np.where(orders >= 0, orders + n_orders, -1))
        n_orders += int(orders.max(initial=-1)) + 1
    return np.concatenate(parts)


def _orders_of(user: np.ndarray, at: np.ndarray, order_key: np.ndarray | None, gap_minutes: float | None) -> np.ndarray:
    named = np.zeros(user.size, bool) if order_key is None else order_key != 0
    by_time = ~named & (at != NO_TIME)
    key = np.zeros(user.size, np.int64)
    if order_key is not None:
        key[named] = order_key[named]
    key[by_time] = at[by_time] // DAY if gap_minutes is None else _visits(user[by_time], at[by_time], gap_minutes)
    rows = np.flatnonzero(named | by_time)
    order = rows[_sorted_by(user[rows], by_time[rows], key[rows])]
    begins = np.zeros(order.size, bool)
    for column in (user, by_time, key):
        begins[1:] |= column[order][1:] != column[order][:-1]
    result = np.full(user.size, -1, np.int64)
    result[order] = np.cumsum(begins)
    return result


def _sorted_by(*columns: np.ndarray) -> np.ndarray:
    """Rows in order of columns, the first one first; equal rows in any order."""
    if not columns[0].size:
        return np.zeros(0, np.int64)
    lows = [int(column.min()) for column in columns]
    widths = [int(column.max()) - low + 1 for column, low in zip(columns, lows, strict=True)]
    if math.prod(widths) >= 1 << 63:
        return np.lexsort(columns[::-1])
    key = np.zeros(columns[0].size, np.int64)  # one number for each row, whose sort takes a quarter of the time
    for column, low, width in zip(columns, lows, widths, strict=True):
        key = key * width + (column.astype(np.int64) - low)
    return np.argsort(key)


def _visits(user: np.ndarray, at: np.ndarray, gap_minutes: float) -> np.ndarray:
    """A number for each row, the same for rows of one visit."""
    order = _sorted_by(user, at)
    begins = (user[order][1:] != user[order][:-1]) | (np.diff(at[order]) >= gap_minutes * MINUTE)
    visit = np.zeros(user.size, np.int64)
    visit[order[1:]] = np.cumsum(begins)
    return visit
