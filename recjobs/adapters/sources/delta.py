"""Tables of Delta Lake, by `deltalake`, which only this module imports."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

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

_BATCH_ROWS = 1 << 18


def opened(folder: str, version: int | None) -> Any:
    """Return the DeltaTable. Raises DataRefused if its rows cannot be read whole, or it names files elsewhere."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        table = DeltaTable(folder, version=version)
        paths = files_of(table)
    except TableNotFoundError:
        raise DataRefused(f"{folder}: is no table of Delta Lake, which has a folder _delta_log") from None
    except (DeltaError, OSError, ValueError) as error:
        raise refused(folder, "delta", error) from None
    features = set(table.protocol().reader_features or ())
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")  # of tables that say so without a list of features
    for feature in ("deletionVectors", "columnMapping"):
        if feature in features:
            raise DataRefused(
                f"{folder}: uses {feature} of Delta Lake, which is not read here: its files alone would give wrong "
                f"rows. Drop that feature of the table (alter table ... drop feature {feature}), {COPY_OUT}"
            )
    check_inside(folder, "delta", paths)
    return table


def read(file: TableSnapshot, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The columns of these names, or all, of the rows within the ranges, by data file in order of path."""
    from deltalake.exceptions import DeltaError

    table = opened(file.folder, file.snapshot)
    try:
        # As of Parquet: INT96 counts nanoseconds, and years behind 2262 would wrap.
        options = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")
        dataset = table.to_pyarrow_dataset(parquet_read_options=options)
        fragments = sorted(dataset.get_fragments(), key=lambda one: str(one.path))
        dataset = ds.FileSystemDataset(fragments, dataset.schema, dataset.format, dataset.filesystem)
        scanner = dataset.scanner(
            columns=names,
            filter=_expression(file, dataset.schema),
            batch_size=_BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
        )
        yield from scanner.to_batches()
    except DeltaError as error:
        raise refused(file.path, "delta", error) from None


def _expression(file: TableSnapshot, schema: pa.Schema) -> Any:
    """The ranges as a filter of Arrow, or None."""
    found = None
    for key, ends in file.ranges:
        if key not in schema.names:
            raise no_column(file, key)
        kind = schema.field(key).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        if not (is_text or pa.types.is_date(kind) or pa.types.is_integer(kind)):
            raise no_range(file, key, kind)
        for end, text in enumerate(ends):
            if text in ("", LAST):
                continue
            try:
                value = pa.scalar(text).cast(kind)
            except pa.ArrowException:
                raise no_value(file, key, text, kind) from None
            one = pc.field(key) <= value if end else pc.field(key) >= value
            found = one if found is None else found & one
    return found


def files_of(table: Any) -> dict[str, int]:
    """The data files of a DeltaTable by path in its folder, with their sizes in bytes."""
    actions = pa.table(table.get_add_actions())
    return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))
