"""Extract the catalog's sources as they are, without the rows that `where` excludes."""

from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters import sources
from recjobs.adapters.sources import SourceFile, query
from recjobs.adapters.step_files import StepFiles
from recjobs.catalog.file import Input
from recjobs.catalog.sources import Source
from recjobs.core.ahead import ahead
from recjobs.core.rows.people import ErasedPeople
from recjobs.core.rows.validation import encoded_ids
from recjobs.errors import DataRefused
from recjobs.night.erasures import erased_people
from recjobs.night.inputs import files_at, with_joined
from recjobs.night.night import Night

NOBODY = ErasedPeople()
SAMPLE_FILES = 20
"""Files of one place that a sample is read from, the first and the last among them."""
SAMPLE_BYTES = 16 << 20
"""Up to so many bytes a sample is read from all files of a place, as of a small shop with a file a day."""


def run(night: Night) -> dict[str, int]:
    """Copy mapped columns, values unchanged, to `source-<i>.parquet`, `items.parquet` and `users.parquet`, with the
    file and number of each row. Raises DataRefused if a file is missing, damaged, lacks a column or changed meanwhile.
    """
    inputs = {key: _pinned(night, key, place) for key, place in night.catalog.inputs.items()}
    return copy(night, inputs, erased=erased_people(night.catalog))


def copy(
    night: Night, inputs: dict[str, list[SourceFile]], most_rows: int | None = None, erased: ErasedPeople = NOBODY
) -> dict[str, int]:
    """Do what `run` does with these files, by key of the catalog; most_rows: read a sample of each source, of about so
    many rows. `sampled`: how many sources were not read whole. erased: the people who are left out."""
    counts = list[dict[str, Any]]()
    with night.writing("extract") as files:
        for key, place in night.catalog.inputs.items():
            is_source = isinstance(place, Source)
            name = f"source-{len(counts):03d}.parquet" if is_source else f"{key}.parquet"
            # Items and users are read whole: a part of them would fit nothing.
            limit = most_rows if is_source else None
            count = _copy(files, name, inputs[key], night.catalog.mapping(place), place, erased, limit)
            if is_source:
                counts.append(count)
        files.save_json("extract.json", {"input_hash": night.request.input["hash"], "sources": counts})
    excluded = sum(n for count in counts for n in count["excluded"].values())
    result = {"read": sum(count["read"] for count in counts), "excluded": excluded}
    return result if most_rows is None else {**result, "sampled": sum(count["sampled"] for count in counts)}


def _pinned(night: Night, key: str, place: Input) -> list[SourceFile]:
    """Return the files of a place. Raises DataRefused unless they are those that the night began with."""
    pinned = {
        (f["of"], f["path"]): f["sha256"] for f in night.request.input["files"] if f["of"] in (key, f"{key}.join")
    }
    paths = [path for _, path in pinned]
    if place.path is None:
        files = [query.pinned(path) for path in paths]
    else:
        files = files_at(place, night.settings, pinned=paths)
    for part, file in with_joined(key, files):
        if pinned.pop((part, file.path), None) != file.sha256:
            raise DataRefused(f"{file.path}: changed while the night was running; begin the night again")
    if pinned:
        path = next(path for _, path in pinned)
        raise DataRefused(f"{path}: went away while the night was running; begin the night again")
    return files


def _in_order(n_files: int, most_files: int) -> list[int]:
    """The places of the files of a sample: the last and the first before those between, spread evenly."""
    n_read = min(n_files, most_files)
    spread = [round(n * (n_files - 1) / max(1, n_read - 1)) for n in range(n_read)]
    return [spread[-1], *spread[:-1]]


def _copy(
    files: StepFiles,
    name: str,
    source_files: list[SourceFile],
    mapping: dict[str, str],
    place: Input,
    erased: ErasedPeople,
    most_rows: int | None = None,
) -> dict[str, Any]:
    where = place.where if isinstance(place, Source) else {}
    n_read, excluded = 0, dict.fromkeys(where, 0)
    n_bytes = sum(file.n_bytes for file in source_files)
    most_files = SAMPLE_FILES if n_bytes > SAMPLE_BYTES else len(source_files)
    order = _in_order(len(source_files), most_files) if most_rows is not None else [*range(len(source_files))]
    is_sampled = len(order) < len(source_files)
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for index in order:
            file = source_files[index]
            for rows in ahead(sources.read_rows(file, mapping, where)):
                if most_rows is not None and n_read >= most_rows:
                    is_sampled = True
                    break
                if erased and "user_id" in mapping:
                    _leave_out(rows, erased, mapping["user_id"])
                n_read += rows.n_read
                for rule, n in rows.excluded.items():
                    excluded[rule] = excluded.get(rule, 0) + n
                columns = rows.columns | {
                    "file": pa.repeat(pa.scalar(index, pa.int32()), len(rows.row)),
                    "row": pa.array(rows.row, pa.int64()),
                }
                batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
                if writer is None:
                    writer = stack.enter_context(files.writer(name, batch.schema))
                elif batch.schema != writer.schema:
                    changed = next(a.name for a, b in zip(batch.schema, writer.schema, strict=True) if a != b)
                    raise DataRefused(
                        f"{file.path}: column {mapping.get(changed, changed)!r} is {batch.schema.field(changed).type}, "
                        f"in the files before it ({source_files[0].path}) {writer.schema.field(changed).type}; files "
                        "of one source must agree"
                    )
                writer.write_batch(batch)
        if writer is None:
            raise DataRefused(f"{', '.join(f.path for f in source_files)}: no rows; see why its export wrote none")
    described = {"files": [f.path for f in source_files], "read": n_read, "excluded": excluded}
    return described if most_rows is None else {**described, "sampled": is_sampled}


def _leave_out(rows: sources.Rows, erased: ErasedPeople, column: str) -> None:
    """Exclude the rows of people who were erased, under the reason code of that name."""
    mask = erased.mask(encoded_ids(rows.columns["user_id"], column))
    if mask.any():
        rows.columns = {name: values.filter(pa.array(~mask)) for name, values in rows.columns.items()}
        rows.row = rows.row[~mask]
        rows.excluded["erased"] = rows.excluded.get("erased", 0) + int(mask.sum())
