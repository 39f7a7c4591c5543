"""Read a source's file in record batches, values unchanged, without the rows that its filters exclude."""

import json
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recjobs.adapters import sample_shop
from recjobs.adapters.sources import compression, csv_faults, csv_files, json_lines
from recjobs.adapters.sources.column_types import Unreadable, is_list, plain
from recjobs.adapters.sources.places import SourceFile, file_system, translated
from recjobs.core.rows.row_filter import Condition, meets
from recjobs.errors import BadConfiguration, DataRefused

BATCH_ROWS = 1 << 20


def read(
    file: SourceFile,
    columns: list[str] | None,
    holds: Mapping[str, str] | None = None,
    several: Collection[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The named columns, batch by batch, rows in the file's order. CSV columns are text, and `NA` is text too.

    A column that the file lacks may be a key of the folders it lies in, see `places.partition_of`.

    holds: what columns hold (ids, times, ...), for messages. several: those of JSON that may hold lists; None: all may.

    Raises DataRefused, with the place, when the file is damaged or lacks a column.
    """
    try:
        if file.format == "sample":
            for batch in sample_shop.read(file.path):
                _require(file, columns, batch.schema.names)
                yield batch.select(columns or batch.schema.names)
        elif file.format == "parquet":
            # INT96 counts nanoseconds: as such, years behind 2262 would wrap into earlier ones.
            source = compression.random_access(file.path, file_system)
            parquet = pq.ParquetFile(source, coerce_int96_timestamp_unit="us")
            own = _own(file, columns, parquet.schema_arrow.names)
            for batch in parquet.iter_batches(BATCH_ROWS, columns=own):
                yield _with_keys(file, columns, _plain(file, batch, holds or {}))
        elif file.format == "jsonl":
            keys = [key for key, _ in file.partition]
            own = columns and ([column for column in columns if column not in keys] or None)
            for batch in json_lines.read(file, own, several):
                yield _with_keys(file, columns, batch)
        else:
            file = csv_faults.settled(file)
            names = csv_faults.header(file)
            if (wrong := csv_faults.wrong_delimiter(file, names)) and columns != names:
                raise DataRefused(wrong)
            for batch in csv_files.read(file, names, _own(file, columns, names) or names):
                yield _with_keys(file, columns, batch)
    except (pa.ArrowException, OSError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        if isinstance(error, OSError) and "AWS Error" in str(error):
            raise translated(file.path, error) from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataRefused(
            f"{file.path}: cannot be read as {file.format} ({reason}); the file is damaged or of another format"
        ) from None


def _own(file: SourceFile, columns: list[str] | None, names: list[str]) -> list[str] | None:
    """The columns that the file itself has to give: those that are no keys of its folders, or one of the file's."""
    if columns is None:
        return None
    keys = {key for key, _ in file.partition if key not in names}
    own = [column for column in columns if column not in keys]
    _require(file, own, names)
    return own or names[:1]


def _with_keys(file: SourceFile, columns: list[str] | None, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with those columns that are keys of its folders, such as day=2025-03-01, as text."""
    keys = {key: value for key, value in file.partition if key not in batch.schema.names}
    if columns is None or not keys:
        return batch
    constants = {key: pa.repeat(pa.scalar(value, pa.string()), batch.num_rows) for key, value in keys.items()}
    return pa.RecordBatch.from_arrays([constants[c] if c in constants else batch.column(c) for c in columns], columns)


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
    for batch in read(file, needed, holds, several):
        keep = np.ones(batch.num_rows, bool)
        excluded = {}
        for name, condition in where.items():
            try:
                values = batch.column(condition.column)
                is_numeric = condition.at_least is not None or condition.at_most is not None
                values = _with_dot(values) if has_comma and is_numeric else values
                matches = meets(values, condition).to_numpy(zero_copy_only=False) & keep
            except (pa.ArrowException, DataRefused) as error:
                column = f"column {condition.column!r} in {file.path}"
                raise BadConfiguration(f"where.{name}: cannot be asked of {column}: {error}") from None
            excluded[name] = int(matches.sum())
            keep &= ~matches
        filtered = batch.filter(pa.array(keep)) if not keep.all() else batch
        columns = {name: _attribute(file, column, name, filtered.column(column)) for name, column in mapping.items()}
        if has_comma:
            columns |= {name: _with_dot(columns[name]) for name in _NUMBERS if name in columns}
        yield Rows(columns, np.flatnonzero(keep) + first, batch.num_rows, excluded)
        first += batch.num_rows


def _plain(file: SourceFile, batch: pa.RecordBatch, holds: Mapping[str, str]) -> pa.RecordBatch:
    """The batch in the types of `column_types`, text checked to be UTF-8, which Parquet readers do not."""
    batch.validate(full=True)
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns.append(plain(column))
        except Unreadable as error:
            what = holds.get(name, "text")
            begin = f"{file.path}: column {name!r}"
            if what == "ids":
                raise DataRefused(f"{begin} holds ids that are not UTF-8 text, such as {error}") from None
            raise DataRefused(
                f"{begin} has type {column.type}, which holds no {what}: its bytes are not UTF-8 text, such as {error}"
            ) from None
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


_NUMBERS = ("weight", "price", "occurred_at")
_WITH_COMMA = r"^\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d+)?\s*$"


def _with_dot(values: pa.Array) -> pa.Array:
    """Text such as 1.234,50 as 1234.50; what is no number with a decimal comma stays as it is."""
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


def _require(file: SourceFile, columns: list[str] | None, names: list[str]) -> None:
    if duplicate := next((c for c in columns or [] if names.count(c) > 1), None):
        raise DataRefused(f"{file.path}: has more than one column {duplicate!r}; rename them in the file's export")
    if missing := [c for c in columns or [] if c not in names]:
        raise DataRefused(
            f"{file.path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
            "Fix the file, or `columns:` and `where:` in the catalog"
            + (csv_faults.why_missing(file, missing) if file.format == "csv" else "")
        )
