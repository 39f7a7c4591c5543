"""Rows of a source checked batch by batch, here or by tasks on another machine."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from recjobs.catalog.sources import Source
from recjobs.core.rows.accounting import Tally
from recjobs.core.rows.gathering import RowPiece
from recjobs.core.rows.instants import NO_TIME, microseconds
from recjobs.core.rows.people import ErasedPeople, bare
from recjobs.core.rows.reason_codes import QUARANTINE
from recjobs.core.rows.stated_items import StatedItems
from recjobs.core.rows.user_ranges import UserRanges
from recjobs.core.rows.validation import Checked, check, encoded_ids, is_among, weights_of_ratings
from recjobs.night.night import Night

BATCH = 1 << 20
"""Rows that are checked at a time."""
_RAW = ("user_id", "item_id", "occurred_at", "weight", "kind")
REJECTED = pa.schema(
    {"source": pa.string(), "row": pa.int64(), "reason": pa.string(), **dict.fromkeys(_RAW, pa.string())}
)


@dataclass(frozen=True, eq=False)
class CheckedBatch:
    """What became of a batch: the sound rows of each range of users, the rejected ones in tables, the account of those
    that are neither, and what the sound ones say about items."""

    pieces: list[RowPiece | None]
    rejected: Iterable[pa.Table]
    tally: Tally = field(default_factory=Tally)
    stated: StatedItems = field(default_factory=StatedItems)


@dataclass(frozen=True, eq=False)
class RowChecks:
    """What rows of one source are checked by. names: of its files. known_items: the only valid items; None: any.

    Goes from process to process.
    """

    source: Source
    names: list[str]
    began_at: int
    as_of: int
    kinds: dict[str, float]
    nobody: tuple[str, ...]
    known_items: pa.Array | None
    erased: ErasedPeople
    ranges: UserRanges

    @classmethod
    def of(
        cls,
        night: Night,
        source: Source,
        names: list[str],
        known_items: pa.Array | None,
        erased: ErasedPeople,
        ranges: UserRanges,
    ) -> "RowChecks":
        """Those of a night."""
        request, catalog = night.request, night.catalog
        began_at, as_of = microseconds(request.began_at), microseconds(request.as_of)
        nobody = tuple(catalog.limits.nobody)
        return cls(source, names, began_at, as_of, dict(catalog.kinds), nobody, known_items, erased, ranges)

    def batch(self, batch: pa.RecordBatch) -> CheckedBatch:
        """Check a batch; several may be at once."""
        source = self.source
        raw = {name: batch.column(name) for name in batch.schema.names}
        columns = raw | {name: encoded_ids(raw[name], getattr(source.columns, name)) for name in ("user_id", "item_id")}
        too_low = np.zeros(batch.num_rows, bool)
        if source.rating_to_weight:
            columns["weight"], too_low = weights_of_ratings(raw["weight"], source.rating_to_weight)
        if not source.has_times:
            columns["occurred_at"] = pa.repeat(pa.scalar(NO_TIME, pa.timestamp("us", "UTC")), batch.num_rows)
        time = source.time
        rows = check(columns, time.unit, time.timezone, self.began_at, self.kinds, self.known_items, time.format)
        return self._taken(raw, columns["user_id"], rows, too_low)

    def _taken(self, raw: dict[str, pa.Array], user_id: pa.Array, rows: Checked, too_low: np.ndarray) -> CheckedBatch:
        tally, sound = Tally(), rows.reason < 0
        late = sound & (rows.occurred_at >= self.as_of)
        too_low = too_low & sound & ~late
        tally.exclude("after_as_of", int(late.sum()))
        tally.exclude("rating_too_low", int(too_low.sum()))
        sound &= ~late & ~too_low
        if self.nobody:
            nobody = sound & is_among(user_id, self.nobody)
            tally.exclude("nobody", int(nobody.sum()))
            sound &= ~nobody
        rejected = self._without_erased(self._rejected(raw, rows.reason), tally)
        if rejected.num_rows:
            tally.quarantine(rejected)
        pieces = self.ranges.split(RowPiece.of(rows, sound))
        return CheckedBatch(pieces, [rejected], tally, StatedItems.of(rows, sound, raw))

    def _rejected(self, raw: dict[str, pa.Array], reason: np.ndarray) -> pa.Table:
        """The quarantined rows as they were."""
        bad = pa.array(reason >= 0)
        files = pa.DictionaryArray.from_arrays(raw["file"].filter(bad).cast(pa.int32()), pa.array(self.names))
        reasons = pa.DictionaryArray.from_arrays(pa.array(reason[reason >= 0].astype(np.int32)), list(QUARANTINE))
        found = {"source": files.cast(pa.string()), "row": raw["row"].filter(bad), "reason": reasons.cast(pa.string())}
        for name in _RAW:
            is_there = name in raw
            found[name] = raw[name].filter(bad).cast(pa.string()) if is_there else pa.nulls(len(files), pa.string())
        return pa.table(found, schema=REJECTED)

    def _without_erased(self, bad: pa.Table, tally: Tally) -> pa.Table:
        """Leave out quarantined rows of erased people, whose id `extract` did not know for quotes or blanks."""
        if not (self.erased and bad.num_rows):
            return bad
        mask = self.erased.mask(bare(bad["user_id"].combine_chunks()))
        if mask.any():
            tally.exclude("erased", int(mask.sum()))
        return bad.filter(pa.array(~mask))


@dataclass
class CheckedRows:
    """What became of all rows that were checked so far, without the rows themselves."""

    tally: Tally = field(default_factory=Tally)
    stated: StatedItems = field(default_factory=StatedItems)

    def add(self, batch: CheckedBatch) -> None:
        """Add a batch, in the order of rows."""
        self.tally.join(batch.tally)
        self.stated.join(batch.stated)
