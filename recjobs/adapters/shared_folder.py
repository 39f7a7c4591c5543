"""A folder of the artifacts by which the processes of one step, on several machines, hand over arrays and files."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from recjobs.adapters import parquet
from recjobs.adapters.object_store import HashingSink, Store
from recjobs.adapters.shared_table import SharedTable, store_of


@dataclass(frozen=True)
class SharedFolder:
    """A folder below `root`, a path or s3://...; `path` is its path in that file system. Goes from process to process
    as these two texts."""

    root: str
    path: str

    @property
    def store(self) -> Store:
        """The file system."""
        return store_of(self.root)

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

    def table(self, name: str) -> SharedTable:
        """One of the folder's Parquet files."""
        return SharedTable(self.root, f"{self.path}/{name}")
