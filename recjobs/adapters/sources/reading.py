"""Read a source's file in record batches, values unchanged."""

import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters import sample_shop
from recjobs.adapters.sources import compression, csv_faults, csv_files, exploding, json_lines, tables
from recjobs.adapters.sources.column_types import Unreadable, plain
from recjobs.adapters.sources.places import SourceFile, file_system, translated
from recjobs.adapters.sources.table_snapshots import TableSnapshot
from recjobs.errors import DataRefused

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
        elif file.format == "parquet" or isinstance(file, TableSnapshot):
            for batch in _columnar(file, columns):
                if explode := file.dialect.explode:
                    batch = exploding.exploded(file, batch, explode)
                    _require(file, columns, [*batch.schema.names, *(key for key, _ in file.partition)])
                yield _with_keys(file, columns, _plain(file, batch, holds or {}))
        elif file.format == "jsonl":
            keys = [key for key, _ in file.partition]
            own = columns and ([column for column in columns if column not in keys] or None)
            for batch in json_lines.read(file, own, several):
                yield _with_keys(file, columns, batch)
        else:
            if file.dialect.explode:
                raise DataRefused(f"{file.path}: a row of CSV holds no lists to explode: leave `explode` out")
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


def _columnar(file: SourceFile, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file or of a table, in the types that they have there."""
    if isinstance(file, TableSnapshot):
        return tables.read(file, _own(file, columns, tables.columns(file)))
    # INT96 counts nanoseconds: as such, years behind 2262 would wrap into earlier ones.
    source = compression.random_access(file.path, file_system)
    parquet = pq.ParquetFile(source, coerce_int96_timestamp_unit="us")
    own = _own(file, columns, parquet.schema_arrow.names)
    batches: Iterator[pa.RecordBatch] = parquet.iter_batches(BATCH_ROWS, columns=own)
    return batches


def _own(file: SourceFile, columns: list[str] | None, names: list[str]) -> list[str] | None:
    """The columns that the file itself has to give: those that are no keys of its folders, or one of the file's."""
    if columns is None:
        return None
    keys = {key for key, _ in file.partition if key not in names}
    own = [column for column in columns if column not in keys]
    if file.dialect.explode:
        own = exploding.own_columns(own, file.dialect.explode)
    _require(file, own, names)
    return own or names[:1]


def _with_keys(file: SourceFile, columns: list[str] | None, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with those columns that are keys of its folders, such as day=2025-03-01, as text."""
    keys = {key: value for key, value in file.partition if key not in batch.schema.names}
    if columns is None or not (keys or file.dialect.explode):
        return batch
    constants = {key: pa.repeat(pa.scalar(value, pa.string()), batch.num_rows) for key, value in keys.items()}
    return pa.RecordBatch.from_arrays([constants[c] if c in constants else batch.column(c) for c in columns], columns)


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


def _require(file: SourceFile, columns: list[str] | None, names: list[str]) -> None:
    if duplicate := next((c for c in columns or [] if names.count(c) > 1), None):
        raise DataRefused(f"{file.path}: has more than one column {duplicate!r}; rename them in the file's export")
    if missing := [c for c in columns or [] if c not in names]:
        raise DataRefused(
            f"{file.path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
            "Fix the file, or `columns:` and `where:` in the catalog"
            + (csv_faults.why_missing(file, missing) if file.format == "csv" else "")
        )
