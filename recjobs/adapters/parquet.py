"""Parquet as steps write it for each other: quick to write and to read before it is small."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GROUP = 1 << 20
"""Rows of a row group."""
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


class EvenGroups:
    """Writes tables of one schema as row groups of GROUP rows, wherever one table ends: the same rows make the same
    file. `end` writes what is left."""

    def __init__(self, to: pq.ParquetWriter) -> None:
        self._to, self._held, self._n = to, list[pa.Table](), 0

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._held.append(table)
        self._n += table.num_rows
        if self._n >= GROUP:
            whole, self._held = pa.concat_tables(self._held), []
            for first in range(0, self._n - GROUP + 1, GROUP):
                self._write(whole.slice(first, GROUP))
            self._held, self._n = [whole.slice(self._n - self._n % GROUP)], self._n % GROUP

    def end(self) -> None:
        """Write the rows that do not fill a group."""
        if self._n:
            self._write(pa.concat_tables(self._held))
        self._held, self._n = [], 0

    def _write(self, table: pa.Table) -> None:
        self._to.write_table(table.combine_chunks(), row_group_size=GROUP)


def _is_number(of: pa.DataType) -> bool:
    return pa.types.is_timestamp(of) or of in (pa.int32(), pa.int64())


def _leaf(field: pa.Field) -> str:
    """The path of a column's values in a file: those of a list have one of their own."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
