"""Read the catalog's sources as they are, less the rows that are no interactions at all."""

from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters import sources
from recjobs.adapters.artifacts import StepFiles
from recjobs.adapters.sources import SourceFile
from recjobs.catalog import Catalog
from recjobs.errors import DataRefused
from recjobs.inputs import Source
from recjobs.night import Night, data_folder


def run(catalog: Catalog, batch_id: str) -> dict[str, int]:
    """Copy mapped columns, values untouched, to `source-<i>.parquet` with each row's file and number.

    Raises DataRefused when a file is missing, damaged, lacks a column, or changed since the night began.
    """
    night = Night.open(catalog, batch_id)
    pinned = {f["path"]: f["sha256"] for f in night.request.input["files"]}
    n_read, n_excluded = 0, 0
    with night.artifacts.writing("extract") as files:
        described = []
        for index, source in enumerate(night.catalog.sources):
            found = sources.find(data_folder(night.settings), source.path or "", source.format)
            _must_be_pinned(found, pinned)
            counts = _copy(files, f"source-{index:03d}.parquet", found, source, night.catalog)
            described.append(counts)
            n_read += counts["read"]
            n_excluded += sum(counts["excluded"].values())
        if night.catalog.items and night.catalog.items.is_given:
            place = night.catalog.items
            found = sources.find(data_folder(night.settings), place.path or "", place.format)
            _must_be_pinned(found, pinned)
            files.save_table("items.parquet", _items(found, night.catalog))
        files.save_json("extract.json", {"input_hash": night.request.input["hash"], "sources": described})
    return {"read": n_read, "excluded": n_excluded}


def _must_be_pinned(found: list[SourceFile], pinned: dict[str, str]) -> None:
    for file in found:
        if pinned.get(file.path) != file.sha256:
            raise DataRefused(f"{file.path}: changed while the night was running; begin the night again")


def _copy(files: StepFiles, name: str, found: list[SourceFile], source: Source, catalog: Catalog) -> dict[str, Any]:
    mapping = {key: column for key, column in source.columns.model_dump().items() if column}
    if catalog.items and not catalog.items.is_given:
        attributes = catalog.items.columns.model_dump(exclude={"item_id"})
        mapping |= {key: column for key, column in attributes.items() if column}
    n_read, excluded = 0, dict.fromkeys(source.where, 0)
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for index, file in enumerate(found):
            for rows in sources.read_rows(file, mapping, source.where):
                n_read += rows.n_read
                for rule, n in rows.excluded.items():
                    excluded[rule] += n
                columns = rows.columns | {
                    "file": pa.array([index] * len(rows.row), pa.int16()),
                    "row": pa.array(rows.row, pa.int64()),
                }
                batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
                if writer is None:
                    writer = stack.enter_context(files.writer(name, batch.schema))
                elif batch.schema != writer.schema:
                    changed = next(a.name for a, b in zip(batch.schema, writer.schema, strict=True) if a != b)
                    raise DataRefused(
                        f"{file.path}: column {mapping.get(changed, changed)!r} is {batch.schema.field(changed).type}, "
                        f"in the files before it {writer.schema.field(changed).type}; files of one source must agree"
                    )
                writer.write_batch(batch)
        if writer is None:
            raise DataRefused(f"{', '.join(f.path for f in found)}: no rows; see why its export wrote none")
    return {"files": [f.path for f in found], "read": n_read, "excluded": excluded}


def _items(found: list[SourceFile], catalog: Catalog) -> pa.Table:
    assert catalog.items
    mapping = {key: column for key, column in catalog.items.columns.model_dump().items() if column}
    tables: list[pa.Table] = []
    for file in found:
        for rows in sources.read_rows(file, mapping, {}):
            table = pa.table(rows.columns)
            if tables and table.schema != tables[0].schema:
                raise DataRefused(f"{file.path}: its columns have other types than in {found[0].path}; they must agree")
            tables.append(table)
    return pa.concat_tables(tables)
