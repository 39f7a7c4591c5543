"""Source files: Parquet and CSV (also .gz), read in record batches exactly as they are."""

import glob
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from recjobs.adapters import sample_shop
from recjobs.core.rules import Condition, meets
from recjobs.errors import BadConfiguration, DataRefused

BATCH_ROWS = 1 << 20
CSV_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: its place, format and content."""

    path: str
    format: str
    sha256: str
    n_bytes: int


def find(data: Path, path: str, file_format: str | None) -> list[SourceFile]:
    """The files a catalog's path means, in order of name, with the hash of their bytes.

    Raises DataRefused when there is none or one cannot be read, BadConfiguration when the format is unknown.
    """
    if path.startswith(sample_shop.SCHEME):
        content = sample_shop.identity(path)
        return [SourceFile(path, "sample", hashlib.sha256(content).hexdigest(), len(content))]
    # A file may be called sales[1].csv: what is there under its very name is no pattern.
    names = [path] if (data / path).is_file() else sorted(glob.glob(path, root_dir=data))
    files = [str(data / name) for name in names if (data / name).is_file()]
    if not files:
        raise DataRefused(
            f"{data / path}: there is no such file. Put it there, or let RECJOBS_DATA name the folder it lies in"
        )
    return [_identify(name, file_format) for name in files]


def _identify(name: str, file_format: str | None) -> SourceFile:
    try:
        with open(name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            n_bytes = file.tell()
    except OSError as error:
        raise DataRefused(f"{name}: cannot be read ({error.strerror}); see to its permissions") from None
    if n_bytes == 0:
        raise DataRefused(f"{name}: the file is empty (0 bytes); see why its export wrote nothing")
    return SourceFile(name, file_format or _format_of(name), digest, n_bytes)


def _format_of(name: str) -> str:
    suffixes = [s.lower() for s in Path(name).suffixes if s.lower() != ".gz"]
    if suffixes and suffixes[-1] in (".parquet", ".pq"):
        return "parquet"
    if suffixes and suffixes[-1] in (".csv", ".txt"):
        return "csv"
    raise BadConfiguration(f"{name}: neither .parquet nor .csv; say `format: parquet` or `format: csv` in the catalog")


def read(file: SourceFile, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The named columns, batch by batch, rows in the file's order. CSV columns are text, and `NA` is text too.

    Raises DataRefused, with the place, when the file is damaged or lacks a column.
    """
    try:
        if file.format == "sample":
            for batch in sample_shop.read(file.path):
                _require(file, columns, batch.schema.names)
                yield batch.select(columns or batch.schema.names)
        elif file.format == "parquet":
            content = pa.input_stream(file.path).read_buffer() if file.path.endswith(".gz") else None
            parquet = pq.ParquetFile(file.path if content is None else pa.BufferReader(content))
            _require(file, columns, parquet.schema_arrow.names)
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                yield _plain(batch)
        else:
            yield from _read_csv(file, columns)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataRefused(
            f"{file.path}: cannot be read as {file.format} ({reason}); the file is damaged or of another format"
        ) from None


@dataclass
class Rows:
    """Rows of one batch that no rule excluded: canonical columns, and the row number of each (from 1) in its file."""

    columns: dict[str, pa.Array]
    row: np.ndarray
    n_read: int
    excluded: dict[str, int]


def read_rows(file: SourceFile, mapping: dict[str, str], where: Mapping[str, Condition]) -> Iterator[Rows]:
    """Read the mapped columns under their canonical names, less the rows that are no interactions.

    A row counts for the first rule it meets. Raises DataRefused as `read` does, BadConfiguration when a rule cannot be
    asked of its column.
    """
    needed = list(dict.fromkeys([*mapping.values(), *(rule.column for rule in where.values())]))
    first = 1
    for batch in read(file, needed):
        keep = np.ones(batch.num_rows, bool)
        excluded = {}
        for name, rule in where.items():
            met = _meets(file, batch.column(rule.column), name, rule)
            hit = met.to_numpy(zero_copy_only=False) & keep
            excluded[name] = int(hit.sum())
            keep &= ~hit
        kept = batch.filter(pa.array(keep)) if not keep.all() else batch
        columns = {name: kept.column(column) for name, column in mapping.items()}
        yield Rows(columns, np.flatnonzero(keep) + first, batch.num_rows, excluded)
        first += batch.num_rows


def _meets(file: SourceFile, values: pa.Array, name: str, rule: Condition) -> pa.Array:
    try:
        return meets(values, rule)
    except (pa.ArrowException, DataRefused) as error:
        raise BadConfiguration(
            f"where.{name}: cannot be asked of column {rule.column!r} in {file.path}: {error}"
        ) from None


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its texts held against UTF-8, which Parquet readers take on trust, and without dictionaries."""
    batch.validate(full=True)
    columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _read_csv(file: SourceFile, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    convert = pa_csv.ConvertOptions(strings_can_be_null=False, check_utf8=True)
    blocks = pa_csv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    with pa_csv.open_csv(file.path, read_options=blocks, parse_options=parse, convert_options=convert) as reader:
        names = reader.schema.names
    _require(file, columns, names)
    convert.column_types = dict.fromkeys(names, pa.string())
    convert.include_columns = columns or names
    with pa_csv.open_csv(file.path, read_options=blocks, parse_options=parse, convert_options=convert) as reader:
        yield from reader


def _require(file: SourceFile, columns: list[str] | None, names: list[str]) -> None:
    twice = [c for c in columns or [] if names.count(c) > 1]
    if twice:
        raise DataRefused(f"{file.path}: has more than one column {twice[0]!r}; rename them in the file's export")
    missing = [c for c in columns or [] if c not in names]
    if missing:
        raise DataRefused(
            f"{file.path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
            "Mend the file, or `columns:` and `where:` in the catalog"
        )
