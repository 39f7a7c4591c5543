"""The beginning of a data file, read in the dialect that it seems to have: what `init` guesses from."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters import sources
from recjobs.adapters.sources import SourceFile, csv_faults, other_formats, tables
from recjobs.adapters.sources.exploding import objects_in
from recjobs.config import Settings
from recjobs.core.rows import guessing
from recjobs.core.rows.guessing import Column
from recjobs.core.source_formats import PLAIN, TABLES
from recjobs.errors import BadConfiguration, DataRefused
from recjobs.night.night import data_folder

MOST_ROWS = 100_000
_WHOLE_BYTES = 4 << 20
_LISTS_LOOKED_AT = 1000
_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1")


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
        file, found = _dialect(file)
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
    inside = Path(place)
    data = data_folder(settings).absolute()
    in_catalog = (
        str(inside.relative_to(data)) if not path.startswith("s3://") and inside.is_relative_to(data) else place
    )
    n_bytes = inside.stat().st_size if inside.is_file() else file.n_bytes
    is_whole = is_whole and inside.is_file()
    return FileSample(path, in_catalog, found, table, n_bytes, is_whole, file.format == "jsonl")


def _file(path: str, place: str) -> tuple[SourceFile, bool]:
    """Return the first file of a place, and whether a catalog has to say its format, which the names leave open."""
    inside = [str(file.relative_to(place)) for file in Path(place).rglob("*")]
    table = other_formats.table_format(inside) if Path(place).is_dir() else None
    if format := next((name for name, title in TABLES.items() if title == table), None):
        return tables.find(Path.cwd(), place, format, PLAIN, {}), True
    try:
        return sources.find(Path.cwd(), place, whole=False)[0], False
    except BadConfiguration:
        is_json = path.lower().endswith((".json", ".json.gz"))
        if sources.known_format(path) or (other_formats.by_suffix(path) and not is_json):
            raise
        return sources.find(Path.cwd(), place, "jsonl" if is_json else "csv", whole=False)[0], True


def _dialect(file: SourceFile) -> tuple[SourceFile, dict[str, Any]]:
    """Return the file in its likely dialect, and the settings that say so."""
    found: dict[str, Any] = {}
    for encoding in _ENCODINGS:
        coded = replace(file, dialect=replace(file.dialect, encoding=encoding))
        try:
            delimiter = sources.delimiter_of(coded)
            coded = replace(coded, delimiter=delimiter)
            next(_batches(coded), None)
        except DataRefused as error:
            if encoding == _ENCODINGS[-1] or not any(word in str(error) for word in ("UTF-8 text", "UTF-16", "utf-16")):
                raise
            continue
        if encoding != "utf-8":
            found["encoding"] = encoding
        break
    is_excels = csv_faults.settled(coded) != coded
    if delimiter != "," and not is_excels:
        found["delimiter"] = delimiter
    names = csv_faults.header(csv_faults.settled(coded))
    if any(map(csv_faults.is_value, names)):
        names = [f"column_{n}" for n in range(1, len(names) + 1)]
        coded = replace(coded, dialect=replace(coded.dialect, names=tuple(names)))
        found |= {"header": False, "names": names}
    return coded, found


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


def _json(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _batches(file: SourceFile) -> Iterator[pa.RecordBatch]:
    return iter(sources.read(file, None))
