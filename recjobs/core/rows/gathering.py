"""Collect sound rows batch by batch into interactions with numbered users and items."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.row_key import RowKey
from recjobs.core.rows.texts import Kinds, Texts
from recjobs.core.rows.validation import Checked


@dataclass(frozen=True)
class BotLimits:
    """The limits above which a user is a bot: at least min_interactions rows, and more than max_share of all rows or of
    max_items_share of all items."""

    max_share: float
    max_items_share: float
    min_interactions: int


@dataclass(frozen=True)
class Gathered:
    """Interactions with ids numbered in byte order, rows in order of user, item, time, weight, kind and order.

    merged: duplicate rows dropped. carried: rows from an earlier night. set_aside: tonight's rows of `bots`, which are
    left out.
    """

    interactions: Interactions
    user_ids: pa.Array
    item_ids: pa.Array
    merged: int
    carried: int
    set_aside: int
    bots: list[str]

    def with_items(self, more: pa.Array) -> "Gathered":
        """The same with ids of further items that have no interactions."""
        if not len(more):
            return self
        item_ids = pa.concat_arrays([self.item_ids, more])
        order = pc.sort_indices(item_ids.cast(pa.binary())).to_numpy()
        place = np.empty(order.size, np.int32)
        place[order] = np.arange(order.size, dtype=np.int32)
        rows = replace(self.interactions, item_idx=place[self.interactions.item_idx], n_items=order.size)
        return replace(self, interactions=rows, item_ids=item_ids.take(pa.array(order)))


class RowCollector:
    """Collects sound rows, batch by batch; `finish` numbers and sorts them."""

    def __init__(self) -> None:
        self._users, self._items, self._kinds = Texts(), Texts(), Kinds()
        self._times: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._order_keys: list[np.ndarray | None] = []
        self._n_carried = 0

    def carry(self, interactions: Interactions, user_ids: pa.Array, item_ids: pa.Array) -> None:
        """Begin with the accepted interactions of an earlier night."""
        assert not self._times  # noqa: S101 - the caller's order, not its input
        self._append(interactions, user_ids, item_ids)
        self._items.chunks[0] = _used(self._items.chunks[0])  # items without interactions are not carried over
        self._n_carried = len(interactions)

    def add_summed(self, other: "RowCollector") -> int:
        """Add the rows of another, equal ones as one with the sum of their weights; return how many are gone."""
        gathered = other.finish(sums=True)
        self._append(gathered.interactions, gathered.user_ids, gathered.item_ids)
        return gathered.merged

    def _append(self, interactions: Interactions, user_ids: pa.Array, item_ids: pa.Array) -> None:
        for texts, index, of in (
            (self._users, interactions.user_idx, user_ids),
            (self._items, interactions.item_idx, item_ids),
            (self._kinds, interactions.kind.astype(np.int32), pa.array(interactions.kinds, pa.string())),
        ):
            texts.add(pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), of))
        self._times.append(interactions.occurred_at)
        self._weights.append(interactions.weight)
        self._order_keys.append(interactions.order_key)

    def know_users(self, user_ids: pa.Array) -> None:
        """Add users who may have no interactions."""
        self._users.add(pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), user_ids))

    def add(self, checked: Checked, sound: np.ndarray) -> None:
        """Add the sound rows of one batch."""
        mask = None if sound.all() else pa.array(sound)
        for texts, values in (
            (self._users, checked.user_id),
            (self._items, checked.item_id),
            (self._kinds, checked.kind),
        ):
            texts.add(values if mask is None else _used(values.filter(mask)))
        self._times.append(checked.occurred_at[sound] if mask is not None else checked.occurred_at)
        self._weights.append(checked.weight[sound].astype(np.float32))
        self._order_keys.append(None if checked.order_key is None else checked.order_key[sound])

    def _orders(self) -> np.ndarray | None:
        """The order key of each row, in place of the collected ones; None if no row may have one."""
        lengths, keys = map(len, self._times), self._order_keys
        if all(chunk is None for chunk in keys):
            return None
        chunks = [np.zeros(n, np.int64) if chunk is None else chunk for n, chunk in zip(lengths, keys, strict=True)]
        self._order_keys = []
        return np.concatenate(chunks)

    def finish(self, bots: BotLimits | None = None, *, sums: bool = False) -> Gathered:
        """Number the ids, sort the rows, merge exact duplicates (sums: add up their weights) and set bots aside."""
        pa.default_memory_pool().release_unused()  # what the texts of batches took, before as much is taken here
        with ThreadPoolExecutor(2) as pool:
            (user_idx, user_ids), (item_idx, item_ids) = pool.map(Texts.finish, (self._users, self._items))
        orders = self._orders()
        times = np.concatenate([np.zeros(0, np.int64), *self._times])
        self._times = []
        weights = np.concatenate([np.zeros(0, np.float32), *self._weights])
        self._weights = []
        kind, kinds = self._kinds.finish()
        key = RowKey(user_idx, item_idx, times, len(item_ids))
        n_rows = len(user_idx)
        del user_idx, item_idx, times  # `RowKey.columns` restores them
        packed = None if self._n_carried or orders is not None else key.sort_whole(weights, kind, len(kinds))
        if packed:
            weights, kind = packed
            carried = np.zeros(len(weights), bool)
        else:
            order = key.sort([weights, kind] if orders is None else [weights, kind, orders])
            # Of equal rows the first stays; an earlier night's rows come first.
            carried = order < self._n_carried if self._n_carried else np.zeros(order.size, bool)
            weights, kind = weights[order], (kind[order] if kinds else kind[: order.size])
            orders = None if orders is None else orders[order]
            del order
        if sums:
            weights = weights * _lengths(key.begins)
        columns = key.columns()
        del key
        sides = len(user_ids), len(item_ids)
        interactions = Interactions(*columns, weights, kind, *sides, kinds, order_key=orders)
        merged = n_rows - len(interactions)
        bot_idx = np.zeros(0, np.int64) if bots is None else _bots_among(interactions, bots)
        if not bot_idx.size:
            return Gathered(interactions, user_ids, item_ids, merged, int(carried.sum()), 0, [])
        of_bots = np.isin(interactions.user_idx, bot_idx)
        names = user_ids.take(pa.array(bot_idx)).to_pylist()
        left, user_ids, item_ids = _without(interactions, of_bots, bot_idx, user_ids, item_ids)
        set_aside = int((of_bots & ~carried).sum())
        return Gathered(left, user_ids, item_ids, merged, int((carried & ~of_bots).sum()), set_aside, names)


def _used(values: pa.Array) -> pa.Array:
    """Encoded texts without the dictionary entries that no row uses."""
    if not pa.types.is_dictionary(values.type):
        return values
    places = pc.drop_null(values.indices).to_numpy(zero_copy_only=False)
    used = np.bincount(places, minlength=len(values.dictionary)) > 0
    if used.all():
        return values
    new = pa.array((np.cumsum(used) - 1).astype(np.int32))
    return pa.DictionaryArray.from_arrays(new.take(values.indices), values.dictionary.filter(pa.array(used)))


def _lengths(begins: np.ndarray) -> np.ndarray:
    """How many rows each group has, from a mask of where one begins."""
    return np.diff(np.append(np.flatnonzero(begins), begins.size)).astype(np.float32)


def _bots_among(interactions: Interactions, bots: BotLimits) -> np.ndarray:
    rows = np.bincount(interactions.user_idx, minlength=interactions.n_users)
    busy = rows >= bots.min_interactions
    if not busy.any():
        return np.zeros(0, np.int64)
    pairs = interactions.where(busy[interactions.user_idx]).distinct_pairs()
    items = np.bincount(pairs // interactions.n_items, minlength=interactions.n_users)
    much = (rows > bots.max_share * len(interactions)) | (items > bots.max_items_share * interactions.n_items)
    return np.flatnonzero(busy & much)


def _without(
    interactions: Interactions, dropped: np.ndarray, users: np.ndarray, user_ids: pa.Array, item_ids: pa.Array
) -> tuple[Interactions, pa.Array, pa.Array]:
    left = interactions.where(~dropped)
    staying = np.ones(len(user_ids), bool)
    staying[users] = False
    taken = np.bincount(left.item_idx, minlength=len(item_ids)) > 0
    new_user, new_item = (np.cumsum(mask, dtype=np.int32) - 1 for mask in (staying, taken))
    left = replace(
        left,
        user_idx=new_user[left.user_idx],
        item_idx=new_item[left.item_idx],
        n_users=int(staying.sum()),
        n_items=int(taken.sum()),
    )
    return left, user_ids.filter(pa.array(staying)), item_ids.filter(pa.array(taken))
