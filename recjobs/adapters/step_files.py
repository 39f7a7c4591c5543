"""The files of a step while it writes them, each with its SHA-256; they count once a manifest names them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from recjobs.adapters import parquet
from recjobs.adapters.object_store import HashingSink, Store
from recjobs.core.model.kernel import kernel


class StepFiles:
    """The files of one step while it writes them: in the step's folder or, `within` it, in one beside earlier files."""

    def __init__(self, system: Store, step: str, hashes: dict[str, str], key: str | None, within: str = "") -> None:
        self._system, self._step, self.hashes, self._key, self.within = system, step, hashes, key, within
        self._folder = f"{step}/{within}" if within else step

    @contextmanager
    def sink(self, name: str) -> Iterator[HashingSink]:
        """A binary file to write once, front to back."""
        with self._system.translated_errors(), self._system.open_output_stream(f"{self._folder}/{name}") as stream:
            sink = HashingSink(stream)
            yield sink
        self.hashes[name] = sink.sha256

    def read(self, name: str) -> bytes:
        """A file of this step that is already written."""
        with self._system.open_input_file(f"{self._folder}/{name}") as file:
            return bytes(file.read())

    def save_json(self, name: str, content: Any) -> None:
        """Any JSON value; the order of keys is kept."""
        self.save_text(name, json.dumps(content, indent=1, default=str, allow_nan=False))

    def save_text(self, name: str, content: str) -> None:
        """A text file in UTF-8."""
        with self.sink(name) as file:
            file.write(content.encode())

    def save_table(self, name: str, table: pa.Table) -> None:
        """A Parquet file."""
        with self.writer(name, table.schema) as writer:
            writer.write_table(table)

    @contextmanager
    def writer(self, name: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
        """A Parquet file that is written batch by batch."""
        with self.sink(name) as file, parquet.writer(file, schema) as writer:
            yield writer

    @contextmanager
    def even_writer(self, name: str, schema: pa.Schema) -> Iterator[parquet.EvenGroups]:
        """The same with row groups that do not depend on batches."""
        with self.writer(name, schema) as writer:
            groups = parquet.EvenGroups(writer)
            yield groups
            groups.end()

    def save_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """A .npz without pickles."""
        with self.sink(name) as file:
            np.savez(file, allow_pickle=False, **arrays)

    def take(self, name: str, path: str, sha256: str) -> None:
        """Make a file at a path of the same file system one of the step's, by moving it."""
        self._system.move(path, f"{self._folder}/{name}")
        self.hashes[name] = sha256

    def checkpoint(self) -> None:
        """Record the files written so far, for a retry to resume from; another thread may be writing one."""
        content = json.dumps({"key": self._key, "kernel": kernel(), "files": self._sorted()}, indent=1)
        self._system.write_whole(f"{self._folder}/checkpoint.json", content.encode())

    def _sorted(self) -> dict[str, str]:
        return dict(sorted(self.hashes.copy().items()))

    def put(self, name: str) -> None:
        """Write the hashes, and where the files lie, to a file of the step, atomically: from then on they count."""
        content = {"key": self._key, "kernel": kernel(), "files": self._sorted()} | (
            {"within": self.within} if self.within else {}
        )
        self._system.write_whole(f"{self._step}/{name}", json.dumps(content, indent=1).encode())

    def keep(self, hashes: dict[str, str], earlier: str) -> None:
        """Take over files of an earlier try, from its folder."""
        self.hashes |= hashes
        if earlier != self._folder:
            for name in hashes:
                self._system.copy_file(f"{earlier}/{name}", f"{self._folder}/{name}")

    def settle(self, name: str) -> None:
        """Copy the files to the step's folder, where people and earlier versions of this code look for them, and say so
        in a file of the step."""
        before = self._system.get_file_info(fs.FileSelector(self._step))
        for info in before:
            if info.type != fs.FileType.Directory and info.base_name != name:
                self._system.delete_file(info.path)
        for info in self._system.get_file_info(fs.FileSelector(self._folder)):
            self._system.copy_file(info.path, f"{self._step}/{info.base_name}")
        self.within = ""
        self.put(name)
        for info in before:
            if info.type == fs.FileType.Directory:
                self._system.delete_dir(info.path)
