"""Gather sound rows batch by batch into interactions by number."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.interactions import Interactions
from recjobs.core.validation import Checked


@dataclass
class Texts:
    """Texts as they come, kept as numbers into a growing dictionary."""

    chunks: list[pa.DictionaryArray] = field(default_factory=list)

    def add(self, values: pa.Array) -> None:
        """Take the next values."""
        self.chunks.append(values if pa.types.is_dictionary(values.type) else values.dictionary_encode())

    def finish(self) -> tuple[np.ndarray, pa.Array]:
        """(index of each value, int32, -1 for null; the distinct texts in byte order)."""
        if not self.chunks:
            return np.zeros(0, np.int32), pa.array([], pa.string())
        whole = pa.chunked_array(self.chunks).unify_dictionaries()
        self.chunks = []
        texts = whole.chunk(0).dictionary
        order = pc.sort_indices(texts.cast(pa.binary())).to_numpy()
        rank = np.empty(len(order) + 1, np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        rank[-1] = -1
        index = np.empty(len(whole), np.int32)
        first = 0
        for chunk in whole.chunks:
            index[first : first + len(chunk)] = rank[pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)]
            first += len(chunk)
        return index, texts.take(pa.array(order))


@dataclass(frozen=True)
class Bots:
    """Who has more interactions than a person can: at least min_interactions of them, and more than max_share of all of
    them or with more than max_items_share of all items."""

    max_share: float
    max_items_share: float
    min_interactions: int


@dataclass(frozen=True)
class Gathered:
    """Interactions with ids numbered in byte order, rows in order of user, item, time, weight and kind.

    merged: rows that equalled another. carried: rows that an earlier night had. set_aside: tonight's rows of the users
    in `bots`, who are left out.
    """

    interactions: Interactions
    user_ids: pa.Array
    item_ids: pa.Array
    merged: int
    carried: int
    set_aside: int
    bots: list[str]


class Collected:
    """Sound rows, gathered."""

    def __init__(self) -> None:
        self._users, self._items, self._kinds = Texts(), Texts(), Texts()
        self._times: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._n_carried = 0

    def carry(self, interactions: Interactions, user_ids: pa.Array, item_ids: pa.Array) -> None:
        """Begin with the accepted interactions of an earlier night."""
        assert not self._times
        kinds = pa.array(interactions.kinds, pa.string())
        for texts, index, of in (
            (self._users, interactions.user_idx, user_ids),
            (self._items, interactions.item_idx, item_ids),
            (self._kinds, interactions.kind.astype(np.int32), kinds),
        ):
            texts.add(pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), of))
        self._times.append(interactions.occurred_at)
        self._weights.append(interactions.weight)
        self._n_carried = len(interactions)

    def know_users(self, user_ids: pa.Array) -> None:
        """Take users who may have no interaction at all."""
        self._users.add(pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), user_ids))

    def add(self, checked: Checked, sound: np.ndarray) -> None:
        """Take the sound rows of one batch."""
        mask = pa.array(sound)
        self._users.add(checked.user_id.filter(mask))
        self._items.add(checked.item_id.filter(mask))
        self._kinds.add(checked.kind.filter(mask))
        self._times.append(checked.occurred_at[sound])
        self._weights.append(checked.weight[sound].astype(np.float32))

    def finish(self, bots: Bots | None = None) -> Gathered:
        """Number the ids, sort the rows, merge exact duplicates and set bots aside."""
        user_idx, user_ids = self._users.finish()
        item_idx, item_ids = self._items.finish()
        kind, kinds = self._kinds.finish()
        times = np.concatenate([np.zeros(0, np.int64), *self._times])
        weights = np.concatenate([np.zeros(0, np.float32), *self._weights])
        self._times, self._weights = [], []
        kind = kind.astype(np.int16)
        pair = user_idx.astype(np.int64) * max(1, len(item_ids)) + item_idx
        order, fresh = _ordered(pair, times, weights, kind)
        del pair
        kept = order[fresh]
        # Of equal rows the first stays, and an earlier night's came first.
        carried = kept < self._n_carried
        interactions = Interactions(
            user_idx[kept],
            item_idx[kept],
            times[kept],
            weights[kept],
            kind[kept],
            len(user_ids),
            len(item_ids),
            tuple(kinds.to_pylist()),
        )
        merged = int(order.size - kept.size)
        suspects = np.zeros(0, np.int64) if bots is None else _suspects(interactions, bots)
        if not suspects.size:
            return Gathered(interactions, user_ids, item_ids, merged, int(carried.sum()), 0, [])
        theirs = np.isin(interactions.user_idx, suspects)
        names = user_ids.take(pa.array(suspects)).to_pylist()
        left, user_ids, item_ids = _without(interactions, theirs, suspects, user_ids, item_ids)
        set_aside = int((theirs & ~carried).sum())
        return Gathered(left, user_ids, item_ids, merged, int((carried & ~theirs).sum()), set_aside, names)


def _ordered(
    pair: np.ndarray, times: np.ndarray, weights: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(rows in order of pair, time, weight, kind and place; which of them differ from the row before)."""
    if not pair.size:
        return np.zeros(0, np.int64), np.zeros(0, bool)
    # One sort by pair and time, packed into 64 bits where they fit, and a second one of what is still equal: a lexsort
    # of four keys takes five times as long at 20 million rows.
    key = _packed(pair, times)
    order = np.argsort(key)
    key = key[order]
    equal = key[1:] == key[:-1]
    del key
    if equal.any():
        tied = np.zeros(order.size, bool)
        tied[1:] |= equal
        tied[:-1] |= equal
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows, kind[rows], weights[rows], times[rows], pair[rows]))]
    fresh = np.ones(order.size, bool)
    before, after = order[:-1], order[1:]
    same = np.flatnonzero(equal) if equal.any() else np.zeros(0, np.int64)
    before, after = before[same], after[same]
    fresh[1:][same] = ~np.logical_and.reduce(
        [column[before] == column[after] for column in (pair, times, weights, kind)]
    )
    return order, fresh


def _packed(pair: np.ndarray, times: np.ndarray) -> np.ndarray:
    first = int(times.min())
    unit = 1_000_000 if not (times % 1_000_000).any() else 1
    bits = max(1, ((int(times.max()) - first) // unit).bit_length())
    if int(pair.max()).bit_length() + bits > 63:
        return pair
    return np.asarray((pair << bits) | ((times - first) // unit))


def _suspects(interactions: Interactions, bots: Bots) -> np.ndarray:
    rows = np.bincount(interactions.user_idx, minlength=interactions.n_users)
    busy = rows >= bots.min_interactions
    if not busy.any():
        return np.zeros(0, np.int64)
    pairs = interactions.distinct_pairs()
    items = np.bincount(pairs // interactions.n_items, minlength=interactions.n_users)
    much = (rows > bots.max_share * len(interactions)) | (items > bots.max_items_share * interactions.n_items)
    return np.flatnonzero(busy & much)


def _without(
    interactions: Interactions, theirs: np.ndarray, users: np.ndarray, user_ids: pa.Array, item_ids: pa.Array
) -> tuple[Interactions, pa.Array, pa.Array]:
    left = interactions.where(~theirs)
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
