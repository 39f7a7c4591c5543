"""Interactions as numeric columns, and the user_items matrix built from them."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix, csr_matrix

from recjobs.core.recipe import Recipe

SCHEMA = pa.schema(
    {
        "user_idx": pa.int32(),
        "item_idx": pa.int32(),
        "occurred_at": pa.timestamp("us", "UTC"),
        "weight": pa.float32(),
        "kind": pa.int16(),
    }
)
ORDER = pa.field("order_key", pa.int64())
"""A further column, where a source says which order a row belongs to."""
DAY = 86_400_000_000
"""Microseconds in a day."""
BLOCK = 1 << 16
"""Rows of whole users that are computed at a time."""
_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one": np.ones_like,
    "linear": np.array,
    "log": lambda weight: np.log2(1 + weight),
}


@dataclass(frozen=True)
class Interactions:
    """Columns of equal length; occurred_at in microseconds since 1970 UTC; kind an index into `kinds`, -1 for none;
    order_key a hash of the order's id, 0 for none, see `validation.order_keys`; None where no source has orders.

    n_users and n_items are those of the whole night, so that every matrix made of a part has the same shape.
    """

    user_idx: np.ndarray
    item_idx: np.ndarray
    occurred_at: np.ndarray
    weight: np.ndarray
    kind: np.ndarray
    n_users: int
    n_items: int
    kinds: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    """Kinds that count against an item, such as a return."""
    order_key: np.ndarray | None = None

    @property
    def _columns(self) -> list[str]:
        return SCHEMA.names if self.order_key is None else [*SCHEMA.names, ORDER.name]

    def __len__(self) -> int:
        return len(self.user_idx)

    def where(self, mask: np.ndarray | slice) -> "Interactions":
        """The rows where mask is true, or those of a slice, which are not copied."""
        columns: dict[str, Any] = {name: getattr(self, name)[mask] for name in self._columns}
        return replace(self, **columns)

    def blocks(self) -> Iterator["Interactions"]:
        """All rows of some users at a time, about BLOCK, so that what is computed of them stays in the cache. Where
        users do not ascend, as they do from `validate` on, all rows at once."""
        user, first = self.user_idx, 0
        is_ascending = bool((user[1:] >= user[:-1]).all())
        while first < user.size:
            last = user.size
            if is_ascending and first + BLOCK < last:
                last = int(np.searchsorted(user, user[first + BLOCK], side="right"))
            yield self.where(slice(first, last))
            first = last

    def whole(self) -> "Interactions":
        """All rows in memory: these."""
        return self

    def joined(self, other: "Interactions") -> "Interactions":
        """These rows, followed by those of another part of the same night."""
        return self.followed_by([other])

    def followed_by(self, others: Iterable["Interactions"]) -> "Interactions":
        """The same by those of several parts."""
        parts = [self, *others]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in parts]) for name in self._columns
        }
        return replace(self, **columns)

    def to_table(self) -> pa.Table:
        """The columns as a Parquet-ready table."""
        columns = [self.user_idx, self.item_idx, self.occurred_at.view("datetime64[us]"), self.weight, self.kind]
        arrays = [pa.array(column) for column in columns]
        arrays[2] = arrays[2].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        metadata = {"n_users": str(self.n_users), "n_items": str(self.n_items), "kinds": json.dumps(self.kinds)}
        metadata["negative"] = json.dumps(self.negative)
        table = pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata(metadata))
        return table if self.order_key is None else table.append_column(ORDER, pa.array(self.order_key))

    @classmethod
    def from_table(cls, table: pa.Table) -> "Interactions":
        """The inverse of `to_table`."""
        return cls.from_columns(table.column, table.schema)

    @classmethod
    def from_columns(cls, column: Callable[[str], pa.ChunkedArray], schema: pa.Schema) -> "Interactions":
        """The same from one column after the other, by name, and the table's schema: never all of them twice."""
        metadata = {k.decode(): v.decode() for k, v in schema.metadata.items()}
        return cls(
            user_idx=column("user_idx").to_numpy(),
            item_idx=column("item_idx").to_numpy(),
            occurred_at=column("occurred_at").cast(pa.int64()).to_numpy(),
            weight=column("weight").to_numpy(),
            kind=column("kind").to_numpy(),
            n_users=int(metadata["n_users"]),
            n_items=int(metadata["n_items"]),
            kinds=tuple(json.loads(metadata["kinds"])),
            negative=tuple(json.loads(metadata.get("negative", "[]"))),  # files of the first nights have none
            order_key=column(ORDER.name).to_numpy() if ORDER.name in schema.names else None,
        )

    def _is_negative(self) -> np.ndarray:
        return np.asarray(np.array([*(kind in self.negative for kind in self.kinds), False])[self.kind])

    def liked(self) -> "Interactions":
        """All rows but those of negative kinds."""
        return self.where(~self._is_negative()) if self.negative else self

    def disliked_pairs(self) -> csr_matrix | None:
        """user_items with 1 where the latest interaction is of a negative kind; None without negative kinds.

        Rows must be in the order that `validate` leaves, or in order of time.
        """
        if not self.negative:
            return None
        key = self.user_idx.astype(np.int64) * self.n_items + self.item_idx
        order = np.lexsort((self.occurred_at, key))
        last = order[np.append(key[order][1:] != key[order][:-1], True)] if order.size else order
        return self.where(last[self._is_negative()[last]]).pairs()

    def distinct_pairs(self) -> np.ndarray:
        """user_idx * n_items + item_idx of each pair once, ascending; int64."""
        keys = self.user_idx.astype(np.int64) * self.n_items + self.item_idx
        if (keys[1:] < keys[:-1]).any():  # rows from `validate` and their parts are sorted already
            keys.sort()
        return np.asarray(keys[np.diff(keys, prepend=-1) != 0])

    @cached_property
    def takers(self) -> np.ndarray:
        """How many users liked each item, (n_items,), int64; not to be changed."""
        return takers_of(self.blocks(), self.n_items)

    def confidence(self, recipe: Recipe, now: int) -> csr_matrix:
        """user_items (n_users, n_items), float32: the confidence in each pair, before alpha.

        The sum over a pair's interactions of scaled weight x kind's weight x 0.5^(age / half-life), capped. now is in
        microseconds. A pair stays however old it is, unless kinds with negative weights bring its sum to 0 or below.
        """
        if recipe.weight_scale == "one" and not (recipe.kinds or recipe.half_life_days or recipe.weight_cap):
            return self.pairs()
        value = _SCALES[recipe.weight_scale](self.weight.astype(np.float64))
        if recipe.kinds:
            of_kind = dict(recipe.kinds)
            value *= np.array([of_kind.get(k, 1.0) for k in self.kinds] + [1.0])[self.kind]
        if recipe.half_life_days:
            value *= np.exp2(-((now - self.occurred_at) / DAY) / recipe.half_life_days)
        if any(weight < 0 for _, weight in recipe.kinds):
            # A positive value must not underflow to 0: its pair would be eliminated.
            value = np.where(value < 0, value, np.maximum(value, np.finfo(np.float32).tiny))
            matrix = self._summed(value)
            matrix.data[matrix.data <= 0] = 0
            matrix.eliminate_zeros()
            matrix = matrix.astype(np.float32)
        else:
            matrix = self.pairs(value)
        if recipe.weight_cap:
            np.minimum(matrix.data, recipe.weight_cap, out=matrix.data)
        return matrix

    def pairs(self, value: np.ndarray | None = None) -> csr_matrix:
        """user_items with `value` (default 1) summed for each pair; float32, indices sorted."""
        if value is None and self.are_distinct:
            return self._in_order(np.ones(len(self), np.float32))
        matrix = self._summed(np.ones(len(self), np.float64) if value is None else value)
        # A pair whose weight underflows stays in the matrix.
        matrix.data = np.maximum(matrix.data, np.finfo(np.float32).tiny).astype(np.float32)
        return matrix

    def _summed(self, value: np.ndarray) -> csr_matrix:
        if self.are_distinct:
            return self._in_order(value.copy())
        if self.are_in_order:  # rows from `validate` and their parts: a tenth of the time
            matrix = self._in_order(value.copy())
        else:
            shape = (self.n_users, self.n_items)
            matrix = coo_matrix((value, (self.user_idx, self.item_idx)), shape=shape).tocsr()
        matrix.sum_duplicates()
        return matrix

    def _in_order(self, data: np.ndarray) -> csr_matrix:
        ends = np.concatenate([[0], np.cumsum(np.bincount(self.user_idx, minlength=self.n_users))])
        matrix = csr_matrix((data, self.item_idx.copy(), ends), shape=(self.n_users, self.n_items))
        if self.are_distinct:
            matrix.has_canonical_format = True  # scipy would look
        return matrix

    @property
    def are_distinct(self) -> bool:
        """Whether rows are sorted by user and item, and no user has an item twice."""
        return self._order == (True, True)

    @property
    def are_in_order(self) -> bool:
        """Whether rows are sorted by user, those of a user by item."""
        return self._order[0]

    @cached_property
    def _order(self) -> tuple[bool, bool]:
        """(whether rows ascend by user and item; whether no two neighbouring ones are equal)"""
        are_distinct = True
        for first in range(0, len(self) - 1, BLOCK):  # what is computed of so many stays in the cache
            user, item = (column[first : first + BLOCK + 1] for column in (self.user_idx, self.item_idx))
            is_same = user[1:] == user[:-1]
            if not ((user[1:] > user[:-1]) | (is_same & (item[1:] >= item[:-1]))).all():
                return False, False
            are_distinct = are_distinct and not (is_same & (item[1:] == item[:-1])).any()
        return True, are_distinct


class RowBlocks(Protocol):
    """Interactions as what needs some users' rows at a time sees them: in memory, or read from a file."""

    @property
    def n_users(self) -> int:
        """Users of the whole night."""

    @property
    def n_items(self) -> int:
        """Items of the whole night."""

    @property
    def negative(self) -> tuple[str, ...]:
        """Kinds that count against an item, such as a return."""

    @property
    def takers(self) -> np.ndarray:
        """How many users liked each item, (n_items,), int64; not to be changed."""

    def __len__(self) -> int:
        """How many rows there are."""

    def blocks(self) -> Iterator[Interactions]:
        """All rows in their order, those of some whole users at a time."""

    def whole(self) -> Interactions:
        """All rows in memory."""


def takers_of(blocks: Iterable[Interactions], n_items: int) -> np.ndarray:
    """How many users liked each item, (n_items,), int64, not to be changed; blocks: the rows of some whole users each,
    nobody twice."""
    counts = np.zeros(n_items, np.int64)
    for block in blocks:
        liked = block.liked()
        items = liked.item_idx if liked.are_distinct else liked.distinct_pairs() % n_items
        counts += np.bincount(items, minlength=n_items)
    counts.flags.writeable = False
    return counts
