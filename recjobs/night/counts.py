"""How much a night will work on, before it reads its input: by the last night's counts, else by counting ids."""

import re
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters import sources
from recjobs.catalog.file import Catalog
from recjobs.catalog.times import Time
from recjobs.core.ahead import mapped_ahead
from recjobs.core.estimate import Past, Size
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.validation import EARLIEST, as_ids, as_microseconds
from recjobs.night.as_of import Inputs
from recjobs.night.handovers import Handovers

ALIKE = (0.8, 1.25)
"""Input of so many times the bytes of the last night's has as many times its rows, users and items."""
_MERGE = 64
"""Batches after which their distinct ids are made one set."""


def expected(catalog: Catalog, inputs: Inputs, at: datetime, last: tuple[Past, Handovers] | None) -> Size:
    """Return the size of a night as of `at`. last: the night before it.

    Raises DataRefused if the input has to be counted and cannot be read.
    """
    if last:
        past, night = last
        then = _bytes({key: files for key, files in _earlier(night).items() if key in inputs})
        grown = _bytes({key: [file.n_bytes for file in inputs[key]] for key in inputs}) / then if then else 0.0
        if catalog.mode == "increment":
            accepted = night.input_account().counts["accepted"]
            more = 1 + accepted * grown / max(1, past.size.interactions)
            return _size(catalog, past.size.rows * grown, [n * more for n in _counts(past.size)])
        if ALIKE[0] <= grown <= ALIKE[1]:
            return _size(catalog, past.size.rows * grown, [n * grown for n in _counts(past.size)])
    return counted(catalog, inputs, at)


def counted(catalog: Catalog, inputs: Inputs, at: datetime) -> Size:
    """Return the size by reading the ids and times of all rows. Duplicates and rows to be quarantined for another
    reason than their time count, since only the whole of `validate` tells them."""
    n_read, n_usable, ids = 0, 0, {name: _Distinct() for name in ("user_id", "item_id")}
    for index, source in enumerate(catalog.sources):
        mapping = {name: getattr(source.columns, name) for name in (*ids, "occurred_at")}

        def looked_at(rows: sources.Rows, time: Time = source.time) -> tuple[int, int, dict[str, pa.Array]]:
            instants = as_microseconds(rows.columns["occurred_at"], time.unit, time.timezone, time.format)
            usable = (instants >= EARLIEST) & (instants < microseconds(at))
            kept = {name: rows.columns[name] for name in ids}
            if not usable.all():
                kept = {name: values.filter(pa.array(usable)) for name, values in kept.items()}
            found = {name: as_ids(pc.unique(values), name).drop_null() for name, values in kept.items()}
            return rows.n_read, int(usable.sum()), found

        batches = (
            rows for file in inputs[f"sources.{index}"] for rows in sources.read_rows(file, mapping, source.where)
        )
        for read, usable, found in mapped_ahead(looked_at, batches):
            n_read, n_usable = n_read + read, n_usable + usable
            for name, distinct in ids.items():
                distinct.add(found[name])
    return _size(catalog, n_read, [n_usable, *(len(distinct) for distinct in ids.values())])


class _Distinct:
    """Distinct ids."""

    def __init__(self) -> None:
        self._parts = list[pa.Array]()

    def add(self, ids: pa.Array) -> None:
        """Add ids."""
        self._parts.append(ids)
        if len(self._parts) >= _MERGE:
            self._parts = [self._merged()]

    def _merged(self) -> pa.Array:
        return pc.unique(pa.concat_arrays(self._parts or [pa.array([], pa.string())]))

    def __len__(self) -> int:
        return len(self._merged())


def _counts(size: Size) -> list[int]:
    return [size.interactions, size.users, size.items]


def _size(catalog: Catalog, rows: float, counts: list[float] | list[int]) -> Size:
    interactions, users, items = (round(n) for n in counts)
    return Size(round(rows), interactions, users, items, catalog.top_n.stored, catalog.model.factors)


def _earlier(night: Handovers) -> dict[str, list[int]]:
    files: dict[str, list[int]] = {}
    for file in night.stored_request()["input"]["files"]:
        files.setdefault(file["of"], []).append(file["bytes"])
    return files


def _bytes(of: dict[str, list[int]]) -> int:
    return sum(n_bytes for key, files in of.items() if re.fullmatch(r"sources\.\d+", key) for n_bytes in files)
