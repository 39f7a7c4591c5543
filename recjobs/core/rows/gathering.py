"""Collect sound rows batch by batch into interactions with numbered users and items."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.row_key import RowKey
from recjobs.core.rows.texts import Kinds, Texts
from recjobs.core.rows.validation import Checked


@dataclass(frozen=True, eq=False)
class Gathered:
    """Interactions with ids numbered in byte order, rows in order of user, item, time, weight, kind and order.

    merged: duplicate rows dropped. is_carried: a mask of the rows from an earlier night.
    """

    interactions: Interactions
    user_ids: pa.Array
    item_ids: pa.Array
    merged: int
    is_carried: np.ndarray


@dataclass(frozen=True, eq=False)
class RowPiece:
    """Sound rows: ids as text, encoded; occurred_at, weight and order_key as `Interactions` has them; kind as text."""

    user_id: pa.DictionaryArray
    item_id: pa.DictionaryArray
    kind: pa.Array
    occurred_at: np.ndarray
    weight: np.ndarray
    order_key: np.ndarray | None = None

    @classmethod
    def of(cls, checked: Checked, sound: np.ndarray) -> "RowPiece":
        """The sound rows of one batch."""
        times, weight, order_key = checked.occurred_at, checked.weight.astype(np.float32), checked.order_key
        users, items, kind = checked.user_id, checked.item_id, checked.kind
        if not sound.all():
            mask = pa.array(sound)
            users, items, kind = users.filter(mask), items.filter(mask), kind.filter(mask)
            times, weight = times[sound], weight[sound]
            order_key = None if order_key is None else order_key[sound]
        kind = pa.nulls(len(kind)) if kind.null_count == len(kind) else used(kind)
        return cls(used(users), used(items), kind, times, weight, order_key)

    @classmethod
    def of_interactions(
        cls, rows: Interactions, user_ids: pa.Array, item_ids: pa.Array, first_user: int = 0
    ) -> "RowPiece":
        """Rows that were numbered, users from first_user on. Every kind stays, used or not."""
        kind = pa.array(rows.kind.astype(np.int32), mask=rows.kind < 0)
        return cls(
            used(pa.DictionaryArray.from_arrays(pa.array(rows.user_idx - np.int32(first_user)), user_ids)),
            used(pa.DictionaryArray.from_arrays(pa.array(rows.item_idx), item_ids)),
            pa.DictionaryArray.from_arrays(kind, pa.array(rows.kinds, pa.string())),
            rows.occurred_at,
            rows.weight,
            rows.order_key,
        )

    def __len__(self) -> int:
        return len(self.occurred_at)

    def take(self, places: np.ndarray) -> "RowPiece":
        """Some of the rows, in the order of places."""
        at = pa.array(places)
        users, items, kind = used(self.user_id.take(at)), used(self.item_id.take(at)), self.kind.take(at)
        order_key = None if self.order_key is None else self.order_key[places]
        return RowPiece(users, items, kind, self.occurred_at[places], self.weight[places], order_key)

    def to_table(self) -> pa.Table:
        """The rows, to be written to a file."""
        columns = {"user_id": self.user_id, "item_id": self.item_id, "kind": self.kind.cast(pa.string())}
        columns |= {"occurred_at": pa.array(self.occurred_at), "weight": pa.array(self.weight)}
        if self.order_key is not None:
            columns["order_key"] = pa.array(self.order_key)
        return pa.table(columns)

    @classmethod
    def from_table(cls, table: pa.Table) -> "RowPiece":
        """The inverse of `to_table`."""
        users, items, kind = (table[name].combine_chunks() for name in ("user_id", "item_id", "kind"))
        order_key = table["order_key"].to_numpy() if "order_key" in table.column_names else None
        times, weight = table["occurred_at"].to_numpy(), table["weight"].to_numpy()
        return cls(used(users), used(items), kind, times, weight, order_key)


class RowCollector:
    """Collects sound rows, piece by piece; `finish` numbers and sorts them."""

    def __init__(self) -> None:
        self._users, self._items, self._kinds = Texts(), Texts(), Kinds()
        self._times: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._order_keys: list[np.ndarray | None] = []
        self._n_carried = 0

    def carry(self, rows: RowPiece) -> None:
        """Begin with accepted rows of an earlier night."""
        assert sum(map(len, self._times)) == self._n_carried  # noqa: S101 - the caller's order, not its input
        self.add(rows)
        self._n_carried += len(rows)

    def know_users(self, user_ids: pa.Array) -> None:
        """Add users who may have no interactions."""
        self._users.add(pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), user_ids))

    def add(self, rows: RowPiece) -> None:
        """Add sound rows."""
        self._users.add(rows.user_id)
        self._items.add(rows.item_id)
        self._kinds.add(rows.kind)
        self._times.append(rows.occurred_at)
        self._weights.append(rows.weight)
        self._order_keys.append(rows.order_key)

    def _orders(self) -> np.ndarray | None:
        """The order key of each row, in place of the collected ones; None if no row may have one."""
        lengths, keys = map(len, self._times), self._order_keys
        if all(chunk is None for chunk in keys):
            return None
        chunks = [np.zeros(n, np.int64) if chunk is None else chunk for n, chunk in zip(lengths, keys, strict=True)]
        self._order_keys = []
        return np.concatenate(chunks)

    def finish(self, *, sums: bool = False) -> Gathered:
        """Number the ids, sort the rows and merge exact duplicates (sums: add up their weights). Call it once."""
        (user_idx, user_ids), (item_idx, item_ids) = self._users.finish(), self._items.finish()
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
        return Gathered(interactions, user_ids, item_ids, n_rows - len(interactions), carried)


def used(values: pa.Array) -> pa.DictionaryArray:
    """Encoded texts without the dictionary entries that no row uses; indices are int32, whatever a file has."""
    if not pa.types.is_dictionary(values.type):
        return values.dictionary_encode()
    indices = values.indices.cast(pa.int32())
    places = pc.drop_null(indices).to_numpy(zero_copy_only=False)
    is_used = np.bincount(places, minlength=len(values.dictionary)) > 0
    if is_used.all():
        return pa.DictionaryArray.from_arrays(indices, values.dictionary)
    new = pa.array((np.cumsum(is_used) - 1).astype(np.int32))
    return pa.DictionaryArray.from_arrays(new.take(indices), values.dictionary.filter(pa.array(is_used)))


def _lengths(begins: np.ndarray) -> np.ndarray:
    """How many rows each group has, from a mask of where one begins."""
    return np.diff(np.append(np.flatnonzero(begins), begins.size)).astype(np.float32)
