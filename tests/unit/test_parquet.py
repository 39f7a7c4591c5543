"""The Parquet that steps write for each other."""

import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recjobs.adapters import parquet

SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "user_idx": pa.int32(),
        "at": pa.timestamp("us", "UTC"),
        "kind": pa.int16(),
        "weight": pa.float32(),
        "user_id": pa.string(),
        "item_ids": pa.list_(pa.field("element", pa.string())),
        "because": pa.list_(pa.field("element", pa.int32())),
    },
    metadata={"n_users": "2"},
)
AT = datetime(2026, 1, 1, tzinfo=UTC)
FULL = (2**62, -1, AT, 1, 0.5, "a", ["x", "y"], [1])
HOLES = (-(2**62), None, None, None, None, None, None, [])
ROWS = [dict(zip(SCHEMA.names, row, strict=True)) for row in (FULL, HOLES)]


def written(rows: list[dict[str, object]]) -> io.BytesIO:
    sink = io.BytesIO()
    with parquet.writer(sink, SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
    return sink


@pytest.mark.parametrize("rows", [ROWS, ROWS * 3, []])
def test_what_is_written_is_read_as_it_was(rows: list[dict[str, object]]) -> None:
    table = pq.read_table(written(rows))
    assert table.to_pylist() == rows
    assert table.schema.equals(SCHEMA, check_metadata=True)


def test_numbers_and_instants_are_differences_and_the_rest_has_dictionaries() -> None:
    group = pq.ParquetFile(written(ROWS)).metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    differences = {one.path_in_schema for one in columns if "DELTA_BINARY_PACKED" in one.encodings}
    dictionaries = {one.path_in_schema for one in columns if one.has_dictionary_page}
    assert differences == {"row", "user_idx", "at"}
    assert dictionaries == {"kind", "weight", "user_id", "item_ids.list.element", "because.list.element"}
    assert {one.compression for one in columns} == {"LZ4"}


@pytest.mark.parametrize("batches", [[7], [1] * 7, [3, 0, 4], [0, 6, 1], [4, 3], []])
def test_even_groups_make_the_same_file_of_the_same_rows_in_any_batches(
    monkeypatch: pytest.MonkeyPatch, batches: list[int]
) -> None:
    monkeypatch.setattr(parquet, "GROUP", 3)
    rows, sink, first = pa.table({"row": range(sum(batches))}), io.BytesIO(), 0
    with parquet.writer(sink, rows.schema) as writer:
        groups = parquet.EvenGroups(writer)
        for n in batches:
            groups.write(rows.slice(first, n))
            first += n
        groups.end()
    file = pq.ParquetFile(sink)
    assert file.read().equals(rows)
    lengths = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert lengths == ([3, 3, 1] if batches else [])
