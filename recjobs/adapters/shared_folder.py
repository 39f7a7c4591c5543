"""A folder of the artifacts by which the processes of one step, on several machines, hand over arrays and files."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from recjobs.adapters import parquet
from recjobs.adapters.object_store import HashingSink, Store, file_system
from recjobs.errors import ModelRefused


@cache
def _store(root: str) -> Store:
    system, _ = file_system(root)
    return Store(system, root)


@dataclass(frozen=True)
class SharedFolder:
    """A folder below `root`, a path or s3://...; `path` is its path in that file system. Goes from process to process
    as these two texts."""

    root: str
    path: str

    @property
    def store(self) -> Store:
        """The file system."""
        return _store(self.root)

    def create(self) -> None:
        """Make the folder, empty."""
        self.remove()
        self.store.create_dir(self.path, recursive=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        with suppress(FileNotFoundError):
            self.store.delete_dir(self.path)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError):
            self.store.delete_file(f"{self.path}/{name}")

    def save(self, name: str, array: np.ndarray) -> None:
        """Write an array as .npy."""
        with self.store.translated_errors(), self.store.open_output_stream(f"{self.path}/{name}") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

    def load(self, name: str) -> np.ndarray:
        """An array, in memory."""
        with self.store.translated_errors(), self.store.open_input_file(f"{self.path}/{name}") as file:
            loaded: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        return loaded

    def save_matrix(self, name: str, matrix: csr_matrix) -> None:
        """Write a matrix as three arrays."""
        for part in ("data", "indices", "indptr"):
            self.save(f"{name}.{part}.npy", getattr(matrix, part))

    def load_matrix(self, name: str, n_columns: int) -> csr_matrix:
        """A matrix that `save_matrix` wrote."""
        parts = [self.load(f"{name}.{part}.npy") for part in ("data", "indices", "indptr")]
        return csr_matrix(tuple(parts), shape=(parts[2].size - 1, n_columns))

    def mapped(self, name: str, cache_folder: Path) -> np.ndarray:
        """An array as the pages of its file, which all processes of a machine share. Writing to it changes no file.

        A file of an object store is copied to `cache_folder` first. Names end in `-<number>.npy`: a copy replaces the
        one with the number before.
        """
        if self.store.is_local:
            return np.load(f"{self.path}/{name}", mmap_mode="c", allow_pickle=False)  # type: ignore[no-any-return]
        copy = cache_folder / f"{hashlib.sha256(self.path.encode()).hexdigest()[:16]}-{name}"
        if not copy.exists():
            part = copy.with_name(f"{copy.name}.{uuid4().hex}")
            with (
                self.store.translated_errors(),
                self.store.open_input_stream(f"{self.path}/{name}") as file,
                part.open("wb") as sink,
            ):
                while chunk := file.read(1 << 22):
                    sink.write(chunk)
            part.rename(copy)
            kind = copy.name.rpartition("-")[0]
            for other in cache_folder.glob(f"{kind}-*.npy"):
                if other != copy:
                    other.unlink(missing_ok=True)
        return np.load(copy, mmap_mode="c", allow_pickle=False)  # type: ignore[no-any-return]

    def save_table(self, name: str, table: pa.Table) -> str:
        """Write a Parquet file as `StepFiles.save_table` does; returns its SHA-256."""
        return self.save_groups(name, [table], parquet.GROUP)

    def save_groups(self, name: str, tables: Sequence[pa.Table], most: int = 1 << 30) -> str:
        """The same for several tables of one schema: a row group of each, unless it has more than `most` rows."""
        with self.store.translated_errors(), self.store.open_output_stream(f"{self.path}/{name}") as file:
            sink = HashingSink(file)
            with parquet.writer(sink, tables[0].schema) as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=most)
        return sink.sha256

    def table(self, name: str) -> "SharedTable":
        """One of the folder's Parquet files."""
        return SharedTable(self.root, f"{self.path}/{name}")


@dataclass(frozen=True)
class SharedTable:
    """A Parquet file of the artifacts whose rows ascend by one column; see `SharedFolder` for `root` and `path`."""

    root: str
    path: str

    def extent(self) -> tuple[pa.Schema, int]:
        """(the columns, the number of rows)"""
        store = _store(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            return file.schema_arrow, file.metadata.num_rows

    def batches(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        """All rows, at most so many at a time."""
        store = _store(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            yield from pq.ParquetFile(source).iter_batches(n_rows)

    def sample(self, column: str, groups: int, rows: int) -> Iterator[pa.Array]:
        """Some values of a column: about `rows` of each of some row groups that lie evenly apart."""
        store = _store(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            n = file.num_row_groups
            for number in sorted({place * n // groups for place in range(groups)} if n else ()):
                values = file.read_row_group(number, [column])[column].combine_chunks()
                yield values.take(pa.array(np.arange(0, len(values), max(1, len(values) // rows))))

    def groups(self) -> Iterator[pa.Table]:
        """All rows, row group by row group."""
        store = _store(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            file = pq.ParquetFile(source)
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)

    def verified(self, sha256: str) -> pa.Table:
        """All rows. Raises ModelRefused unless the file has this SHA-256."""
        store = _store(self.root)
        try:
            with store.translated_errors(), store.open_input_file(self.path) as source:
                content = source.read_buffer()
        except FileNotFoundError:
            raise ModelRefused(f"{self.path} is missing: run its step again") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ModelRefused(
                f"{self.path} is not the file that was written (its SHA-256 changed): run its step again"
            )
        return pq.read_table(pa.BufferReader(content))

    def column(self, name: str) -> pa.ChunkedArray:
        """One column."""
        store = _store(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            return pq.ParquetFile(source).read([name])[name]

    def group(self, number: int) -> pa.Table:
        """The rows of one row group."""
        store = _store(self.root)
        with store.translated_errors(), store.open_input_file(self.path) as source:
            return pq.ParquetFile(source).read_row_group(number)

    def between(self, column: str, first: int, last: int) -> pa.Table:
        """The rows whose value of an integer column is first to last - 1, from the row groups that may have some."""
        store = _store(self.root)
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
        store = _store(self.root)
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
