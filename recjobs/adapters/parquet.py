"""Parquet as steps write it for each other: quick to write and to read before it is small."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DELTAS = "DELTA_BINARY_PACKED"


def writer(sink: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """Return what writes tables of a schema to an open file.

    Columns of instants and of whole numbers of 32 and 64 bits, such as row numbers and sorted indices, become packed
    differences: a dictionary of them is given up after a while, but only once it has been made. (docs/decisions/0099)
    """
    numbers = [field.name for field in schema if _is_number(field.type)]
    others = [_leaf(field) for field in schema if not _is_number(field.type)]
    return pq.ParquetWriter(
        sink, schema, compression="lz4", use_dictionary=others, column_encoding=dict.fromkeys(numbers, DELTAS)
    )


def _is_number(of: pa.DataType) -> bool:
    return pa.types.is_timestamp(of) or of in (pa.int32(), pa.int64())


def _leaf(field: pa.Field) -> str:
    """The path of a column's values in a file: those of a list have one of their own."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
