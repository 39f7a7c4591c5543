"""A Parquet file of the artifacts that the processes of a step, on several machines, read by parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters.object_store import Store, file_system


@cache
def store_of(root: str) -> Store:
    """The file system of the artifacts' root."""
    system, _ = file_system(root)
    return Store(system, root)


@dataclass(frozen=True)
class SharedTable:
    """A Parquet file of the artifacts whose rows ascend by one column; see `SharedFolder` for `root` and `path`."""

    root: str
    path: str

    def extent(self) -> tuple[pa.Schema, int]:
        """(the columns, the number of rows)"""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            return file.schema_arrow, file.metadata.num_rows

    def batches(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        """All rows, at most so many at a time."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            yield from pq.ParquetFile(source).iter_batches(n_rows)

    def sample(self, column: str, groups: int, rows: int) -> Iterator[pa.Array]:
        """Some values of a column: about `rows` of each of some row groups that lie evenly apart."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            n = file.num_row_groups
            for number in sorted({place * n // groups for place in range(groups)} if n else ()):
                values = file.read_row_group(number, [column])[column].combine_chunks()
                yield values.take(pa.array(np.arange(0, len(values), max(1, len(values) // rows))))

    def groups(self) -> Iterator[pa.Table]:
        """All rows, row group by row group."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """All rows."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            return pq.ParquetFile(source).read(columns)

    def group(self, number: int) -> pa.Table:
        """The rows of one row group."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            return pq.ParquetFile(source).read_row_group(number)

    def between(self, column: str, first: int, last: int) -> pa.Table:
        """The rows whose value of an integer column is first to last - 1, from the row groups that may have some."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            place = file.schema_arrow.get_field_index(column)
            groups = []
            for number in range(file.num_row_groups):
                known = file.metadata.row_group(number).column(place).statistics
                if known is None or not known.has_min_max or (known.min < last and known.max >= first):
                    groups.append(number)
            table = file.read_row_groups(groups)
        values = table[column].to_numpy()
        return table.filter(pa.array((values >= first) & (values < last)))

    def rows(self, first: int, last: int, columns: list[str] | None = None) -> pa.Table:
        """The rows from first to last - 1."""
        store = store_of(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            groups, begin, skipped = [], 0, 0
            for number in range(file.num_row_groups):
                end = begin + file.metadata.row_group(number).num_rows
                if end <= first:
                    skipped = end
                elif begin < last:
                    groups.append(number)
                begin = end
            return file.read_row_groups(groups, columns=columns).slice(first - skipped, last - first)
