"""Tables of Delta Lake and Iceberg: one snapshot of a folder, read by their own Python libraries.

`deltalake` and `pyiceberg` are an extra (`make install EXTRAS=tables`). A night reads the snapshot that was newest when
it began. It stands behind the folder's path, as `/data/orders#version=12` or `/data/orders#snapshot=305172967`,
in the request, the lineage and all messages.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from recjobs.adapters.sources import delta, iceberg
from recjobs.adapters.sources.table_snapshots import COPY_OUT, TableSnapshot
from recjobs.core.source_formats import TABLES, Dialect
from recjobs.errors import BadConfiguration, DataRefused

_LIBRARIES = {"delta": "deltalake", "iceberg": "pyiceberg"}


def find(
    data: Path,
    path: str,
    format: str,
    dialect: Dialect,
    ranges: Mapping[str, tuple[str, str]],
    pinned: Collection[str] = (),
) -> TableSnapshot:
    """The newest snapshot of the table in a folder relative to `data`, or that of the path in `pinned` that names it.

    ranges: of columns of text, dates or whole numbers, the first and the last value that is read; data files without
    any are not opened. Raises DataRefused if there is no such table, it cannot be read whole, or its log names files
    elsewhere; BadConfiguration if the library is not installed.
    """
    if "://" in path:
        raise BadConfiguration(f"{path}: a table of {TABLES[format]} is read from a disk; mount it, {COPY_OUT}")
    if find_spec(_LIBRARIES[format]) is None:
        raise BadConfiguration(
            f"format: {format} needs {_LIBRARIES[format]}, which is not installed; run `make install EXTRAS=tables`"
        )
    folder = str(data / path)
    wanted = next((int(one.rpartition("=")[2]) for one in pinned if one.rpartition("#")[0] == folder), None)
    if not Path(folder).is_dir():
        raise DataRefused(f"{folder}: there is no such folder, which a table of {TABLES[format]} is")
    if format == "delta":
        table = delta.opened(folder, wanted)
        name, identity = f"version={table.version()}", str(table.metadata().id)
        files = delta.files_of(table)
    else:
        table, snapshot = iceberg.opened(folder, wanted)
        name, identity = f"snapshot={snapshot}", str(table.metadata.table_uuid)
        files = dict(pair for task in iceberg.tasks_of(table, snapshot) for pair in iceberg.files_of(task))
    text = [format, identity, *(f"{path} {size}" for path, size in sorted(files.items())), *map(str, ranges.items())]
    return TableSnapshot(
        f"{folder}#{name}",
        format,
        hashlib.sha256("\n".join(text).encode()).hexdigest(),
        sum(files.values()),
        dialect=dialect,
        ranges=tuple(ranges.items()),
    )


def columns(file: TableSnapshot) -> list[str]:
    """The names of the table's columns."""
    if file.format == "delta":
        return [field.name for field in delta.opened(file.folder, file.snapshot).schema().fields]
    table, snapshot = iceberg.opened(file.folder, file.snapshot)
    return [field.name for field in iceberg.schema_of(table, snapshot).fields]


def read(file: TableSnapshot, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The columns of these names, or all, batch by batch; the rows of a snapshot come in the same order every time."""
    batches = delta.read(file, names) if file.format == "delta" else iceberg.read(file, names)
    return (batch for batch in batches if batch.num_rows)
