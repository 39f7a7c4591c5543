"""The rows of a source's file under canonical names, joined to another file's, without those that filters exclude."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters.sources.column_types import is_list
from recjobs.adapters.sources.joining import read_joined
from recjobs.adapters.sources.places import SourceFile
from recjobs.core.rows.row_filter import Condition, meets
from recjobs.errors import BadConfiguration, DataRefused


@dataclass
class Rows:
    """Rows of one batch: canonical columns, row numbers in the file from 1, and how many each filter excluded."""

    columns: dict[str, pa.Array]
    row: np.ndarray
    n_read: int
    excluded: dict[str, int]


def read_rows(file: SourceFile, mapping: dict[str, str], where: Mapping[str, Condition]) -> Iterator[Rows]:
    """Read the mapped columns under their canonical names, without the rows that meet a filter of `where`.

    A row counts for the first filter it meets. Raises DataRefused as `read` does, BadConfiguration if a filter does not
    fit its column.
    """
    needed = list(dict.fromkeys([*mapping.values(), *(condition.column for condition in where.values())]))
    has_comma = file.format == "csv" and file.dialect.decimal == ","
    first = 1
    holds = {column: _HOLDS[name] for name, column in mapping.items() if name in _HOLDS}
    several = [column for name, column in mapping.items() if name in _SEVERAL]
    for batch in read_joined(file, needed, holds, several):
        keep = np.ones(batch.num_rows, bool)
        excluded = {}
        for name, condition in where.items():
            try:
                values = batch.column(condition.column)
                is_numeric = condition.at_least is not None or condition.at_most is not None
                values = with_dot(values) if has_comma and is_numeric else values
                matches = meets(values, condition).to_numpy(zero_copy_only=False) & keep
            except (pa.ArrowException, DataRefused) as error:
                column = f"column {condition.column!r} in {file.path}"
                raise BadConfiguration(f"where.{name}: cannot be asked of {column}: {error}") from None
            excluded[name] = int(matches.sum())
            keep &= ~matches
        filtered = batch.filter(pa.array(keep)) if not keep.all() else batch
        columns = {name: _attribute(file, column, name, filtered.column(column)) for name, column in mapping.items()}
        if has_comma:
            columns |= {name: with_dot(columns[name]) for name in _NUMBERS if name in columns}
        yield Rows(columns, np.flatnonzero(keep) + first, batch.num_rows, excluded)
        first += batch.num_rows


_NUMBERS = ("weight", "price", "occurred_at")
_WITH_COMMA = r"^\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d+)?\s*$"


def with_dot(values: pa.Array) -> pa.Array:
    """Text such as 1.234,50 as 1234.50; what is no number with a decimal comma stays as it is."""
    if not pa.types.is_string(values.type):  # of a joined file
        return values
    number = pc.match_substring_regex(values, _WITH_COMMA)
    return pc.if_else(number, pc.replace_substring(pc.replace_substring(values, ".", ""), ",", "."), values)


_HOLDS = {
    "user_id": "ids",
    "item_id": "ids",
    "occurred_at": "times",
    "weight": "numbers",
    "kind": "kinds",
    "order_id": "ids",
}
_SEVERAL = ("categories", "prefers")
_SINGLE = ("title", "price", "url", "image", "available", "segment")


def _attribute(file: SourceFile, column: str, name: str, values: pa.Array) -> pa.Array:
    """The values of a mapped column, JSON where one value of an attribute has parts. Raises DataRefused for categories
    in parts other than a list."""
    inner = values.type.value_type if is_list(values.type) and name in _SEVERAL else values.type
    if not pa.types.is_nested(inner) or name not in _SINGLE + _SEVERAL:
        return values
    if name in _SEVERAL:
        raise DataRefused(
            f"{file.path}: column {column!r} has type {values.type}, which holds no {name}: export it as text"
        )
    texts = (
        None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values.to_pylist()
    )
    return pa.array(texts, pa.string())
