"""The account of the items' or users' own place: every row, and every value of each attribute."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows import attribute_values
from recjobs.core.rows.reason_codes import MAX_ID_BYTES
from recjobs.core.rows.validation import as_ids

_MEANINGS: dict[str, Callable[[object], object]] = {
    "price": attribute_values.price,
    "available": attribute_values.available,
}


@dataclass(frozen=True)
class ColumnAccount:
    """The values of one attribute, of the rows that are kept: kept = missing + understood + not_understood."""

    missing: int
    understood: int
    not_understood: int
    examples: tuple[str, ...] = ()
    """Up to three values that were not understood."""


@dataclass(frozen=True)
class PlaceAccount:
    """The rows of a place: read = kept + repeated + without_id. repeated: of several rows for one id the last is kept.
    without_id: the id is missing, empty, longer than 256 bytes, or holds a NUL byte."""

    read: int
    kept: int
    repeated: int
    without_id: int
    columns: dict[str, ColumnAccount]

    def to_json(self) -> dict[str, Any]:
        """The values as JSON."""
        return asdict(self)

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> "PlaceAccount":
        """The account of `to_json`."""
        return cls(**stored | {"columns": {name: ColumnAccount(**one) for name, one in stored["columns"].items()}})

    @property
    def sentence(self) -> str:
        """The account in words."""
        lost = [f"{name}: {n:,} not understood" for name, one in self.columns.items() if (n := one.not_understood)]
        parts = f"{self.kept:,} kept + {self.repeated:,} repeated + {self.without_id:,} without an id"
        return "; ".join([f"{self.read:,} rows read = {parts}", *lost])


def usable(ids: pa.Array) -> pa.Array:
    """Which ids, as text, can be one."""
    length = pc.fill_null(pc.binary_length(ids), 0)
    has_nul = pc.fill_null(pc.match_substring(ids, "\0"), False)
    return pc.and_(pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_ID_BYTES)), pc.invert(has_nul))


def account(rows: pa.Table, id_column: str) -> PlaceAccount:
    """The account of a place's rows, as they were read under canonical names."""
    ids = as_ids(rows[id_column].combine_chunks(), id_column)
    places = np.flatnonzero(usable(ids).to_numpy(zero_copy_only=False))
    codes = ids.take(pa.array(places)).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    last = np.full(codes.max(initial=-1) + 1, -1)
    last[codes] = places  # of one code the last assignment counts
    kept = rows.take(pa.array(last))
    columns = {name: _column(name, kept[name]) for name in rows.column_names if name in _ATTRIBUTES}
    return PlaceAccount(len(rows), len(last), len(places) - len(last), len(rows) - len(places), columns)


_ATTRIBUTES = ("title", "categories", "price", "url", "image", "available", "segment", "prefers")


def _column(name: str, values: pa.ChunkedArray) -> ColumnAccount:
    filled = values.filter(pc.invert(_is_missing(values)))
    n_missing = len(values) - len(filled)
    meaning = _MEANINGS.get(name)
    if meaning is None:
        return ColumnAccount(n_missing, len(filled), 0)
    strange = [one for one in pc.value_counts(filled.combine_chunks()).to_pylist() if meaning(one["values"]) is None]
    n_strange = sum(one["counts"] for one in strange)
    examples = attribute_values.examples([one["values"] for one in strange])
    return ColumnAccount(n_missing, len(filled) - n_strange, n_strange, examples)


def _is_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = values.type
    if pa.types.is_list(kind):
        return pc.equal(pc.fill_null(pc.list_value_length(values), 0), 0)
    if pa.types.is_string(kind):
        return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(values), ""), True)
    return pc.is_null(values, nan_is_null=True)
