"""Rewrite files of a step that has ended: all at once, or none, wherever it is killed."""

import hashlib
import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

from pyarrow import fs

from recjobs.adapters.artifacts import NightFiles

_MANIFESTS = ("manifest.json", "refused.json")
_CHECKPOINT = "checkpoint.json"


class EndedStep:
    """The files of a step that is done or was refused; `marks` of the erasures that have rewritten them."""

    def __init__(self, night: NightFiles, step: str) -> None:
        self._night, self.step = night.with_refused(), step
        self._system, self._folder = night.system, f"{night.folder}/{step}"
        self.files = self._night.manifest(step)  # raises, if it is damaged
        for self._name in _MANIFESTS:
            with suppress(FileNotFoundError), self._system.open_input_stream(f"{self._folder}/{self._name}") as file:
                self._stored: dict[str, Any] = dict(json.loads(file.read()))
                break

    @property
    def marks(self) -> set[str]:
        """The erasures that have rewritten these files."""
        return set(self._stored.get("erasures", []))

    @property
    def key(self) -> tuple[str, str] | None:
        """The kernel and the key that a rerun of the step resumes by; None: it does not."""
        key, kernel = self._stored.get("key"), self._stored.get("kernel")
        return (str(kernel), str(key)) if key else None

    def load(self, name: str) -> bytes:
        """A file's content. Raises ModelRefused if it is not the one that was written."""
        return bytes(self._night.load_bytes(self.step, name).to_pybytes())

    def rewrite(self, contents: dict[str, bytes], mark: str) -> None:
        """Replace files. Until all are there, those of before count."""
        within = f"again-{uuid4().hex}"
        self._system.create_dir(f"{self._folder}/{within}", recursive=True)
        for name in self.files:
            path = f"{self._folder}/{within}/{name}"
            if name in contents:
                self._system.write_whole(path, contents[name])
            else:
                self._system.copy_file(f"{self._folder}/{name}", path)
        self.files = {
            name: hashlib.sha256(contents[name]).hexdigest() if name in contents else sha256
            for name, sha256 in self.files.items()
        }
        self._put({"files": self.files, "within": within, "erasures": sorted(self.marks | {mark})})
        self.settle()

    def settle(self) -> None:
        """Finish what a killed `rewrite` has begun, and remove files that no manifest names."""
        within = self._stored.get("within")
        if within:
            for info in self._system.get_file_info(fs.FileSelector(self._folder)):
                if info.type != fs.FileType.Directory and info.base_name not in (self._name, _CHECKPOINT):
                    self._system.delete_file(info.path)
            for name in self.files:
                self._system.copy_file(f"{self._folder}/{within}/{name}", f"{self._folder}/{name}")
            del self._stored["within"]
            self._put({})
        for info in self._system.get_file_info(fs.FileSelector(self._folder)):
            if info.type == fs.FileType.Directory:
                self._system.delete_dir(info.path)
            elif info.base_name not in {self._name, _CHECKPOINT, *self.files}:
                self._system.delete_file(info.path)

    def resume_by(self, key: str | None) -> None:
        """Let a rerun keep these files if its key is this one; None: it writes them anew."""
        checkpoint = f"{self._folder}/{_CHECKPOINT}"
        try:
            with self._system.open_input_stream(checkpoint) as file:
                names = set(json.loads(file.read()).get("files", {}))
        except (FileNotFoundError, ValueError, AttributeError):
            names = set()
        if key is None:
            with suppress(FileNotFoundError):
                self._system.delete_file(checkpoint)
        elif names:
            hashes = {name: sha256 for name, sha256 in self.files.items() if name in names}
            content = {"key": key, "kernel": self._stored.get("kernel"), "files": hashes}
            self._system.write_whole(checkpoint, json.dumps(content, indent=1).encode())
        self._put({"key": key})

    def _put(self, changes: dict[str, Any]) -> None:
        self._stored = {**self._stored, **changes}
        self._system.write_whole(f"{self._folder}/{self._name}", json.dumps(self._stored, indent=1).encode())
