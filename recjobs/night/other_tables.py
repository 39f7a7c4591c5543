"""The tables beside users' lists: items' lists, popular lists, items, and users' histories."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from recjobs.core.lists.again import again_lists
from recjobs.core.lists.group_limits import POOL, GroupLimits
from recjobs.core.lists.ladder import PopularList, as_lists, latest
from recjobs.core.lists.popularity import popularity
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.lists.similar import similar_items, support_of
from recjobs.core.lists.together import Baskets, Together
from recjobs.core.model.ranking import Ranked
from recjobs.core.rows.items import OPTIONAL
from recjobs.night.list_parts import ListParts
from recjobs.night.lists import NightLists

HISTORY_USERS = 20_000
N_SIMILAR = 50
N_HISTORY = 20
N_AGAIN = 50
WITH_VARIANTS = 4
"""So many times as many items are looked at for an item's lists where only one variant of a product is kept."""
MIN_POPULAR = 200
"""The least length of popular lists: they fill the places that rules empty."""


def _similar(lists: NightLists) -> pa.Table:
    night, maker, item_ids = lists.night, lists.maker, lists.item_ids
    interactions, completed = lists.past.rows, maker.completed
    orders, eligible = night.catalog.orders, maker.known.eligible
    baskets = Baskets.of(interactions, night.now, orders.gap)
    enough = baskets.orders >= orders.min_orders
    products = _products(lists)
    n_candidates = N_SIMILAR if products is None else WITH_VARIANTS * N_SIMILAR
    if completed is not None and maker.model is not None and maker.model.item_factors is not None:
        support = support_of(interactions, night.now)
        alike = similar_items(completed, support, enough, n_candidates, eligible, night.engine.threads)
        ids, scores = as_lists(_of_other_products(alike, products), item_ids)
    else:
        ids, scores = (pa.array([[]] * len(item_ids), pa.list_(kind)) for kind in (pa.string(), pa.float32()))
    table = {"item_id": item_ids, "item_ids": ids, "scores": scores}
    together = Together(baskets, eligible, orders.min_orders)
    del baskets
    lists_of_all = together.lists(np.arange(len(item_ids)), n_candidates, night.threads)
    table["together_ids"], table["together_scores"] = as_lists(_of_other_products(lists_of_all, products), item_ids)
    return pa.table(table)


def _popular(lists: NightLists) -> pa.Table:
    ladder, item_ids, n = lists.maker.ladder, lists.item_ids, lists.night.catalog.top_n.stored
    limits, products = lists.maker.known.limits, _products(lists)
    longest = max(n, MIN_POPULAR)
    lists_of = {"all": _limited(ladder.overall, longest, limits)}
    lists_of |= {f"category:{name}": _limited(one, n, products) for name, one in ladder.by_category.items()}
    lists_of |= {f"segment:{name}": _limited(one, longest, limits) for name, one in ladder.by_segment.items()}
    rows = [
        {"segment": name, "item_ids": item_ids.take(pa.array(one.order)).to_pylist(), "scores": one.score.tolist()}
        for name, one in lists_of.items()
    ]
    shape = pa.schema({"segment": pa.string(), "item_ids": pa.list_(pa.string()), "scores": pa.list_(pa.float32())})
    return pa.Table.from_pylist(rows, shape)


def _items(lists: NightLists) -> pa.Table:
    described = lists.items.drop_columns([name for name in OPTIONAL if name in lists.items.column_names])
    items = described.append_column("n_users", pa.array(popularity(lists.past.rows).astype(np.int32)))
    return items.append_column("item_idx", pa.array(np.arange(len(lists.item_ids), dtype=np.int32)))


def histories(lists: NightLists, parts: ListParts) -> Iterator[pa.Table]:
    """What each user took last, is likely to need again, and what their list omits; HISTORY_USERS at a time, however
    many a chunk of lists has. At least one table."""
    for first in range(0, max(1, parts.n_users), HISTORY_USERS):
        yield _histories(lists, parts, first, min(first + HISTORY_USERS, parts.n_users))


def _histories(lists: NightLists, parts: ListParts, first: int, last: int) -> pa.Table:
    night, item_ids, rows = lists.night, lists.item_ids, parts.rows(first, last)
    users, item_idx, at = latest(rows, N_HISTORY)
    counts = np.bincount(users, minlength=rows.n_users)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    instants = pa.array(at) if night.catalog.has_times else pa.nulls(len(at), pa.int64())
    returned = kept_out_of(rows, "repeats", night.now, None)
    again = again_lists(rows, night.now, N_AGAIN, lists.maker.known.eligible, returned)
    again_offsets = pa.array(again.offsets.astype(np.int32))
    table = {
        "user_id": lists.user_ids.slice(first, rows.n_users),
        "item_ids": pa.ListArray.from_arrays(offsets, item_ids.take(pa.array(item_idx))),
        "occurred_at": pa.ListArray.from_arrays(offsets, instants.cast(pa.timestamp("us", "UTC"))),
        "seen": _seen(parts.kept_out(rows), rows.n_users),
        "again_ids": pa.ListArray.from_arrays(again_offsets, item_ids.take(pa.array(again.item_idx))),
        "again_scores": pa.ListArray.from_arrays(again_offsets, pa.array(again.scores, pa.float32())),
    }
    return pa.table(table)


def _products(lists: NightLists) -> GroupLimits | None:
    """The limit of one variant of a product, where the catalog has it."""
    limits = lists.maker.known.limits
    return None if limits is None else limits.of_products


def _of_other_products(lists: Ranked, products: GroupLimits | None) -> Ranked:
    """The lists of all items, N_SIMILAR wide, with one variant of a product and none of the item's own."""
    if products is None:
        return lists
    return products.first(lists, N_SIMILAR, np.arange(len(lists.item_idx))[:, None])


def _limited(popular: PopularList, n: int, limits: GroupLimits | None) -> PopularList:
    """The first n items of a popular list, within the limits."""
    if limits is None:
        return PopularList(popular.order[:n], popular.score[:n])
    order, score = popular.order[: 10 * POOL], popular.score[: 10 * POOL]
    lists = Ranked(order[None].astype(np.int32), score[None].astype(np.float32))
    lists = limits.first(lists, min(n, popular.order.size))
    length = int(lists.lengths[0])
    return PopularList(lists.item_idx[0, :length], lists.scores[0, :length])


def _seen(kept_out: csr_matrix | None, n_users: int) -> pa.Array:
    """The items that each user's list omits, as item_idx; null for none."""
    if kept_out is None:
        return pa.nulls(n_users, pa.list_(pa.int32()))
    offsets, none = pa.array(kept_out.indptr.astype(np.int32)), pa.array(np.diff(kept_out.indptr) == 0)
    return pa.ListArray.from_arrays(offsets, pa.array(kept_out.indices.astype(np.int32)), mask=none)


OTHER_TABLES: dict[str, Callable[[NightLists], pa.Table]] = {
    "similar": _similar,
    "popular": _popular,
    "items": _items,
}
"""What `score` writes beside users' lists and histories, by the name of the file."""
