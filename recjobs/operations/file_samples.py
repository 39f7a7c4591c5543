"""The beginning of a data file, read in the dialect that it seems to have: what `init` guesses from."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters import sources
from recjobs.adapters.sources import SourceFile, other_formats, tables
from recjobs.adapters.sources.exploding import objects_in
from recjobs.adapters.sources.filtered import with_dot
from recjobs.adapters.sources.text_lines import opened
from recjobs.config import Settings
from recjobs.core.rows import guessing
from recjobs.core.rows.guessing import Column
from recjobs.core.source_formats import PLAIN, TABLES
from recjobs.errors import BadConfiguration, DataRefused
from recjobs.night.night import data_folder
from recjobs.operations.file_dialects import dialect_of

MOST_ROWS = 100_000
_WHOLE_BYTES = 4 << 20
_LISTS_LOOKED_AT = 1000


@dataclass(frozen=True)
class FileSample:
    """A file by its first rows. path, settings: as a catalog names it. is_whole: whether these are all of its rows."""

    shown: str
    path: str
    settings: dict[str, Any]
    table: pa.Table
    n_bytes: int
    is_whole: bool
    is_json: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of the folder of its first file, such as dt=2025-03-01, which are columns too."""

    def columns(self) -> list[Column]:
        """Its columns, apart from lists and objects."""
        return [c for name in self.table.column_names if (c := Column.of(name, self.table[name].combine_chunks()))]

    def renamed(self, names: list[str]) -> "FileSample":
        """The same of a file without a header, with other names."""
        return replace(self, table=self.table.rename_columns(names), settings=self.settings | {"names": names})


def sample(path: str, settings: Settings) -> FileSample:
    """Read the beginning of a file, or of the first file of a folder or pattern. Raises DataRefused without rows."""
    place = path if path.startswith("s3://") else str(Path(path).absolute())
    file, is_said = _file(path, place)
    found = dict[str, Any]()
    if file.format == "csv":
        file, found = dialect_of(file)
    if is_said:
        found = {"format": file.format, **found}
    batch = next(_batches(file), None)
    if batch is not None and (explode := _list_of_items(batch)):
        file, found = replace(file, dialect=replace(file.dialect, explode=explode)), found | {"explode": explode}
        batch = next(_batches(file), None)
    if batch is None or batch.num_rows == 0:
        raise DataRefused(f"{path}: no rows to guess from")
    is_whole = (
        file.n_bytes < _WHOLE_BYTES and batch.num_rows <= MOST_ROWS and not path.lower().endswith((".gz", ".zip"))
    )
    table = pa.Table.from_batches([batch.slice(0, MOST_ROWS)])
    if file.dialect.decimal == ",":
        table = pa.table({name: _with_dot(table[name].combine_chunks()) for name in table.column_names})
    inside = Path(place)
    data = data_folder(settings).absolute()
    in_catalog = (
        str(inside.relative_to(data)) if not path.startswith("s3://") and inside.is_relative_to(data) else place
    )
    n_bytes = inside.stat().st_size if inside.is_file() else file.n_bytes
    is_whole = is_whole and inside.is_file()
    keys = {key: value for key, value in file.partition if value is not None and key not in table.column_names}
    return FileSample(path, in_catalog, found, table, n_bytes, is_whole, file.format == "jsonl", keys)


def _file(path: str, place: str) -> tuple[SourceFile, bool]:
    """Return the first file of a place, and whether a catalog has to say its format, which the names leave open."""
    is_folder = Path(place).is_dir()
    inside = [str(file.relative_to(place)) for file in Path(place).rglob("*")]
    table = other_formats.table_format(inside) if is_folder else None
    if format := next((name for name, title in TABLES.items() if title == table), None):
        return tables.find(Path.cwd(), place, format, PLAIN, {}), True
    try:
        return sources.find(Path.cwd(), place, whole=False)[0], False
    except (BadConfiguration, DataRefused) as error:
        is_json = other_formats.is_json(path)
        names_a_format = sources.known_format(path) or (other_formats.by_suffix(path) and not is_json)
        if names_a_format or isinstance(error, DataRefused) != is_folder:
            raise
        if is_json:
            return sources.find(Path.cwd(), place, "jsonl", whole=False)[0], True
        for format in ("csv", "jsonl"):  # of files without a suffix either one finds them, of .json the second
            with suppress(DataRefused):
                file = sources.find(Path.cwd(), place, format, whole=False)[0]
                return replace(file, format=_format_within(file)), True
        raise


def _format_within(file: SourceFile) -> str:
    """The format by a file's first bytes."""
    with opened(file) as stream:
        head = stream.read(64).lstrip()
    return "parquet" if head.startswith(b"PAR1") else "jsonl" if head.startswith(b"{") else "csv"


def _list_of_items(batch: pa.RecordBatch) -> str | None:
    """The column whose lists hold the items of each row, where the rows themselves have none."""
    if guessing.has_item_id(batch.schema.names):
        return None
    names: list[str] = batch.schema.names
    for name in names:
        values = pc.drop_null(batch.column(name)).slice(0, _LISTS_LOOKED_AT).to_pylist()
        if pa.types.is_string(batch.column(name).type):
            values = [parsed for value in values if value.startswith("[{") and (parsed := _json(value))]
        keys = {key for value in values if (objects := objects_in(value)) for one in objects for key in one}
        if guessing.has_item_id(keys):
            return name
    return None


def _with_dot(values: pa.Array) -> pa.Array:
    """The numbers of a column that has some with a decimal comma, as others are written; other columns as they are."""
    has_comma = pc.any(pc.match_substring_regex(values, r"^\s*[+-]?[\d.]+,\d+\s*$")).as_py()
    return with_dot(values) if has_comma else values


def _json(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _batches(file: SourceFile) -> Iterator[pa.RecordBatch]:
    return iter(sources.read(file, None))
