"""Ranges of user ids in byte order: all rows of a user belong to one, so that each can be gathered by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.gathering import RowPiece

LEAST, MOST = 1 << 20, 1 << 24
"""Rows of a range: sorting as many takes 60 MB to 1 GB."""
USUAL = 16
"""Ranges of a night, unless they have fewer or more rows than these."""


@dataclass(frozen=True, eq=False)
class UserRanges:
    """Ranges that together have all ids. begins: the first id of each but the first, ascending, as binary."""

    begins: pa.Array

    @staticmethod
    def number_for(n_rows: int) -> int:
        """How many ranges so many rows are gathered in."""
        return max(1, -(-n_rows // max(LEAST, min(MOST, n_rows // USUAL))))

    @classmethod
    def of_all(cls) -> "UserRanges":
        """One range."""
        return cls(pa.array([], pa.binary()))

    @classmethod
    def of_sample(cls, user_ids: pa.Array, n_rows: int) -> "UserRanges":
        """About equal ranges for n_rows rows, by the users of some of them. Any sample gives the same interactions."""
        some = pc.drop_null(user_ids).cast(pa.binary())
        if not len(some):
            return cls.of_all()
        n = cls.number_for(n_rows)
        places = pc.sort_indices(some).to_numpy()[np.arange(1, n) * len(some) // n]
        return cls(pc.unique(some.take(pa.array(places))))

    def __len__(self) -> int:
        return len(self.begins) + 1

    def of(self, user_ids: pa.Array) -> np.ndarray:
        """The number of each id's range, from 0; int32."""
        ids, place = user_ids.cast(pa.binary()), np.zeros(len(user_ids), np.int32)
        step = 1 << len(self.begins).bit_length()
        while step := step >> 1:  # bisection, of all ids at once
            further = np.minimum(place + step, len(self.begins))
            reached = pc.greater_equal(ids, self.begins.take(pa.array(further - 1)))
            is_there = place + step <= len(self.begins)
            place[is_there & pc.fill_null(reached, False).to_numpy(zero_copy_only=False)] += step
        return place

    def split(self, rows: RowPiece) -> list[RowPiece | None]:
        """The rows of each range, in their order; None where it has none. Of no rows the first range has no rows."""
        if len(self) == 1 or not len(rows):
            return [rows, *[None] * (len(self) - 1)]
        of_row = self.of(rows.user_id.dictionary).astype(np.uint16)[rows.user_id.indices.to_numpy()]
        order, counts = np.argsort(of_row, kind="stable"), np.bincount(of_row, minlength=len(self))
        if counts.max() == len(rows):
            return [rows if n else None for n in counts]
        parts = np.split(order, np.cumsum(counts)[:-1])
        return [rows.take(places) if places.size else None for places in parts]

    def split_ids(self, user_ids: pa.Array) -> Sequence[pa.Array]:
        """The ids of each range."""
        place = self.of(user_ids)
        return [user_ids.filter(pa.array(place == number)) for number in range(len(self))]
