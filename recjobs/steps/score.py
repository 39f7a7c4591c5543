"""Make every user's list, the similar items and the popular lists. Lists are written in chunks; a rerun on
the same kernel resumes."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters.step_files import StepFiles
from recjobs.core.lists.again import again_lists
from recjobs.core.lists.finished import Lists
from recjobs.core.lists.group_limits import POOL, GroupLimits
from recjobs.core.lists.ladder import PopularList, as_lists, latest
from recjobs.core.lists.popularity import popularity
from recjobs.core.lists.reasons import as_columns
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.lists.similar import similar_items, support_of
from recjobs.core.lists.together import Baskets, Together
from recjobs.core.model.ranking import Ranked
from recjobs.core.rows.items import OPTIONAL
from recjobs.night.exposure import rotation_tonight, shown_table
from recjobs.night.handovers import INPUTS
from recjobs.night.lists import NightLists, UserLists
from recjobs.night.night import Night
from recjobs.night.spark_lists import parts_on_spark

CHUNK_USERS = 20_000
N_SIMILAR = 50
N_HISTORY = 20
N_AGAIN = 50
WITH_VARIANTS = 4
"""So many times as many items are looked at for an item's lists where only one variant of a product is kept."""
MIN_POPULAR = 200
"""The least length of popular lists: they fill the places that rules empty."""


def run(night: Night) -> dict[str, int]:
    """Write top_n-*.parquet, similar.parquet, popular.parquet, items.parquet and history.parquet; with rotation,
    shown-*.parquet."""
    lists = NightLists(night)
    lists.rotation = rotation_tonight(night)
    n_users, n = len(lists.user_ids), night.catalog.top_n.stored
    with night.writing("score", resume_key=night.key_of(*INPUTS["score"])) as files:
        missing = [k for k in range(-(-n_users // CHUNK_USERS)) if _name(k) not in files.hashes]
        if night.catalog.engine == "spark":
            for parts in parts_on_spark(lists, missing, CHUNK_USERS, n, _table):
                for part in parts:
                    files.take(_name(part.number), part.path, part.sha256)
                files.checkpoint()
        else:
            _make_parts(files, lists, missing, n)
        if lists.rotation is not None:
            for number in range(-(-n_users // CHUNK_USERS)):
                listed = pq.read_table(pa.BufferReader(files.read(_name(number))), columns=["user_id", "item_ids"])
                shown = shown_table(lists.rotation, listed, lists.user_ids, lists.item_ids)
                files.save_table(f"shown-{number:05d}.parquet", shown)
        _save_rest(files, lists)
    completed = lists.maker.completed
    predicted = int((completed.predicted & lists.maker.known.eligible).sum()) if completed else 0
    return {"users": n_users, "items": len(lists.item_ids), "predicted": predicted, "n": n}


def _name(number: int) -> str:
    return f"top_n-{number:05d}.parquet"


def _make_parts(files: StepFiles, lists: UserLists, numbers: list[int], n: int) -> None:
    """Make the lists of chunks of users; each is written, and noted as finished, while the next one is made."""

    def write(number: int, users: np.ndarray, finished: Lists) -> None:
        files.save_table(_name(number), _as_table(lists, users, finished))
        files.checkpoint()

    n_users, written = len(lists.user_ids), Future[None]()
    written.set_result(None)
    with ThreadPoolExecutor(1) as writing:
        for number in numbers:
            users = _active(lists, np.arange(number * CHUNK_USERS, min((number + 1) * CHUNK_USERS, n_users)))
            finished = lists.of(users, n)
            written.result()
            written = writing.submit(write, number, users, finished)
        written.result()


def _active(lists: UserLists, users: np.ndarray) -> np.ndarray:
    """The users who get a list."""
    return np.asarray(users[~lists.maker.is_inactive(users)])


def _table(lists: UserLists, users: np.ndarray, n: int) -> pa.Table:
    """The lists of the active ones of some users, see `_as_table`."""
    users = _active(lists, users)
    return _as_table(lists, users, lists.of(users, n))


def _as_table(lists: UserLists, users: np.ndarray, finished: Lists) -> pa.Table:
    """A row per user, as in the table top_n."""
    ids, scores = as_lists(finished.ranked, lists.item_ids)
    table = {
        "user_id": lists.user_ids.take(pa.array(users)),
        "item_ids": ids,
        "scores": scores,
        "source": lists.sources(users, finished),
        "n_model": pa.array(finished.n_model.astype(np.int16)),
        "n_category": pa.array(finished.n_category.astype(np.int16)),
        "segment": pa.array([lists.maker.ladder.segments[user] for user in users.tolist()], pa.string()),
    }
    if finished.because is None:
        reasons, positions = (pa.nulls(users.size, pa.list_(kind)) for kind in (pa.string(), pa.int32()))
    else:
        reasons, positions = as_columns(finished.because, finished.ranked.lengths, lists.item_ids)
    return pa.table({**table, "reasons": reasons, "because": positions})


def _save_rest(files: StepFiles, lists: NightLists) -> None:
    night, maker, item_ids = lists.night, lists.maker, lists.item_ids
    interactions, completed = lists.past.interactions, maker.completed
    orders, eligible = night.catalog.orders, maker.known.eligible
    baskets = Baskets.of(interactions, orders.gap)
    enough = baskets.orders >= orders.min_orders
    limits = maker.known.limits
    products = None if limits is None else limits.of_products
    n_candidates = N_SIMILAR if products is None else WITH_VARIANTS * N_SIMILAR
    if completed is not None and maker.model is not None and maker.model.item_factors is not None:
        support = support_of(interactions, night.now)
        alike = similar_items(completed, support, enough, n_candidates, eligible, night.engine.threads)
        ids, scores = as_lists(_of_other_products(alike, products), item_ids)
    else:
        ids, scores = (pa.array([[]] * len(item_ids), pa.list_(kind)) for kind in (pa.string(), pa.float32()))
    table = {"item_id": item_ids, "item_ids": ids, "scores": scores}
    together = Together(baskets, night.now, eligible, orders.min_orders)
    del baskets
    lists_of_all = together.lists(np.arange(len(item_ids)), n_candidates, night.threads)
    table["together_ids"], table["together_scores"] = as_lists(_of_other_products(lists_of_all, products), item_ids)
    del together, lists_of_all
    files.save_table("similar.parquet", pa.table(table))

    ladder, n = maker.ladder, night.catalog.top_n.stored
    longest = max(n, MIN_POPULAR)
    lists_of = {"all": _limited(ladder.overall, longest, limits)}
    lists_of |= {f"category:{name}": _limited(one, n, products) for name, one in ladder.by_category.items()}
    lists_of |= {f"segment:{name}": _limited(one, longest, limits) for name, one in ladder.by_segment.items()}
    rows = [
        {"segment": name, "item_ids": item_ids.take(pa.array(one.order)).to_pylist(), "scores": one.score.tolist()}
        for name, one in lists_of.items()
    ]
    shape = pa.schema({"segment": pa.string(), "item_ids": pa.list_(pa.string()), "scores": pa.list_(pa.float32())})
    files.save_table("popular.parquet", pa.Table.from_pylist(rows, shape))
    described = lists.items.drop_columns([name for name in OPTIONAL if name in lists.items.column_names])
    items = described.append_column("n_users", pa.array(popularity(interactions).astype(np.int32)))
    places = pa.array(np.arange(len(item_ids), dtype=np.int32))
    files.save_table("items.parquet", items.append_column("item_idx", places))

    users, item_idx, at = latest(interactions, N_HISTORY)
    counts = np.bincount(users, minlength=interactions.n_users)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    instants = pa.array(at) if night.catalog.has_times else pa.nulls(len(at), pa.int64())
    returned = kept_out_of(interactions, "repeats", night.now, None)
    again = again_lists(interactions, night.now, N_AGAIN, maker.known.eligible, returned)
    again_offsets = pa.array(again.offsets.astype(np.int32))
    history = {
        "user_id": lists.user_ids,
        "item_ids": pa.ListArray.from_arrays(offsets, item_ids.take(pa.array(item_idx))),
        "occurred_at": pa.ListArray.from_arrays(offsets, instants.cast(pa.timestamp("us", "UTC"))),
        "seen": _seen(lists),
        "again_ids": pa.ListArray.from_arrays(again_offsets, item_ids.take(pa.array(again.item_idx))),
        "again_scores": pa.ListArray.from_arrays(again_offsets, pa.array(again.scores, pa.float32())),
    }
    files.save_table("history.parquet", pa.table(history))


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


def _seen(lists: NightLists) -> pa.Array:
    """The items that each user's list omits, as item_idx; null for none."""
    seen = lists.maker.seen
    if seen is None:
        return pa.nulls(len(lists.user_ids), pa.list_(pa.int32()))
    offsets, none = pa.array(seen.indptr.astype(np.int32)), pa.array(np.diff(seen.indptr) == 0)
    return pa.ListArray.from_arrays(offsets, pa.array(seen.indices.astype(np.int32)), mask=none)
