"""Tables of Iceberg, by `pyiceberg`, which only this module imports. No catalog is asked: metadata files say it all."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from recjobs.adapters.sources.table_snapshots import (
    COPY_OUT,
    TableSnapshot,
    check_inside,
    no_column,
    no_range,
    no_value,
    refused,
)
from recjobs.core.source_formats import LAST
from recjobs.errors import DataRefused

_METADATA = re.compile(r"v?(\d+)\b[^/]*\.metadata\.json")


def _newest_metadata(folder: str) -> str:
    """The metadata file that names the table's newest snapshot."""
    found = Path(folder) / "metadata"
    hint = found / "version-hint.text"
    if hint.is_file():
        said = hint.read_text(encoding="utf-8", errors="replace").strip()
        for name in (said, f"v{said}.metadata.json", f"{said}.metadata.json"):
            if re.fullmatch(_METADATA, name) and (found / name).is_file():
                return str(found / name)
        raise DataRefused(f"{hint}: names no metadata file beside it: {said[:60]!r}")
    numbers = {path: int(match[1]) for path in found.glob("*.metadata.json") if (match := _METADATA.match(path.name))}
    if not numbers:
        raise DataRefused(f"{folder}: is no table of Iceberg, which has files metadata/*.metadata.json")
    newest = [path for path, number in numbers.items() if number == max(numbers.values())]
    if len(newest) > 1:
        raise DataRefused(
            f"{folder}: {newest[0].name} and {newest[1].name} are both the newest metadata, and only a catalog's "
            f"server knows the right one: write its name into {hint}, {COPY_OUT}"
        )
    return str(newest[0])


def opened(folder: str, snapshot: int | None) -> tuple[Any, int]:
    """Return the Iceberg table and a snapshot's id. Raises DataRefused if it has none, or names files elsewhere."""
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.serializers import FromInputFile
    from pyiceberg.table import Table

    place = _newest_metadata(folder)
    io = PyArrowFileIO()  # not the one that the table's own properties name
    try:
        metadata = FromInputFile.table_metadata(io.new_input(place))
        table = Table(("table", folder), metadata, place, io, NoopCatalog("none"))
        found = table.snapshot_by_id(snapshot) if snapshot is not None else table.current_snapshot()
        if found is None and snapshot is not None:
            raise DataRefused(f"{folder}: snapshot {snapshot} has expired; begin the night again")
        if found is None:
            raise DataRefused(f"{folder}: no rows: nothing was written into this table of Iceberg yet")
        check_inside(folder, "iceberg", [found.manifest_list])
        check_inside(folder, "iceberg", [manifest.manifest_path for manifest in found.manifests(io)])
    except (OSError, ValueError, TypeError, KeyError) as error:  # of pydantic and Avro, too
        raise refused(folder, "iceberg", error) from None
    return table, int(found.snapshot_id)


def schema_of(table: Any, snapshot: int) -> Any:
    """The columns as of a snapshot, in Iceberg's types."""
    return table.scan(snapshot_id=snapshot).projection()


def tasks_of(table: Any, snapshot: int, **options: Any) -> list[Any]:
    """A snapshot's data files with the files of deleted rows, in order of path."""
    folder = str(table.name()[1])
    try:
        tasks = list(table.scan(snapshot_id=snapshot, **options).plan_files())
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise refused(folder, "iceberg", error) from None
    check_inside(folder, "iceberg", (path for task in tasks for path, _ in files_of(task)))
    return sorted(tasks, key=lambda task: str(task.file.file_path))


def files_of(task: Any) -> list[tuple[str, int]]:
    """A data file and the files of its deleted rows, with their sizes in bytes."""
    return [(str(one.file_path), int(one.file_size_in_bytes)) for one in (task.file, *task.delete_files)]


def read(file: TableSnapshot, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The columns of these names, or all, of the rows within the ranges, by data file in order of path."""
    from pyiceberg.io.pyarrow import ArrowScan

    table, snapshot = opened(file.folder, file.snapshot)
    row_filter = _row_filter(file, table, snapshot)
    selected = tuple(names) if names is not None else ("*",)
    tasks = tasks_of(table, snapshot, row_filter=row_filter)
    scan = ArrowScan(
        table.metadata, table.io, table.scan(snapshot_id=snapshot, selected_fields=selected).projection(), row_filter
    )
    for task in tasks:  # one at a time: the library holds the rows of a data file in memory
        try:
            for batch in scan.to_record_batches([task]):
                yield batch.select(names) if names is not None else batch
        except (ValueError, NotImplementedError) as error:
            if isinstance(error, pa.ArrowException):
                raise
            raise refused(file.path, "iceberg", error) from None


def _row_filter(file: TableSnapshot, table: Any, snapshot: int) -> Any:
    from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThanOrEqual
    from pyiceberg.types import DateType, IntegerType, LongType, StringType

    kinds = {field.name: field.field_type for field in schema_of(table, snapshot).fields}
    found: Any = AlwaysTrue()
    for key, (first, last) in file.ranges:
        if key not in kinds:
            raise no_column(file, key)
        if not isinstance(kinds[key], DateType | IntegerType | LongType | StringType):
            raise no_range(file, key, kinds[key])
        for text, compare in ((first, GreaterThanOrEqual), (last, LessThanOrEqual)):
            if text not in ("", LAST):
                try:
                    pa.scalar(text).cast(
                        {DateType: pa.date32(), StringType: pa.string()}.get(type(kinds[key]), pa.int64())
                    )
                except pa.ArrowException:
                    raise no_value(file, key, text, kinds[key]) from None
                found = And(found, compare(key, text))
    return found
