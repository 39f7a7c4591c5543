"""The artifacts of one night: the files that its steps write and read, on a disk or in S3.

Files lie under `<root>/<catalog>/<batch_id>/<step>/`. A file counts only if the step's `manifest.json` lists its
SHA-256. The manifest is written last, so a killed step leaves no artifacts. A finished step that is run again writes
beside its files, into a folder that its manifest names once all is there: wherever it is killed, either all of the
earlier files count or all of the new ones.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from recjobs.adapters.object_store import Store
from recjobs.adapters.step_files import StepFiles
from recjobs.core.model import npz
from recjobs.errors import BadConfiguration, InputLate, ModelRefused, Refused

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
"""Names of files that steps write; a manifest with any other name is refused."""


@dataclass(frozen=True)
class _Manifest:
    """SHA-256 of each file of a step, and the folder within the step's that they lie in; "": the step's itself."""

    files: dict[str, str]
    within: str

    def path_of(self, name: str) -> str:
        """The path of a file from the step's folder."""
        return f"{self.within}/{name}" if self.within else name


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

    def path_of(self, step: str, name: str) -> str:
        """The path of a finished step's file, whose bytes are not checked."""
        return self.where(step, self._manifest(step).path_of(name))

    @contextmanager
    def writing(self, step: str, *, resume_key: str | None = None) -> Iterator[StepFiles]:
        """A step's files; they count when the block ends without an error, and those of an earlier run until then.

        resume_key: keep the files of an earlier try's checkpoint with the same key whose bytes are unchanged;
        `StepFiles.hashes` lists them.
        """
        folder = f"{self.folder}/{step}"
        try:
            self.system.create_dir(folder, recursive=True)
        except OSError as error:
            raise BadConfiguration(f"{folder} cannot be made ({error}); see to RECJOBS_ARTIFACTS") from None
        finished = self._finished(step)
        earlier = f"{folder}/{finished.within}".rstrip("/") if finished else folder
        kept = self._checkpoint(earlier, resume_key) if resume_key else {}
        files = StepFiles(self.system, folder, {}, resume_key, f"again-{uuid4().hex}" if finished else "")
        self._clear(folder, finished, kept)
        if finished:
            self.system.create_dir(f"{folder}/{files.within}", recursive=True)
        files.keep(kept, earlier)
        try:
            yield files
        except ModelRefused:
            if not finished:  # else it is not what the step wrote that was refused
                files.put("refused.json")
            raise
        except (Refused, InputLate):
            files.put("refused.json")  # the step is not done, but the reasons may be read
            if finished:
                self.system.delete_file(f"{folder}/manifest.json")
                files.settle("refused.json")
            raise
        if finished and finished == _Manifest(files.hashes, "") and self._is_sound(step):
            self.system.delete_dir(f"{folder}/{files.within}")
            return
        files.put("manifest.json")
        if finished:
            files.settle("manifest.json")

    def _clear(self, folder: str, finished: "_Manifest | None", kept: dict[str, str]) -> None:
        """Remove what a killed try has left in a step's folder."""
        if finished is None:
            for name in ("manifest.json", "refused.json"):  # a damaged one
                with suppress(FileNotFoundError):
                    self.system.delete_file(f"{folder}/{name}")
            if not kept:
                self.system.delete_dir_contents(folder, missing_dir_ok=True)
                self.system.create_dir(folder, recursive=True)
        for info in self.system.get_file_info(fs.FileSelector(folder, allow_not_found=True)):
            if info.type == fs.FileType.Directory and not (finished and info.base_name == finished.within):
                self.system.delete_dir(info.path)

    def _finished(self, step: str) -> "_Manifest | None":
        """The manifest of a finished step; None if there is none, or a damaged one."""
        try:
            return replace(self, manifests=("manifest.json",))._manifest(step)
        except ModelRefused:
            return None

    def _is_sound(self, step: str) -> bool:
        """Whether every file is the one that was written."""
        try:
            for name in self.manifest(step):
                self.load_bytes(step, name)
        except ModelRefused:
            return False
        return True

    def _checkpoint(self, folder: str, key: str) -> dict[str, str]:
        try:
            with self.system.open_input_stream(f"{folder}/checkpoint.json") as file:
                checkpoint = json.loads(file.read())
            files = checkpoint["files"] if checkpoint["key"] == key else {}
            return {name: digest for name, digest in files.items() if self._digest(f"{folder}/{name}") == digest}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}

    def _digest(self, path: str) -> str:
        digest = hashlib.sha256()
        with self.system.open_input_stream(path) as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
        return digest.hexdigest()

    def is_done(self, step: str) -> bool:
        """Whether a step's manifest exists."""
        paths = [self.where(step, name) for name in self.manifests]
        return any(info.type == fs.FileType.File for info in self.system.get_file_info(paths))

    def ended_at(self, step: str) -> datetime:
        """When a step's manifest was written; the year 1 if there is none."""
        infos = self.system.get_file_info([self.where(step, name) for name in self.manifests])
        never = datetime.min.replace(tzinfo=UTC)
        return max((info.mtime for info in infos if info.type == fs.FileType.File), default=never)

    def manifest(self, step: str) -> dict[str, str]:
        """SHA-256 of each file of a finished step."""
        return self._manifest(step).files

    def _manifest(self, step: str) -> "_Manifest":
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
            stored = json.loads(content)
            manifest = _Manifest(dict(stored["files"]), str(stored.get("within", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ModelRefused(f"{path} is damaged: run the {step!r} step again") from None
        names = [*manifest.files, *filter(None, [manifest.within])]
        if unknown := next((name for name in names if not _NAME.fullmatch(name)), None):
            raise ModelRefused(f"{path} names {unknown!r}, which no step writes: run the {step!r} step again")
        return manifest

    def stored_manifest(self, step: str) -> dict[str, Any]:
        """The content of a finished step's manifest, as of files that lie in the step's own folder."""
        files = self.manifest(step)
        with self.system.open_input_stream(self.where(step, "manifest.json")) as file:
            stored = dict(json.loads(file.read()))
        return {key: value for key, value in stored.items() if key != "within"} | {"files": files}

    def kernel(self, step: str) -> str | None:
        """The kernel that a finished step ran on; None of a step that is not finished, or of an older version."""
        try:
            with self.system.open_input_stream(self.where(step, "manifest.json")) as file:
                found = json.loads(file.read()).get("kernel")
        except (FileNotFoundError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    def note(self, step: str, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file beside a finished step's files. No manifest names it: nothing may depend on it."""
        self.system.write_whole(self.where(step, name), json.dumps(content).encode())

    def noted(self, step: str, name: str) -> dict[str, Any]:
        """What `note` wrote; empty if that is gone or damaged."""
        try:
            with self.system.open_input_stream(self.where(step, name)) as file:
                content = json.loads(file.read())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def sizes(self) -> dict[str, int]:
        """The bytes of each step's files."""
        sizes: dict[str, int] = {}
        selector = fs.FileSelector(self.folder, allow_not_found=True, recursive=True)
        for info in self.system.get_file_info(selector):
            step, _, name = info.path.removeprefix(f"{self.folder}/").partition("/")
            if name and info.type == fs.FileType.File:
                sizes[step] = sizes.get(step, 0) + info.size
        return sizes

    def load_bytes(self, step: str, name: str) -> pa.Buffer:
        """A file's content. Raises ModelRefused if the file is missing, or not the one that the manifest lists."""
        path, expected = self._listed(step, name)
        try:
            if self.system.is_local:
                content = pa.memory_map(path).read_buffer()
            else:
                with self.system.translated_errors(), self.system.open_input_file(path) as file:
                    content = file.read_buffer()
        except FileNotFoundError:
            raise _missing(path, step) from None
        if hashlib.sha256(content).hexdigest() != expected:
            raise _changed(path, step)
        return content

    def verified_path(self, step: str, name: str) -> str:
        """The path of a file that is read later, by parts: its content is looked at once, and not held. Raises as
        `load_bytes` does."""
        path, expected = self._listed(step, name)
        try:
            with self.system.translated_errors():
                found = self._digest(path)
        except FileNotFoundError:
            raise _missing(path, step) from None
        if found != expected:
            raise _changed(path, step)
        return path

    def _listed(self, step: str, name: str) -> tuple[str, str]:
        """(a file's path, the SHA-256 that the manifest lists)"""
        manifest = self._manifest(step)
        expected, path = manifest.files.get(name), self.where(step, manifest.path_of(name))
        if expected is None:
            raise ModelRefused(f"{path} is not named by its manifest: run the {step!r} step again")
        # The target of a link may change between hashing and reading.
        if self.system.is_local and any(
            Path(place).is_symlink() for place in (path, self.where(step, manifest.within or "."))
        ):
            raise ModelRefused(f"{path} is a link, not the file that was written: run the {step!r} step again")
        return path, expected

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
        return pq.ParquetFile(self.where(step, self._manifest(step).path_of(name)))

    def load_arrays(self, step: str, name: str) -> dict[str, np.ndarray]:
        """The arrays of a .npz. Raises ModelUnreadable for anything else; pickles are never loaded."""
        return npz.read(pa.BufferReader(self.load_bytes(step, name)), self.where(step, name))


def _missing(path: str, step: str) -> ModelRefused:
    return ModelRefused(f"{path} is missing: run the {step!r} step again")


def _changed(path: str, step: str) -> ModelRefused:
    return ModelRefused(f"{path} is not the file that was written (its SHA-256 changed): run the {step!r} step again")
