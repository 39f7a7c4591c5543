"""How much a night will work on, before it reads its input: by the last night's counts, else by counting ids."""

import re
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters import sources
from recjobs.catalog.file import Catalog
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
    n_read, n_usable, ids = 0, 0, (_Distinct("user_id"), _Distinct("item_id"))
    for index, source in enumerate(catalog.sources):
        mapping = {name: getattr(source.columns, name) for name in ("user_id", "item_id", "occurred_at")}
        for file in inputs[f"sources.{index}"]:
            for rows in sources.read_rows(file, mapping, source.where):
                times = rows.columns["occurred_at"]
                instants = as_microseconds(times, source.time.unit, source.time.timezone, source.time.format)
                usable = (instants >= EARLIEST) & (instants < microseconds(at))
                n_read, n_usable = n_read + rows.n_read, n_usable + int(usable.sum())
                for distinct in ids:
                    distinct.add(rows.columns[distinct.name], usable)
    return _size(catalog, n_read, [n_usable, *(len(distinct) for distinct in ids)])


class _Distinct:
    """The distinct ids of a column."""

    def __init__(self, name: str) -> None:
        self.name, self._parts = name, list[pa.Array]()

    def add(self, values: pa.Array, usable: np.ndarray) -> None:
        """Add the ids of those rows that count."""
        values = values if usable.all() else values.filter(pa.array(usable))
        self._parts.append(as_ids(pc.unique(values), self.name).drop_null())
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
