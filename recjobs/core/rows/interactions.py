"""Interactions as columns of numbers, and the user_items matrix made of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

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
DAY = 86_400_000_000
"""Microseconds of a day."""


_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one": np.ones_like,
    "linear": np.array,
    "log": lambda weight: np.log2(1 + weight),
}


@dataclass(frozen=True)
class Interactions:
    """Columns of equal length; occurred_at in microseconds since 1970 UTC; kind an index into `kinds`, -1 for none.

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
    """Kinds that speak against an item, such as a return."""

    def __len__(self) -> int:
        return len(self.user_idx)

    def where(self, mask: np.ndarray) -> "Interactions":
        """The rows where mask is true."""
        return replace(
            self,
            user_idx=self.user_idx[mask],
            item_idx=self.item_idx[mask],
            occurred_at=self.occurred_at[mask],
            weight=self.weight[mask],
            kind=self.kind[mask],
        )

    def joined(self, other: "Interactions") -> "Interactions":
        """These rows and those of another part of the same night behind them."""
        return replace(
            self,
            user_idx=np.concatenate([self.user_idx, other.user_idx]),
            item_idx=np.concatenate([self.item_idx, other.item_idx]),
            occurred_at=np.concatenate([self.occurred_at, other.occurred_at]),
            weight=np.concatenate([self.weight, other.weight]),
            kind=np.concatenate([self.kind, other.kind]),
        )

    def to_table(self) -> pa.Table:
        """The columns as a Parquet-ready table."""
        columns = [self.user_idx, self.item_idx, self.occurred_at.view("datetime64[us]"), self.weight, self.kind]
        arrays = [pa.array(column) for column in columns]
        arrays[2] = arrays[2].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        metadata = {"n_users": str(self.n_users), "n_items": str(self.n_items), "kinds": json.dumps(self.kinds)}
        metadata["negative"] = json.dumps(self.negative)
        return pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata(metadata))

    @classmethod
    def from_table(cls, table: pa.Table) -> "Interactions":
        """The columns that `to_table` made."""
        metadata = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
        return cls(
            user_idx=table["user_idx"].to_numpy(),
            item_idx=table["item_idx"].to_numpy(),
            occurred_at=table["occurred_at"].cast(pa.int64()).to_numpy(),
            weight=table["weight"].to_numpy(),
            kind=table["kind"].to_numpy(),
            n_users=int(metadata["n_users"]),
            n_items=int(metadata["n_items"]),
            kinds=tuple(json.loads(metadata["kinds"])),
            negative=tuple(json.loads(metadata["negative"])),
        )

    def _is_negative(self) -> np.ndarray:
        """Which rows are of a negative kind."""
        return np.asarray(np.array([*(kind in self.negative for kind in self.kinds), False])[self.kind])

    def liked(self) -> "Interactions":
        """The rows that speak for an item: all but those of negative kinds."""
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
        if (keys[1:] < keys[:-1]).any():  # `validate` leaves rows in this order, and the cut keeps it
            keys.sort()
        return np.asarray(keys[np.diff(keys, prepend=-1) != 0])

    def confidence(self, recipe: Recipe, now: int) -> csr_matrix:
        """user_items, shape (n_users, n_items), float32: how sure we are of each pair, before alpha.

        The sum over a pair's interactions of scaled weight x kind's weight x 0.5^(age / half-life), capped. now is in
        microseconds. A pair stays in the matrix however old it is; one whose sum is not above 0, since a kind with a
        negative weight took all of it, does not.
        """
        value = _SCALES[recipe.weight_scale](self.weight.astype(np.float64))
        if recipe.kinds:
            of_kind = dict(recipe.kinds)
            value *= np.array([of_kind.get(k, 1.0) for k in self.kinds] + [1.0])[self.kind]
        if recipe.half_life_days:
            value *= np.exp2(-((now - self.occurred_at) / DAY) / recipe.half_life_days)
        negative = value < 0
        if negative.any():
            # What speaks for a pair must not underflow to 0: it would look like a pair with nothing left.
            value = np.where(negative, value, np.maximum(value, np.finfo(np.float32).tiny))
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
        matrix = self._summed(np.ones(len(self), np.float64) if value is None else value)
        # An interaction so old that its weight underflows is still one.
        matrix.data = np.maximum(matrix.data, np.finfo(np.float32).tiny).astype(np.float32)
        return matrix

    def _summed(self, value: np.ndarray) -> csr_matrix:
        matrix = coo_matrix((value, (self.user_idx, self.item_idx)), shape=(self.n_users, self.n_items)).tocsr()
        matrix.sum_duplicates()
        return matrix
