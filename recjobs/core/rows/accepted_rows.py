"""The accepted rows of a night, joined from those of ranges of users, which are never all in one place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.by_blocks import items_of
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.range_rows import RangeRows
from recjobs.core.rows.stored_rows import StoredRows


@dataclass(frozen=True)
class BotLimits:
    """The limits above which a user is a bot: at least min_interactions rows, and more than max_share of all rows or of
    max_items_share of all items."""

    max_share: float
    max_items_share: float
    min_interactions: int


@dataclass(frozen=True, eq=False)
class AcceptedRows:
    """The rows of all ranges, with ids numbered in byte order, in order of user, item, time, weight, kind and order.

    places: of each range, (the number of its users, that of its items), int32, -1 for who is left out. merged, summed,
    carried: as in `RangeRows`. set_aside: tonight's rows of `bots`, which are left out.
    """

    ranges: Sequence[RangeRows]
    places: Sequence[tuple[np.ndarray, np.ndarray]]
    user_ids: pa.Array
    item_ids: pa.Array
    negative: tuple[str, ...]
    n_rows: int
    merged: int
    summed: int
    carried: int
    set_aside: int
    bots: list[str]

    @classmethod
    def of(cls, ranges: Sequence[RangeRows], limits: BotLimits, negative: tuple[str, ...] = ()) -> "AcceptedRows":
        """Join ranges, which ascend, and set bots aside with the items that only they took."""
        item_ids = _distinct([one.item_ids for one in ranges])
        n_rows = sum(one.n_rows for one in ranges)
        most = limits.max_share * n_rows, limits.max_items_share * len(item_ids)
        bots, set_aside, left_out, carried, n_bots = list[str](), 0, 0, 0, 0
        users, places = list[pa.Array](), list[tuple[np.ndarray, np.ndarray]]()
        for one in ranges:
            busy = one.busy
            much = (busy.rows > most[0]) | (busy.items > most[1])
            stays = np.ones(len(one.user_ids), bool)
            stays[busy.user_idx[much]] = False
            bots += one.user_ids.filter(pa.array(~stays)).to_pylist()
            left_out += int(busy.rows[much].sum())
            set_aside += int((busy.rows - busy.carried)[much].sum())
            carried += one.carried - int(busy.carried[much].sum())
            before = sum(map(len, users))
            users.append(one.user_ids.filter(pa.array(stays)))
            user_place = np.where(stays, before + np.cumsum(stays, dtype=np.int32) - 1, -1).astype(np.int32)
            places.append((user_place, _numbers(one.item_ids, item_ids)))
            n_bots += int(much.sum())
        joined = cls(
            ranges,
            places,
            pa.concat_arrays([*users, pa.array([], pa.string())]),
            item_ids,
            negative,
            n_rows - left_out,
            sum(one.merged for one in ranges),
            sum(one.summed for one in ranges),
            carried,
            set_aside,
            bots,
        )
        if not n_bots:
            return joined
        taken = items_of(joined.interactions) > 0
        return joined._with_numbers(item_ids.filter(pa.array(taken)), np.where(taken, np.cumsum(taken) - 1, -1))

    def with_items(self, more: pa.Array) -> "AcceptedRows":
        """The same with ids of further items that have no interactions."""
        if not len(more):
            return self
        item_ids = _distinct([self.item_ids, more])
        return self._with_numbers(item_ids, _numbers(self.item_ids, item_ids))

    def _with_numbers(self, item_ids: pa.Array, number: np.ndarray) -> "AcceptedRows":
        """The same with other numbers of items."""
        with_none = np.append(number, -1).astype(np.int32)
        places = [(users, with_none[items]) for users, items in self.places]
        return replace(self, item_ids=item_ids, places=places)

    @cached_property
    def interactions(self) -> StoredRows:
        """All rows, made of those of a range whenever they are asked for."""
        kinds = tuple(sorted({kind for one in self.ranges for kind in one.empty.kinds}, key=str.encode))
        has_orders = any(one.empty.order_key is not None for one in self.ranges)
        empty = Interactions(
            np.zeros(0, np.int32),
            np.zeros(0, np.int32),
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
            np.zeros(0, np.int16),
            len(self.user_ids),
            len(self.item_ids),
            kinds,
            self.negative,
            np.zeros(0, np.int64) if has_orders else None,
        )

        def read() -> Iterator[Interactions]:
            for one, place in zip(self.ranges, self.places, strict=True):
                if one.n_rows:
                    yield _renumbered(one.read(), empty, *place)

        return StoredRows(read, empty, self.n_rows)


def _renumbered(rows: Interactions, empty: Interactions, users: np.ndarray, items: np.ndarray) -> Interactions:
    """The rows of a range by the numbers of the whole, without those of users who are left out."""
    user_idx, kind, order_key = users[rows.user_idx], rows.kind, rows.order_key
    if rows.kinds and rows.kinds != empty.kinds:
        kind = np.array([*(empty.kinds.index(name) for name in rows.kinds), -1], np.int16)[kind]
    if empty.order_key is not None and order_key is None:
        order_key = np.zeros(len(rows), np.int64)
    whole = replace(
        empty,
        user_idx=user_idx,
        item_idx=items[rows.item_idx],
        occurred_at=rows.occurred_at,
        weight=rows.weight,
        kind=kind,
        order_key=order_key,
    )
    return whole if users.min(initial=0) >= 0 else whole.where(user_idx >= 0)


def _distinct(ids: list[pa.Array]) -> pa.Array:
    """Each id once, in byte order."""
    found = pa.array([], pa.string())
    for some in ids:  # few are new after the first ones
        fresh = some.filter(pc.invert(pc.is_in(some, found)))
        found = pa.concat_arrays([found, fresh]) if len(fresh) else found
    return found.take(pc.sort_indices(found.cast(pa.binary())))


def _numbers(ids: pa.Array, among: pa.Array) -> np.ndarray:
    """The place of each id among others that have all of them, int32."""
    return np.asarray(pc.index_in(ids, among).to_numpy(zero_copy_only=False).astype(np.int32))
