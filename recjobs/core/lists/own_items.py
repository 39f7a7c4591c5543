"""A user's own items by decayed frequency: the simplest list where items are taken again.

Li et al., "A Next Basket Recommendation Reality Check", TOIS 2023.
"""

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.compiled import newest
from recjobs.core.model.ranking import Ranked, step_of
from recjobs.core.rows.by_blocks import matrix_of
from recjobs.core.rows.interactions import DAY, Interactions, RowBlocks

HALF_LIFE_DAYS = 90.0
"""Of the list. On four dates of `online_retail` 30 days were 2 to 5% worse, 180 days 0 to 2% better."""

_USERS = 1_000
"""Users whose lists are made at a time."""


def own_frequency(interactions: RowBlocks, now: int, half_life_days: float) -> csr_matrix:
    """user_items: how often each user took each item, an interaction counting 0.5^(age / half-life); now is in
    microseconds. Interactions of negative kinds do not count; weights do not matter."""

    def of_block(block: Interactions) -> csr_matrix:
        liked = block.liked()
        return liked.pairs(np.exp2(-((now - liked.occurred_at) / DAY) / half_life_days))

    return matrix_of(interactions, of_block)


def own_last_days(interactions: Interactions, now: int) -> csr_matrix:
    """user_items: 1 + the days since each user last took each item, as `own_frequency`."""
    liked = interactions.liked()
    pairs = liked.distinct_pairs()
    key = liked.user_idx.astype(np.int64) * liked.n_items + liked.item_idx
    days = np.full(pairs.size, np.inf)
    np.minimum.at(days, np.searchsorted(pairs, key), (now - liked.occurred_at) / DAY)
    user, item = np.divmod(pairs, liked.n_items)
    return csr_matrix(((1 + days).astype(np.float32), (user, item)), shape=(liked.n_users, liked.n_items))


def own_lists(
    frequency: csr_matrix, n: int, kept_out: csr_matrix | None, eligible: np.ndarray, popular: np.ndarray
) -> Ranked:
    """The first n of each user's own eligible items by frequency, of equally frequent ones the most popular.

    frequency, kept_out: the users' rows; popular: item_idx in order of popularity.
    """
    place = np.full(frequency.shape[1], frequency.shape[1], np.int64)
    place[popular] = np.arange(popular.size)
    others = np.flatnonzero(place == place.size)
    place[others] = popular.size + np.arange(others.size)
    parts = []
    for first in range(0, frequency.shape[0], _USERS):
        some = slice(first, first + _USERS)
        parts.append(_own_lists(frequency[some], n, None if kept_out is None else kept_out[some], eligible, place))
    return Ranked.joined(parts, n)


def _own_lists(
    frequency: csr_matrix, n: int, kept_out: csr_matrix | None, eligible: np.ndarray, place: np.ndarray
) -> Ranked:
    n_users, n_items = frequency.shape
    row = np.repeat(np.arange(n_users), np.diff(frequency.indptr))
    item, value = frequency.indices.astype(np.int64), frequency.data
    kept = eligible[item]
    if kept_out is not None:
        kept &= ~_among(row * n_items + item, kept_out)
    row, item, value = row[kept], item[kept], value[kept]
    lists = np.full((n_users, n), -1, np.int32), np.full((n_users, n), np.nan, np.float32)
    if not row.size:
        return Ranked(*lists)
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    highest = np.repeat(np.maximum.reduceat(value, begins), np.diff(begins, append=row.size))
    unit = step_of(highest)
    whole = np.rint(value / unit)  # as scores of a model are: not below what another processor rounds
    first = newest(row, (whole.astype(np.int64) << 32) - place[item], n)
    row, item, score = row[first], item[first], (whole * unit)[first]
    rank = np.arange(row.size) - np.searchsorted(row, row)
    lists[0][row, rank], lists[1][row, rank] = item, score
    return Ranked(*lists)


def _among(pairs: np.ndarray, kept_out: csr_matrix) -> np.ndarray:
    """A mask of the pairs (row * n_items + item) whose value in a matrix is above 0."""
    row = np.repeat(np.arange(kept_out.shape[0], dtype=np.int64), np.diff(kept_out.indptr))
    out = np.sort((row * kept_out.shape[1] + kept_out.indices)[kept_out.data > 0])
    if not out.size:
        return np.zeros(pairs.size, bool)
    return np.asarray(out[np.minimum(np.searchsorted(out, pairs), out.size - 1)] == pairs)
