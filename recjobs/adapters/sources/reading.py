"""Read a source's file in record batches, values unchanged, without the rows that its filters exclude."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recjobs.adapters import sample_shop
from recjobs.adapters.sources import csv_faults, csv_files
from recjobs.adapters.sources.column_types import Unreadable, is_list, plain
from recjobs.adapters.sources.places import SourceFile, file_system, open_file, translated
from recjobs.core.rows.row_filter import Condition, meets
from recjobs.errors import BadConfiguration, DataRefused

BATCH_ROWS = 1 << 20


def read(file: SourceFile, columns: list[str] | None, ids: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
    """The named columns, batch by batch, rows in the file's order. CSV columns are text, and `NA` is text too.

    ids: the columns that hold ids, for messages.

    Raises DataRefused, with the place, when the file is damaged or lacks a column.
    """
    try:
        if file.format == "sample":
            for batch in sample_shop.read(file.path):
                _require(file, columns, batch.schema.names)
                yield batch.select(columns or batch.schema.names)
        elif file.format == "parquet":
            # INT96 counts nanoseconds: as such, years behind 2262 would wrap into earlier ones.
            parquet = pq.ParquetFile(_seekable(file.path), coerce_int96_timestamp_unit="us")
            _require(file, columns, parquet.schema_arrow.names)
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                yield _plain(file, batch, ids)
        else:
            file = csv_faults.settled(file)
            names = csv_faults.header(file)
            if (wrong := csv_faults.wrong_delimiter(file, names)) and columns != names:
                raise DataRefused(wrong)
            _require(file, columns, names)
            yield from csv_files.read(file, names, columns or names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and "AWS Error" in str(error):
            raise translated(file.path, error) from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataRefused(
            f"{file.path}: cannot be read as {file.format} ({reason}); the file is damaged or of another format"
        ) from None


def _seekable(path: str) -> pa.NativeFile:
    """A file with random access, as Parquet needs."""
    if path.endswith(".gz"):
        return pa.BufferReader(pa.CompressedInputStream(open_file(path), "gzip").read_buffer())
    system, place = file_system(path)
    return system.open_input_file(place)


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
    ids = [column for name, column in mapping.items() if name in ("user_id", "item_id")]
    for batch in read(file, needed, ids):
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
        columns = {name: filtered.column(column) for name, column in mapping.items()}
        for name, values in columns.items():
            _require_attribute(file, mapping[name], name, values.type)
        if has_comma:
            columns |= {name: _with_dot(columns[name]) for name in _NUMBERS if name in columns}
        yield Rows(columns, np.flatnonzero(keep) + first, batch.num_rows, excluded)
        first += batch.num_rows


def _plain(file: SourceFile, batch: pa.RecordBatch, ids: Collection[str]) -> pa.RecordBatch:
    """The batch in the types of `column_types`, text checked to be UTF-8, which Parquet readers do not."""
    batch.validate(full=True)
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns.append(plain(column))
        except Unreadable as error:
            what = "ids" if name in ids else "bytes"
            raise DataRefused(f"{file.path}: column {name!r} holds {what} {error}") from None
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


_NUMBERS = ("weight", "price")
_WITH_COMMA = r"^\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d+)?\s*$"


def _with_dot(values: pa.Array) -> pa.Array:
    """Text such as 1.234,50 as 1234.50; what is no number with a decimal comma stays as it is."""
    number = pc.match_substring_regex(values, _WITH_COMMA)
    return pc.if_else(number, pc.replace_substring(pc.replace_substring(values, ".", ""), ",", "."), values)


_SEVERAL = ("categories", "prefers")
_SINGLE = ("title", "price", "url", "image", "available", "segment")


def _require_attribute(file: SourceFile, column: str, name: str, kind: pa.DataType) -> None:
    """Raise DataRefused for an attribute whose type holds parts, apart from lists of categories."""
    inner = kind.value_type if is_list(kind) and name in _SEVERAL else kind
    if name in _SINGLE + _SEVERAL and pa.types.is_nested(inner):
        raise DataRefused(f"{file.path}: column {column!r} has type {kind}, which holds no {name}: export it as text")


def _require(file: SourceFile, columns: list[str] | None, names: list[str]) -> None:
    if duplicate := next((c for c in columns or [] if names.count(c) > 1), None):
        raise DataRefused(f"{file.path}: has more than one column {duplicate!r}; rename them in the file's export")
    if missing := [c for c in columns or [] if c not in names]:
        raise DataRefused(
            f"{file.path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
            "Fix the file, or `columns:` and `where:` in the catalog"
            + (csv_faults.why_missing(file, missing) if file.format == "csv" else "")
        )
