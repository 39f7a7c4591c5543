"""Files on a disk or in S3: the same calls, with S3's errors translated into ours."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from recjobs.errors import BadConfiguration, RecjobsError, SystemAway

CHUNK = 1 << 20
_AWAY = ("NETWORK_CONNECTION", "curlCode", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "TIMEOUT", "INTERNAL_FAILURE")
_ACCESS_REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "MISSING_AUTH", "TOKEN")


def s3_error(location: str, text: str) -> RecjobsError | None:
    """The error that the text of pyarrow's means, its only sign: SystemAway if the store does not answer,
    BadConfiguration if it refuses access or has no such bucket, else None."""
    if "AWS Error" not in text:
        return None
    if any(code in text for code in _AWAY):
        return SystemAway(f"{location}: the object store does not answer; see to AWS_ENDPOINT_URL and the network")
    if any(code in text for code in _ACCESS_REFUSED):
        return BadConfiguration(
            f"{location}: the object store does not let us in; see to AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the "
            "bucket's policy"
        )
    if "NO_SUCH_BUCKET" in text:
        return BadConfiguration(f"{location}: there is no such bucket; make it, or name another")
    return None


def file_system(root: str, setting: str = "RECJOBS_ARTIFACTS=") -> tuple[fs.FileSystem, str]:
    """The file system of a root (a path or s3://bucket/folder) and the path inside it. setting: for messages."""
    try:
        if "://" in root:
            system, path = fs.FileSystem.from_uri(root)
            return system, path
    except (pa.ArrowInvalid, OSError) as error:
        raise BadConfiguration(f"{setting}{root}: {error}") from None
    return fs.LocalFileSystem(), str(root)


class Store:
    """A file system that raises SystemAway and BadConfiguration; a missing file stays a FileNotFoundError."""

    def __init__(self, system: fs.FileSystem, root: str, setting: str = "RECJOBS_ARTIFACTS=") -> None:
        self._system, self._root = system, f"{setting}{root}"
        self.is_local = isinstance(system, fs.LocalFileSystem)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._system, name)

        def translated(*arguments: Any, **options: Any) -> Any:
            with self.translated_errors():
                return call(*arguments, **options)

        return translated

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise SystemAway or BadConfiguration in place of the object store's errors in the block."""
        try:
            yield
        except (OSError, pa.ArrowInvalid) as error:
            if translation := s3_error(self._root, str(error)):
                raise translation from error
            raise

    def write_whole(self, path: str, content: bytes) -> None:
        """Write a file atomically: readers see all of it or none."""
        # Airflow may run a task twice at once: neither may rename the other's half-written file.
        part = f"{path}.{uuid4().hex}"
        with self.open_output_stream(part) as file:
            file.write(content)
        self.move(part, path)


def folder_files(root: str, folder: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield every file below a folder of a root: its path from there, and its bytes. One that vanishes is left out."""
    system, path = file_system(root)
    store, within = Store(system, root), f"{path.rstrip('/')}/{folder}/"
    infos = store.get_file_info(fs.FileSelector(within.rstrip("/"), allow_not_found=True, recursive=True))
    for info in infos:
        if info.type == fs.FileType.File:
            with suppress(FileNotFoundError), store.open_input_stream(info.path) as file:
                yield info.path.removeprefix(within), iter(lambda file=file: file.read(CHUNK), b"")  # type: ignore[misc]


def rewrite_files(root: str, folder: str, change: Callable[[str, bytes], bytes | None]) -> int:
    """Replace each file below a folder for whose name and content `change` returns another content, atomically; returns
    how many."""
    system, path = file_system(root)
    store, rewritten = Store(system, root), 0
    for name, chunks in folder_files(root, folder):
        after = change(name, b"".join(chunks))
        if after is not None:
            store.write_whole(f"{path.rstrip('/')}/{folder}/{name}", after)
            rewritten += 1
    return rewritten


def write_files(root: str, files: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Write files below a root, each atomically, in the order given. The manifest of a folder that one is written to is
    removed first: what it names is being replaced."""
    system, path = file_system(root)
    store, begun = Store(system, root), set[str]()
    for name, chunks in files:
        whole = f"{path.rstrip('/')}/{name}"
        folder = whole.rpartition("/")[0]
        if folder not in begun:
            begun.add(folder)
            store.create_dir(folder, recursive=True)
            with suppress(FileNotFoundError):
                store.delete_file(f"{folder}/manifest.json")
        part = f"{whole}.{uuid4().hex}"
        with store.open_output_stream(part) as file:
            for chunk in chunks:
                file.write(chunk)
        store.move(part, whole)


class HashingSink(io.RawIOBase):
    """A binary sink that counts and hashes the bytes written through it."""

    def __init__(self, sink: Any) -> None:
        self._sink, self._digest, self._n_bytes = sink, hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        """The hash of the bytes so far, in hex."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Whether it can be written to, as io asks."""
        return True

    def write(self, data: Any) -> int:
        """Write all of the bytes."""
        view = memoryview(data)
        self._sink.write(view)
        self._digest.update(view)
        self._n_bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """The number of bytes so far."""
        return self._n_bytes
