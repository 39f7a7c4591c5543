"""What the lists of an item are worth, measured on the orders of the holdout."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.bootstrap import mean_intervals
from recjobs.core.evaluation.exam import K, Rows
from recjobs.core.evaluation.metrics import are_among
from recjobs.core.lists.maker import Model, Past
from recjobs.core.lists.popularity import popular_order
from recjobs.core.lists.similar import similar_items, support_of
from recjobs.core.lists.together import Baskets, Together, best_of_rows
from recjobs.core.model.attributes import Completed
from recjobs.core.model.ranking import Ranked, first_unseen
from recjobs.core.rows.by_blocks import items_of
from recjobs.core.rows.interactions import Interactions, RowBlocks

MAX_PAIRS = 20_000
"""Pairs of an order and one of its items that are asked about."""
MAX_BASKETS = 5_000
N_STORED = 50
_DISCOUNT = 1 / np.log2(np.arange(2, K + 2))


def together_rows(
    past: Past,
    baskets: Baskets,
    holdout: Interactions,
    seed: int,
    *,
    gap_minutes: float | None = None,
    min_orders: int = 1,
) -> Rows:
    """Rows as in the evaluations view, of `together` and `popularity`, and `n`, the number of questions.

    View `together`: which other goods stand on the order, asked of one of its items; NDCG@20. View `basket`: which item
    is missing, asked of the rest of an order; NDCG@20 and the share of the baskets with the missing item among the
    first 20. Popularity is that of the last 30 days. Orders are those of the holdout with two items or more; no
    rows if there are none. baskets: the orders of the past.
    """
    train, now, threads = past.rows, past.now, past.engine.threads
    orders = Baskets.of(holdout, now, gap_minutes).items
    if not orders.nnz or not len(train):
        return []
    known = items_of(train) > 0
    together = Together(baskets, known, min_orders)
    popular = popular_order(train, now)[0]
    popular, rng = popular[known[popular]], np.random.default_rng(seed)
    pairs = np.sort(rng.permutation(orders.nnz)[:MAX_PAIRS])
    order, item = np.repeat(np.arange(orders.shape[0]), np.diff(orders.indptr))[pairs], orders.indices[pairs]
    itself = csr_matrix((np.ones(item.size, np.float32), item, np.arange(item.size + 1)), (item.size, train.n_items))
    stored = together.lists(np.arange(train.n_items), N_STORED, threads)
    lists = {
        "together": stored.item_idx[item, :K],
        "popularity": first_unseen(popular, K, itself, item.size),
    }
    size = np.diff(orders.indptr)[order] - 1
    ndcg = {name: _ndcg(orders, order, one, size) for name, one in lists.items()}
    rows = list(_rows("together", "ndcg_at_20", ndcg, seed))

    some = np.unique(order)
    some = np.sort(rng.permutation(some)[:MAX_BASKETS])
    hidden = (rng.random(some.size) * np.diff(orders.indptr)[some]).astype(np.int64) + orders.indptr[some]
    missing, rest = orders.indices[hidden], orders[some].copy()
    rest.data[hidden - orders.indptr[some] + rest.indptr[:-1]] = 0
    rest.eliminate_zeros()
    lists = {
        "together": _completions(rest, stored),
        "popularity": first_unseen(popular, K, rest.astype(np.float32), some.size),
    }
    hits = {name: one == missing[:, None] for name, one in lists.items()}
    rows += _rows("basket", "ndcg_at_20", {name: hit @ _DISCOUNT for name, hit in hits.items()}, seed)
    return rows + list(_rows("basket", "hit_rate_at_20", {name: hit.any(axis=1) for name, hit in hits.items()}, seed))


def similar_rows(past: Past, enough: np.ndarray, holdout: Interactions, model: Model, seed: int) -> Rows:
    """Rows as in the evaluations view, of `similar`, `neighbours` and `popularity`, and `n`, the number of questions.

    View `similar`: which new items a user takes next within 30 days after an item of the holdout, at the next instant
    at which they take one they did not take before; NDCG@20. `neighbours`: the most similar items by TF-IDF. No rows
    without a question. enough: (n_items,), a mask of the items on enough orders.
    """
    train, factors = past.rows, model.item_factors
    user, item, second = _in_time(holdout)
    pair = user * train.n_items + item
    is_new = ~_are_taken(pair, train)
    first = np.zeros(pair.size, bool)
    first[np.unique(pair, return_index=True)[1]] = True
    new = np.flatnonzero(is_new & first)
    if factors is None or not new.size:
        return []
    key = (user << 32) + second
    begins = np.flatnonzero(np.diff(key[new], prepend=-1))
    taken = csr_matrix((np.ones(new.size), item[new], np.append(begins, new.size)), (begins.size, train.n_items))
    group = np.searchsorted(key[new[begins]], key, side="right")
    there = group < begins.size
    following = new[begins[np.minimum(group, begins.size - 1)]]
    there &= (user[following] == user) & (second[following] - second <= 30 * 86_400)
    some = np.flatnonzero(there)
    some = np.sort(np.random.default_rng(seed).permutation(some)[:MAX_PAIRS])
    if not some.size:
        return []
    asked, place = np.unique(item[some], return_inverse=True)
    known = items_of(train) > 0
    plain = Completed(factors, np.zeros(len(factors), bool))
    blend = past.blend(replace(model.recipe, blend=1.0, own_frequency=0.0))
    popular = popular_order(train, past.now)[0]
    shape = (some.size, train.n_items)
    itself = csr_matrix((np.ones(some.size, np.float32), item[some], np.arange(some.size + 1)), shape)
    similar = similar_items(plain, support_of(train, past.now), enough, K, known, past.engine.threads, asked)
    near = (blend.similarity if blend else csr_matrix((len(factors),) * 2))[asked].tocoo()
    other = near.col != asked[near.row]
    neighbours = best_of_rows(near.row[other], near.col[other], near.data[other], asked.size, K)
    lists = {
        "similar": similar.item_idx[place],
        "neighbours": neighbours.item_idx[place],
        "popularity": first_unseen(popular[known[popular]], K, itself, some.size),
    }
    size = np.diff(taken.indptr)[group[some]]
    ndcg = {name: _ndcg(taken, group[some], one, size) for name, one in lists.items()}
    return list(_rows("similar", "ndcg_at_20", ndcg, seed))


def _are_taken(pair: np.ndarray, rows: RowBlocks) -> np.ndarray:
    """A mask of the pairs (user_idx * n_items + item_idx, users ascending) that the rows have."""
    taken, user = np.zeros(pair.size, bool), pair // rows.n_items
    for block in rows.blocks():
        known = block.distinct_pairs()
        here = slice(*np.searchsorted(user, known[[0, -1]] // rows.n_items + [0, 1]))
        taken[here] = are_among(pair[here], known)
    return taken


def _in_time(holdout: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, item and second since the holdout's begin of its liked rows, in order of user and time; int64."""
    rows = holdout.liked()
    second = (rows.occurred_at - rows.occurred_at.min(initial=2**62)) // 1_000_000
    order = np.lexsort((rows.item_idx, second, rows.user_idx))
    return rows.user_idx[order].astype(np.int64), rows.item_idx[order].astype(np.int64), second[order]


def _ndcg(orders: csr_matrix, order: np.ndarray, lists: np.ndarray, size: np.ndarray) -> np.ndarray:
    """NDCG of lists (n, K) that are asked for the items of orders; size: how many items are right."""
    right = np.asarray(orders[np.repeat(order, K), np.maximum(lists, 0).ravel()]).reshape(lists.shape) * (lists >= 0)
    return np.asarray((right @ _DISCOUNT) / np.cumsum(_DISCOUNT)[np.minimum(size, K) - 1])


def _completions(baskets: csr_matrix, stored: Ranked) -> np.ndarray:
    """The first K items by the sum of their scores in the stored lists of a basket's items, which are left out."""
    row, place = np.nonzero(stored.item_idx >= 0)
    shape = (baskets.shape[1], baskets.shape[1])
    scores = csr_matrix((stored.scores[row, place].astype(np.float64), (row, stored.item_idx[row, place])), shape=shape)
    result = [np.zeros((0, K), np.int32)]
    for first in range(0, baskets.shape[0], 500):
        some = baskets[first : first + 500]
        sums = (some @ scores).tocoo()
        key = np.repeat(np.arange(some.shape[0]), np.diff(some.indptr)) * shape[1] + some.indices
        kept = ~np.isin(sums.row.astype(np.int64) * shape[1] + sums.col, key)
        result.append(best_of_rows(sums.row[kept], sums.col[kept], sums.data[kept], some.shape[0], K).item_idx)
    return np.concatenate(result)


def _rows(view: str, metric: str, values: dict[str, np.ndarray], seed: int) -> Iterator[dict[str, object]]:
    columns = np.column_stack([np.asarray(one, np.float64) for one in values.values()])
    for name, estimate in zip(values, mean_intervals(columns, seed), strict=True):
        row = {"model": name, "segment": "all", "view": view, "metric": metric, "n": len(columns)}
        yield row | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
