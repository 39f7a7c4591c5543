"""Read interactions from a file without a catalog: user_id, item_id and optionally occurred_at and weight."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from recjobs.adapters import sources
from recjobs.adapters.sources import Rows, SourceFile
from recjobs.catalog.limits import Limits
from recjobs.core.rows.gathering import Gathered, RowCollector, RowPiece
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.reason_codes import QUARANTINE
from recjobs.core.rows.times import likely_unit
from recjobs.core.rows.validation import EARLIEST, check, encoded_ids
from recjobs.core.source_formats import USUAL
from recjobs.errors import DataRefused, Misuse

NEEDED = ("user_id", "item_id")
OPTIONAL = ("occurred_at", "weight")


@dataclass(frozen=True)
class InteractionFile:
    """The content of a file. n_bad: rows left out, by reason code. Without times all interactions have the same age."""

    gathered: Gathered
    has_times: bool
    n_read: int
    n_bad: dict[str, int]

    def account(self) -> dict[str, object]:
        """The counts of what was read, as JSON."""
        rows = self.gathered.interactions
        return {
            "read": self.n_read,
            "bad": self.n_bad,
            "merged": self.gathered.merged,
            "interactions": len(rows),
            "users": rows.n_users,
            "items": rows.n_items,
        }


def read(path: str, now: datetime, optional: Sequence[str] = OPTIONAL) -> InteractionFile:
    """Read a Parquet or CSV file (or a folder of such), ids byte for byte.

    optional: columns that are read if present. Bad rows are left out and counted. Raises Misuse for another format,
    DataRefused if the file is missing, damaged, lacks a column, or has too many bad rows.
    """
    collected, n_bad, examples, n_read = RowCollector(), dict[str, int](), dict[str, str](), 0
    has_times, unit = False, ""
    for file, rows in _batches(path, optional):
        raw = rows.columns
        has_times = "occurred_at" in raw
        if not has_times:
            raw["occurred_at"] = pa.repeat(pa.scalar(EARLIEST, pa.timestamp("us", "UTC")), len(raw["user_id"]))
        unit = unit or likely_unit(raw["occurred_at"])
        try:
            ids = {name: encoded_ids(raw[name], name) for name in NEEDED}
            checked = check(raw | ids, unit, "UTC", microseconds(now), ())
        except DataRefused as error:
            raise DataRefused(f"{file.path}: {error}") from None
        collected.add(RowPiece.of(checked, checked.reason < 0))
        for place in np.unique(checked.reason[checked.reason >= 0]).tolist():
            code, broken = QUARANTINE[place], rows.row[checked.reason == place]
            n_bad[code] = n_bad.get(code, 0) + broken.size
            examples.setdefault(code, f"{file.path} row {broken[0]}")
        n_read += rows.n_read
    bad = "; ".join(f"{n} rows {code}, such as {examples[code]}" for code, n in n_bad.items())
    if not n_read:
        raise DataRefused(f"{path}: no rows; see why its export wrote none")
    if sum(n_bad.values()) > Limits().max_rejected_share * n_read:
        raise DataRefused(f"{path}: {sum(n_bad.values()) / n_read:.1%} of the rows are bad: {bad}")
    return InteractionFile(collected.finish(), has_times, n_read, n_bad)


def _batches(path: str, optional: Sequence[str]) -> Iterator[tuple[SourceFile, Rows]]:
    columns: list[str] | None = None
    for file in _files(path):
        if (first := next(sources.read(file, None), None)) is None:
            raise DataRefused(f"{file.path}: no rows; see why its export wrote none")
        names = first.schema.names
        if missing := [name for name in columns or NEEDED if name not in names]:
            raise DataRefused(
                f"{file.path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
                f"Rename its columns: {' and '.join(NEEDED)} are needed, {' and '.join(OPTIONAL)} are taken too"
            )
        columns = columns or [name for name in (*NEEDED, *optional) if name in names]
        for rows in sources.read_rows(file, {name: name for name in columns}, {}):
            yield file, rows


def _files(path: str) -> list[SourceFile]:
    is_local = "://" not in path
    if is_local and not Path(path).exists():
        raise DataRefused(f"{Path(path).absolute()}: there is no such file")
    if is_local and Path(path).is_file() and not sources.known_format(path):
        raise Misuse(f"{path}: is neither {USUAL} by its name (.gz allowed); rename or convert it")
    return [replace(file, delimiter=sources.delimiter_of(file)) for file in sources.find(Path.cwd(), path)]
