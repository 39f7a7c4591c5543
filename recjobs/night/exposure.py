"""What lists have shown each user, by the files of the batches that were live.

A night's chunks `shown-*` carry forward how often the listed items were shown before it; the night that begins on its
batch adds the first places of its lists. So one earlier batch is enough to know, whichever nights are pruned.
"""

import logging
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.lists.bands import top_items
from recjobs.core.lists.rotation import Rotation, shown_places
from recjobs.core.rows.by_blocks import matrix_of
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import RowBlocks
from recjobs.errors import ModelRefused
from recjobs.night.handovers import Handovers
from recjobs.night.night import Night
from recjobs.night.stored import stored_rows

log = logging.getLogger(__name__)


def rotation_tonight(night: Night) -> Rotation | None:
    """The rotation of tonight's lists, by the batch that was live when the night began; None if the catalog has none.

    Nothing counts as shown without such a batch, or if its files are gone.
    """
    after = night.catalog.top_n.rotate_after
    if after is None:
        return None
    pin, live = night.request.live_batch, night.live()
    nights = csr_matrix((night.users().num_rows, night.items(["item_id"]).num_rows), dtype=np.int32)
    if live is not None:
        try:
            nights = _nights(
                night, live, microseconds(night.request.as_of), stored_rows(night, "validate", "interactions.parquet")
            )
        except ModelRefused as error:
            log.warning("the lists of %s cannot be read, so rotation begins anew: %s", live.batch_id, error)
    elif pin is not None and pin.batch_id != night.batch_id:
        log.warning("the lists of %s are gone, so rotation begins anew", pin.batch_id)
    return Rotation(after, nights)


def rotation_at_cutoff(night: Night, train: RowBlocks, users: np.ndarray) -> Rotation | None:
    """The rotation that these users' lists (user_idx) would have had at the cutoff, by the batch that was live then.

    None if the catalog has none, if that batch's files are gone, or if no item had been shown often enough. train: the
    interactions before the cutoff.
    """
    after, pin = night.catalog.top_n.rotate_after, night.request.live_batch
    batch_id, cutoff = pin.batch_id if pin else None, night.cutoff().at
    if after is None:
        return None
    try:
        while batch_id and parse_batch_id(batch_id)[0] > cutoff:
            earlier = night.of_batch(batch_id).stored_request()["live_batch"]
            batch_id = earlier["batch_id"] if earlier else None
        if batch_id is None:
            return None
        nights = _nights(night, night.of_batch(batch_id), microseconds(cutoff), train, users)
    except ModelRefused:  # pruned, or damaged
        return None
    return Rotation(after, nights) if (nights.data >= after).any() else None


def _nights(night: Night, batch: Handovers, at: int, known: RowBlocks, of: np.ndarray | None = None) -> csr_matrix:
    """`Rotation.nights` at an instant (microseconds), in tonight's indices, by the batch that was live then. known: the
    interactions before it. of: the users that are asked for; None: all."""
    user_ids = night.users()["user_id"].combine_chunks()
    item_ids = night.items(["item_id"])["item_id"].combine_chunks()
    since, n_first = microseconds(parse_batch_id(batch.batch_id)[0]), shown_places(night.catalog.top_n.served)
    users, items, counts = [], [], []
    wanted = np.full(len(user_ids) + 1, of is None)
    if of is not None:
        wanted[of] = True
    wanted[-1] = False  # of users who are not there any more
    for user, item, count in _shown(batch, user_ids, item_ids, n_first if since < at else 0):
        both = wanted[user] & (item >= 0)
        users.append(user[both])
        items.append(item[both])
        counts.append(count[both])
    columns = []
    for parts in (counts, users, items):
        columns.append(np.concatenate([np.zeros(0, np.int32), *parts]))
        parts.clear()  # a hundred items of each of 100,000 users are 120 MB
    shape = (len(user_ids), len(item_ids))
    nights = csr_matrix((columns[0], (columns[1], columns[2])), shape, dtype=np.int32)
    taken = matrix_of(known, lambda block: block.where(block.occurred_at >= since).pairs())
    left: csr_matrix = (nights - nights.multiply(taken > 0)).tocsr()
    left.eliminate_zeros()
    return left


def _shown(
    batch: Handovers, user_ids: pa.Array, item_ids: pa.Array, n_first: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(user_idx, item_idx, nights) of what a batch has shown, and of what had been shown before it; -1 for an id that
    is not there any more."""

    def places(ids: pa.Array, among: pa.Array) -> np.ndarray:
        return np.asarray(pc.fill_null(pc.index_in(ids, among), -1).to_numpy(zero_copy_only=False), np.int32)

    for chunk in batch.list_chunks() if n_first else ():
        lists = chunk.read(["user_id", "item_ids"])
        user = np.repeat(places(lists["user_id"].combine_chunks(), user_ids), n_first)
        yield user, top_items(lists, item_ids, n_first).ravel().astype(np.int32), np.ones(user.size, np.int32)
    for chunk in batch.shown_chunks():
        shown = chunk.read()
        ids, nights = shown["item_ids"].combine_chunks(), shown["nights"].combine_chunks()
        user = places(shown["user_id"].combine_chunks(), user_ids)
        user = np.repeat(user, pc.list_value_length(ids).to_numpy(zero_copy_only=False))
        count = nights.flatten().to_numpy(zero_copy_only=False)
        yield user, places(ids.flatten(), item_ids), count.astype(np.int32)


def shown_table(rotation: Rotation, lists: pa.Table, user_ids: pa.Array, item_ids: pa.Array) -> pa.Table:
    """A row per user of a chunk of lists (user_id, item_ids) who was shown any item of the list in an earlier night:
    those items, and in how many nights each."""
    users = pc.index_in(lists["user_id"].combine_chunks(), user_ids).to_numpy(zero_copy_only=False)
    length = pc.list_value_length(lists["item_ids"].combine_chunks()).to_numpy(zero_copy_only=False)
    listed = top_items(lists, item_ids, int(length.max(initial=0)))
    nights = rotation.nights_of(listed, users)
    some = (nights > 0).any(axis=1)
    listed, nights = listed[some], nights[some]
    offsets = pa.array(np.concatenate([[0], np.cumsum((nights > 0).sum(axis=1))]).astype(np.int32))
    return pa.table(
        {
            "user_id": lists["user_id"].combine_chunks().filter(pa.array(some)),
            "item_ids": pa.ListArray.from_arrays(offsets, item_ids.take(pa.array(listed[nights > 0]))),
            "nights": pa.ListArray.from_arrays(offsets, pa.array(nights[nights > 0].astype(np.int32))),
        }
    )
