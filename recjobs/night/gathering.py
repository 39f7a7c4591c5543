"""Tonight's rows checked batch by batch and gathered by ranges of users: what both engines do, and the local one's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from recjobs.adapters import machine
from recjobs.adapters.shared_table import SharedTable
from recjobs.catalog.sources import named
from recjobs.core.ahead import mapped_ahead
from recjobs.core.rows.gathering import RowCollector, RowPiece
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.range_rows import RangeRows
from recjobs.core.rows.user_ranges import UserRanges
from recjobs.core.rows.validation import encoded_ids
from recjobs.night.checked_rows import BATCH, CheckedBatch, RowChecks
from recjobs.night.night import Night
from recjobs.night.stored import verified_table

SAMPLE_GROUPS, SAMPLE_ROWS = 20, 10_000
"""Row groups of a file, and rows of each, that users are sampled from."""
OfSource = tuple[int, RowPiece]
"""Rows, and the number of their source."""


@dataclass(frozen=True, eq=False)
class EarlierRows:
    """The accepted rows of the night that an increment is added to. bounds: the first user_idx of each range."""

    interactions: SharedTable
    users: SharedTable
    item_ids: pa.Array
    bounds: np.ndarray

    @classmethod
    def of(cls, night: Night, ranges: UserRanges) -> "EarlierRows | None":
        """Those of a night; None if it begins anew. Raises ModelRefused unless they are what that night has left."""
        if (base := night.base()) is None:
            return None
        counts = np.bincount(ranges.of(base.users()["user_id"].combine_chunks()), minlength=len(ranges))
        interactions, users = (
            verified_table(night, "validate", f"{name}.parquet", base) for name in ("interactions", "users")
        )
        item_ids = base.items(["item_id"])["item_id"].combine_chunks()
        return cls(interactions, users, item_ids, np.concatenate([[0], np.cumsum(counts)]))

    def carry_into(self, collected: RowCollector, number: int) -> None:
        """Begin a range with its rows and its users, who need not have any."""
        first, last = (int(bound) for bound in self.bounds[number : number + 2])
        user_ids = self.users.rows(first, last, ["user_id"])["user_id"].combine_chunks()
        rows = Interactions.from_table(self.interactions.between("user_idx", first, last))
        piece = RowPiece.of_interactions(rows, user_ids, self.item_ids, first_user=first)
        collected.carry(piece)
        collected.know_users(user_ids)


@dataclass(frozen=True, eq=False)
class RangeGathering:
    """What ranges are gathered by, beside tonight's rows. sums: of each source, whether repeats are summed up. least:
    the rows of a user who may be a bot. Goes from process to process."""

    sums: tuple[bool, ...]
    earlier: EarlierRows | None
    least: int

    def rows(self, number: int, known_users: pa.Array | None, tonight: Iterable[OfSource]) -> RangeRows:
        """The rows of a range, in memory. known_users: its users who may have none."""
        collected, own, summed = RowCollector(), dict[int, RowCollector](), 0
        if self.earlier is not None:
            self.earlier.carry_into(collected, number)
        for source, rows in tonight:
            of_source = own.setdefault(source, RowCollector()) if self.sums[source] else collected
            of_source.add(rows)
        while own:
            found = own.pop(min(own)).finish(sums=True)
            collected.add(RowPiece.of_interactions(found.interactions, found.user_ids, found.item_ids))
            summed += found.merged
        if known_users is not None:
            collected.know_users(known_users)
        return RangeRows.held(collected.finish(), summed, self.least)


class Gathering(Protocol):
    """Checks the sources one after the other, and gathers what was sound."""

    def checked(self, source: int, checks: RowChecks) -> Iterator[CheckedBatch]:
        """Check a source's rows in their order; what is sound stays here. Raises as `RowChecks.batch` does."""

    def ranges(self, by: RangeGathering, known_users: Sequence[pa.Array | None]) -> list[RangeRows]:
        """The rows of each range, once all sources are checked. known_users: those of each range."""


class GatheringHere:
    """By this process, with the rows in memory."""

    def __init__(self, sources: Sequence[SharedTable], n_ranges: int) -> None:
        self._sources, self._pieces = sources, [list[OfSource]() for _ in range(n_ranges)]

    def checked(self, source: int, checks: RowChecks) -> Iterator[CheckedBatch]:
        """See `Gathering`."""
        for batch in mapped_ahead(checks.batch, self._sources[source].batches(BATCH)):
            for rows, of_range in zip(batch.pieces, self._pieces, strict=True):
                if rows is not None:
                    of_range.append((source, rows))
            yield batch

    def ranges(self, by: RangeGathering, known_users: Sequence[pa.Array | None]) -> list[RangeRows]:
        """See `Gathering`."""
        found = list[RangeRows]()
        machine.give_back_freed()  # what batches took, before as much is taken here
        for rows in mapped_ahead(partial(self._range, by, known_users), range(len(self._pieces))):
            found.append(rows)
            machine.give_back_freed()
        return found

    def _range(self, by: RangeGathering, known_users: Sequence[pa.Array | None], number: int) -> RangeRows:
        pieces, self._pieces[number] = self._pieces[number], []
        return by.rows(number, known_users[number], pieces)


def ranges_of(night: Night, sources: Sequence[SharedTable], names: Sequence[list[str]]) -> UserRanges:
    """Ranges of about equally many rows, by the users of some rows of each source, whose files are `names`. Raises
    DataRefused for ids that are none."""
    base, sampled = night.base(), list[pa.Array]()
    earlier = verified_table(night, "validate", "interactions.parquet", base) if base else None
    n_rows = sum(table.extent()[1] for table in (*sources, *([earlier] if earlier else [])))
    if UserRanges.number_for(n_rows) == 1:
        return UserRanges.of_all()
    for source, table, of_source in zip(night.catalog.sources, sources, names, strict=True):
        with named(source, of_source):
            for values in table.sample("user_id", SAMPLE_GROUPS, SAMPLE_ROWS):
                sampled.append(encoded_ids(values, source.columns.user_id).dictionary_decode())
    if base and earlier:
        user_ids = base.users()["user_id"].combine_chunks()
        sampled += map(user_ids.take, earlier.sample("user_idx", SAMPLE_GROUPS, SAMPLE_ROWS))
    return UserRanges.of_sample(pa.concat_arrays(sampled), n_rows)
