"""The artifacts of one night: the files that its steps write and read, on a disk or in S3.

Files lie under `<root>/<catalog>/<batch_id>/<step>/`. A file counts only if the step's `manifest.json` lists its
SHA-256. The manifest is written last, so a killed step leaves no artifacts.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from recjobs.adapters.object_store import HashingSink, Store
from recjobs.core.model import npz
from recjobs.errors import BadConfiguration, InputLate, ModelRefused, Refused

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
"""Names of files that steps write; a manifest with any other name is refused."""


class StepFiles:
    """The files of one step while it writes them."""

    def __init__(self, system: Store, folder: str, hashes: dict[str, str], key: str | None = None) -> None:
        self._system, self._folder, self.hashes, self._key = system, folder, hashes, key

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
        with self.sink(name) as file, pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
            yield writer

    def save_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """A .npz without pickles."""
        with self.sink(name) as file:
            np.savez(file, allow_pickle=False, **arrays)

    def checkpoint(self) -> None:
        """Record the files written so far, for a retry to resume from."""
        self.put("checkpoint.json")

    def put(self, name: str) -> None:
        """Write the hashes to a file, atomically."""
        content = json.dumps({"key": self._key, "files": self.hashes}, indent=1)
        self._system.write_whole(f"{self._folder}/{name}", content.encode())


@dataclass(frozen=True)
class NightFiles:
    """One night's folder, `<root>/<catalog>/<batch_id>`, with a folder for each step."""

    system: Store
    folder: str
    manifests: tuple[str, ...] = ("manifest.json",)
    """Names of the files that make a step's files count."""

    @property
    def batch_id(self) -> str:
        """The night's batch id: the folder's name."""
        return self.folder.rpartition("/")[2]

    def with_refused(self) -> "NightFiles":
        """The same files, with the artifacts of refused steps readable too."""
        return replace(self, manifests=("manifest.json", "refused.json"))

    def where(self, step: str, name: str) -> str:
        """The path of a file, for messages and links."""
        return f"{self.folder}/{step}/{name}"

    @contextmanager
    def writing(self, step: str, *, resume_key: str | None = None) -> Iterator[StepFiles]:
        """A step's files; they count when the block ends without an error.

        resume_key: keep the files of a killed attempt's checkpoint with the same key whose bytes are unchanged;
        `StepFiles.hashes` lists them.
        """
        folder = f"{self.folder}/{step}"
        checkpoint = self._checkpoint(step, resume_key) if resume_key else {}
        try:
            self.system.create_dir(folder, recursive=True)
        except OSError as error:
            raise BadConfiguration(f"{folder} cannot be made ({error}); see to RECJOBS_ARTIFACTS") from None
        # First of all: a step that is being written again is not done, wherever it is killed.
        for name in ("manifest.json", "refused.json"):
            with suppress(FileNotFoundError):
                self.system.delete_file(self.where(step, name))
        if not checkpoint:
            self.system.delete_dir_contents(folder, missing_dir_ok=True)
            self.system.create_dir(folder, recursive=True)
        files = StepFiles(self.system, folder, checkpoint, resume_key)
        try:
            yield files
        except (Refused, InputLate):
            files.put("refused.json")  # the step is not done, but the reasons may be read
            raise
        files.put("manifest.json")

    def _checkpoint(self, step: str, key: str) -> dict[str, str]:
        try:
            with self.system.open_input_stream(self.where(step, "checkpoint.json")) as file:
                checkpoint = json.loads(file.read())
            files = checkpoint["files"] if checkpoint["key"] == key else {}
            return {name: digest for name, digest in files.items() if self._digest(self.where(step, name)) == digest}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}

    def _digest(self, path: str) -> str:
        with self.system.open_input_file(path) as file:
            return hashlib.sha256(file.read_buffer()).hexdigest()

    def is_done(self, step: str) -> bool:
        """Whether a step's manifest exists."""
        paths = [self.where(step, name) for name in self.manifests]
        return any(info.type == fs.FileType.File for info in self.system.get_file_info(paths))

    def manifest(self, step: str) -> dict[str, str]:
        """SHA-256 of each file of a finished step."""
        for path in (self.where(step, name) for name in self.manifests):
            with suppress(FileNotFoundError), self.system.open_input_stream(path) as file:
                content = file.read()
                break
        else:
            path = self.where(step, self.manifests[0])
            raise ModelRefused(
                f"{self.batch_id} has no finished {step!r} step ({path} is not there): run that step first"
            )
        try:
            hashes = dict(json.loads(content)["files"])
        except (ValueError, KeyError, TypeError):
            raise ModelRefused(f"{path} is damaged: run the {step!r} step again") from None
        if unknown := next((name for name in hashes if not _NAME.fullmatch(name)), None):
            raise ModelRefused(f"{path} names {unknown!r}, which no step writes: run the {step!r} step again")
        return hashes

    def load_bytes(self, step: str, name: str) -> pa.Buffer:
        """A file's content. Raises ModelRefused if the file is missing, or not the one that the manifest lists."""
        expected = self.manifest(step).get(name)
        path = self.where(step, name)
        if expected is None:
            raise ModelRefused(f"{path} is not named by its manifest: run the {step!r} step again")
        # The target of a link may change between hashing and reading.
        if self.system.is_local and any(Path(place).is_symlink() for place in (path, self.where(step, "."))):
            raise ModelRefused(f"{path} is a link, not the file that was written: run the {step!r} step again")
        try:
            if self.system.is_local:
                content = pa.memory_map(path).read_buffer()
            else:
                with self.system.translated_errors(), self.system.open_input_file(path) as file:
                    content = file.read_buffer()
        except FileNotFoundError:
            raise ModelRefused(f"{path} is missing: run the {step!r} step again") from None
        if hashlib.sha256(content).hexdigest() != expected:
            raise ModelRefused(
                f"{path} is not the file that was written (its SHA-256 changed): run the {step!r} step again"
            )
        return content

    def load_json(self, step: str, name: str) -> dict[str, Any]:
        """A JSON file that holds an object."""
        return dict(json.loads(self.load_bytes(step, name).to_pybytes()))

    def load_table(self, step: str, name: str, columns: list[str] | None = None) -> pa.Table:
        """A Parquet file."""
        return pq.read_table(pa.BufferReader(self.load_bytes(step, name)), columns=columns)

    def open_table(self, step: str, name: str) -> pq.ParquetFile:
        """A Parquet file, to be read batch by batch."""
        content = self.load_bytes(step, name)
        if not self.system.is_local:
            return pq.ParquetFile(pa.BufferReader(content))
        del content  # hashed; a file that stays mapped counts as memory until it is closed
        return pq.ParquetFile(self.where(step, name))

    def load_arrays(self, step: str, name: str) -> dict[str, np.ndarray]:
        """The arrays of a .npz. Raises ModelUnreadable for anything else; pickles are never loaded."""
        return npz.read(pa.BufferReader(self.load_bytes(step, name)), self.where(step, name))
