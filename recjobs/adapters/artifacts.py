"""The files of one night: what a step leaves for the next, on a disk or in S3.

Files lie under `<root>/<catalog>/<batch_id>/<step>/`. A file counts only once the step's `manifest.json` names
it with its SHA-256; the manifest is written last, so a killed step has left nothing.
"""

import hashlib
import io
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

from recjobs.adapters.object_store import Store
from recjobs.core.model import npz
from recjobs.errors import BadConfiguration, InputLate, ModelRefused, Refused

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
"""Names of files that steps write; a manifest with another is not ours."""


class _Hashed(io.RawIOBase):
    """A sink that hashes what passes through it."""

    def __init__(self, sink: pa.NativeFile) -> None:
        self._sink, self._at = sink, 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._sink.write(view)
        self.digest.update(view)
        self._at += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._at


class StepFiles:
    """The files of one step while it writes them."""

    def __init__(self, system: Store, folder: str, kept: dict[str, str], key: str | None = None) -> None:
        self._system, self._folder, self._key = system, folder, key
        self.hashes = kept

    @contextmanager
    def sink(self, name: str) -> Iterator[_Hashed]:
        """A binary file to write once, front to back."""
        with self._system.answers(), self._system.open_output_stream(f"{self._folder}/{name}") as stream:
            hashed = _Hashed(stream)
            yield hashed
        self.hashes[name] = hashed.digest.hexdigest()

    def read(self, name: str) -> bytes:
        """A file that was written just now."""
        with self._system.open_input_file(f"{self._folder}/{name}") as file:
            return bytes(file.read())

    def save_json(self, name: str, content: Any) -> None:
        """Any JSON value, keys in the order given."""
        with self.sink(name) as file:
            file.write(json.dumps(content, indent=1, default=str, allow_nan=False).encode())

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
        """Note the files finished so far, for a later try to go on from."""
        self.put("checkpoint.json")

    def put(self, name: str) -> None:
        """Write the hashes under a name, whole or not at all."""
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
        """The same files, where a step that ended in a refusal counts as done: what it wrote may be read."""
        return replace(self, manifests=("manifest.json", "refused.json"))

    def where(self, step: str, name: str) -> str:
        """The place of a file, for messages and links."""
        return f"{self.folder}/{step}/{name}"

    @contextmanager
    def writing(self, step: str, *, resume_key: str | None = None) -> Iterator[StepFiles]:
        """A step's files; they count when the block ends without an error.

        resume_key: keep the files that an earlier, killed try had finished (`StepFiles.checkpoint`) under the same key,
        if their bytes are still those; `StepFiles.hashes` names them.
        """
        folder = f"{self.folder}/{step}"
        kept = self._finished_files(step, resume_key) if resume_key else {}
        try:
            self.system.create_dir(folder, recursive=True)
        except OSError as error:
            raise BadConfiguration(f"{folder} cannot be made ({error}); see to RECJOBS_ARTIFACTS") from None
        # First of all: a step that is being written again is not done, wherever it is killed.
        with suppress(FileNotFoundError):
            self.system.delete_file(self.where(step, "manifest.json"))
        with suppress(FileNotFoundError):
            self.system.delete_file(self.where(step, "refused.json"))
        if not kept:
            self.system.delete_dir_contents(folder, missing_dir_ok=True)
            self.system.create_dir(folder, recursive=True)
        files = StepFiles(self.system, folder, kept, resume_key)
        try:
            yield files
        except (Refused, InputLate):
            files.put("refused.json")  # the step is not done, but the reasons may be read
            raise
        files.put("manifest.json")

    def _finished_files(self, step: str, key: str) -> dict[str, str]:
        try:
            with self.system.open_input_stream(self.where(step, "checkpoint.json")) as file:
                checkpoint = json.loads(file.read())
            noted = checkpoint["files"] if checkpoint["key"] == key else {}
            return {name: digest for name, digest in noted.items() if self._digest(self.where(step, name)) == digest}
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
            named = dict(json.loads(content)["files"])
        except (ValueError, KeyError, TypeError):
            raise ModelRefused(f"{path} is damaged: run the {step!r} step again") from None
        for name in named:
            if not _NAME.fullmatch(name):
                raise ModelRefused(f"{path} names {name!r}, which no step writes: run the {step!r} step again")
        return named

    def load_bytes(self, step: str, name: str) -> pa.Buffer:
        """A file's content, whose hash is the manifest's.

        Raises ModelRefused when the file is missing, unnamed or changed.
        """
        expected = self.manifest(step).get(name)
        path = self.where(step, name)
        if expected is None:
            raise ModelRefused(f"{path} is not named by its manifest: run the {step!r} step again")
        # What a link leads to may be another file by the time it is read again.
        if self.system.is_local and any(Path(place).is_symlink() for place in (path, self.where(step, "."))):
            raise ModelRefused(f"{path} is a link, not the file that was written: run the {step!r} step again")
        try:
            if self.system.is_local:
                content = pa.memory_map(path).read_buffer()
            else:
                with self.system.answers(), self.system.open_input_file(path) as file:
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
        del content  # hashed; a mapped file that is read at leisure would count as memory until it is closed
        return pq.ParquetFile(self.where(step, name))

    def load_arrays(self, step: str, name: str) -> dict[str, np.ndarray]:
        """The arrays of a .npz. Raises ModelUnreadable for anything else; pickles are never loaded."""
        return npz.read(pa.BufferReader(self.load_bytes(step, name)), self.where(step, name))
