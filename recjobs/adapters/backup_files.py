"""The files of a back-up, on a disk or in S3. They count once `manifest.json`, written last, names each by SHA-256."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyarrow import fs

from recjobs.adapters.backup_cipher import decrypted, encrypted, key_id, key_named
from recjobs.adapters.object_store import HashingSink, Store, file_system
from recjobs.errors import BadConfiguration, DataRefused

MANIFEST = "manifest.json"
PLAIN, ENCRYPTED = 1, 2
"""Formats of a back-up; code that knows only the first refuses the other."""
CHUNK = 1 << 20
_NAME = re.compile(r"\d{8}T\d{6}Z")
_HASH = re.compile(r"[0-9a-f]{64}")
_ERASURES = "erasures"
_PATH = re.compile(r"(?!.*(^|/)\.\.?(/|$))[^/\0][^\0]*")
"""Files of a back-up: no absolute path and none that leads out of its folder."""


class BackupPlace:
    """A folder, or s3://bucket/folder, with a folder for each back-up, named by when it began.

    keys: the first encrypts the files of new back-ups, all decrypt; none: new ones are not encrypted.
    """

    def __init__(self, place: str, keys: Sequence[bytes] = ()) -> None:
        self.keys = keys
        if "://" not in place:
            place = str(Path(place).absolute())
        system, path = file_system(place, "the place of the back-ups: ")
        self.system, self.path, self.place = (
            Store(system, place, "the place of the back-ups: "),
            path.rstrip("/"),
            place,
        )

    def new(self, now: datetime) -> "BackupFiles":
        """A back-up to be written. Raises BadConfiguration if its folder cannot be made."""
        name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        files = BackupFiles(self.system, f"{self.path}/{name}", name, self.keys, self.keys[0] if self.keys else None)
        try:
            self.system.create_dir(files.folder, recursive=True)
        except OSError as error:
            raise BadConfiguration(f"{files.folder} cannot be made ({error}); see to --to") from None
        return files

    def all(self) -> list["BackupFiles"]:
        """Every back-up, half-written ones too, the oldest first."""
        infos = self.system.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        names = sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)
        found = (name for name in names if _NAME.fullmatch(name))
        return [BackupFiles(self.system, f"{self.path}/{name}", name, self.keys) for name in found]

    def note_erasure(self, entry: dict[str, str]) -> None:
        """Note who was erased, as `catalog`, the salted hash `person`, and its `salt`; atomic."""
        folder = f"{self.path}/{_ERASURES}/{entry['catalog']}"
        self.system.create_dir(folder, recursive=True)
        self.system.write_whole(f"{folder}/{entry['person']}.json", json.dumps(entry, indent=1).encode())

    def erasures(self, catalog: str) -> list[dict[str, str]]:
        """The erasures of a catalog that are noted here. Raises DataRefused for an entry that is damaged."""
        folder = f"{self.path}/{_ERASURES}/{catalog}"
        entries = []
        for info in self.system.get_file_info(fs.FileSelector(folder, allow_not_found=True)):
            if info.base_name.endswith(".json"):
                try:
                    with self.system.open_input_stream(info.path) as file:
                        entry = dict(json.loads(file.read()))
                    if not all(_HASH.fullmatch(entry[name]) for name in ("person", "salt")):
                        raise ValueError
                except (ValueError, KeyError, TypeError):
                    raise DataRefused(f"{info.path} is damaged: an erasure is noted there; restore that file") from None
                entries.append(entry)
        return entries

    def above(self) -> "BackupPlace":
        """The place that holds this one, if this is one back-up's folder; else itself."""
        if not _NAME.fullmatch(self.path.rpartition("/")[2]):
            return self
        return BackupPlace(self.place.rstrip("/").rpartition("/")[0])

    def itself(self) -> "BackupFiles":
        """The place as the folder of one back-up."""
        return BackupFiles(self.system, self.path, self.path.rpartition("/")[2], self.keys)


class BackupFiles:
    """One back-up: a folder of files, whose hashes are collected while they are written.

    keys: those that may decrypt it; key: the one that encrypts it, None: none does. Hashes are of what lies there.
    """

    def __init__(
        self, system: Store, folder: str, name: str, keys: Sequence[bytes] = (), key: bytes | None = None
    ) -> None:
        self._system, self.folder, self.name, self._keys, self._key = system, folder, name, keys, key
        self.files: dict[str, dict[str, Any]] = {}

    def write(self, path: str, chunks: Iterable[bytes]) -> str:
        """Write one file, front to back; returns the SHA-256 of its content, which is not that of an encrypted file."""
        content = hashlib.sha256()
        chunks = _hashed(chunks, content)
        whole = f"{self.folder}/{path}"
        self._system.create_dir(whole.rpartition("/")[0], recursive=True)
        with self._system.translated_errors(), self._system.open_output_stream(whole) as stream:
            sink = HashingSink(stream)
            for chunk in encrypted(chunks, self._key, f"{self.name}/{path}") if self._key else chunks:
                sink.write(chunk)
        self.files[path] = {"sha256": sink.sha256, "bytes": sink.tell()}
        return content.hexdigest()

    def finish(self, content: dict[str, Any]) -> None:
        """Read all files again, then write the manifest: from then on the back-up counts. Raises DataRefused."""
        self._verify(self.files)
        of_key = {"key": key_id(self._key)} if self._key else {}
        manifest = {"format": ENCRYPTED if self._key else PLAIN, **of_key, **content, "files": self.files}
        text = json.dumps(manifest | {"sha256": _digest(manifest)}, indent=1)
        self._system.write_whole(f"{self.folder}/{MANIFEST}", text.encode())

    def is_whole(self) -> bool:
        """Whether there is a manifest: else it is half-written, or no back-up."""
        return bool(self._system.get_file_info([f"{self.folder}/{MANIFEST}"])[0].type == fs.FileType.File)

    def verified(self) -> dict[str, Any]:
        """The manifest, after every file was read and found to be the one that was written.

        Raises DataRefused for a half-written or damaged back-up, or one that newer code made.
        """
        path = f"{self.folder}/{MANIFEST}"
        try:
            with self._system.open_input_stream(path) as file:
                manifest = dict(json.loads(file.read()))
            self.files = {str(name): dict(of) for name, of in manifest["files"].items()}
            made_by = int(manifest["format"])
            is_sound = manifest.pop("sha256") == _digest(manifest)
        except FileNotFoundError:
            raise DataRefused(f"{self.folder} is half-written, or no back-up: it has no {MANIFEST}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataRefused(f"{path} is damaged; take another back-up") from None
        if not is_sound:
            raise DataRefused(f"{path} is damaged (its SHA-256 changed); take another back-up")
        if made_by > ENCRYPTED:
            raise DataRefused(f"{path} is of format {made_by}, which newer code made; this one knows {ENCRYPTED}")
        if "key" in manifest:
            self._key = key_named(str(manifest["key"]), self._keys, self.folder)
        self._verify(self.files)
        return manifest

    def _verify(self, files: dict[str, dict[str, Any]]) -> None:
        for path in files:
            if not _PATH.fullmatch(path):
                raise DataRefused(f"{self.folder}/{MANIFEST} names {path!r}, which no back-up has")
            for _ in self.read(path):
                pass

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content of one file; the last chunk only if all of it is what was written.

        Raises DataRefused for a file that is missing or damaged.
        """
        stored = self._stored(path)
        return decrypted(stored, self._key, f"{self.name}/{path}") if self._key else stored

    def _stored(self, path: str) -> Iterator[bytes]:
        digest, waiting = hashlib.sha256(), b""
        try:
            with self._system.translated_errors(), self._system.open_input_stream(f"{self.folder}/{path}") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    if waiting:
                        yield waiting
                    waiting = chunk
        except FileNotFoundError:
            raise DataRefused(f"{self.folder}/{path} is missing; take another back-up") from None
        if digest.hexdigest() != self.files[path].get("sha256"):
            raise DataRefused(f"{self.folder}/{path} is damaged (its SHA-256 changed); take another back-up")
        if waiting:
            yield waiting

    def remove(self) -> None:
        """Remove the back-up, its manifest first: one that is half-removed does not count."""
        with suppress(FileNotFoundError):
            self._system.delete_file(f"{self.folder}/{MANIFEST}")
        with suppress(FileNotFoundError):
            self._system.delete_dir(self.folder)


def _hashed(chunks: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
