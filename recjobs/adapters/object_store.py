"""Files on a disk or in S3: the same calls, with S3's errors translated into ours."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from recjobs.errors import BadConfiguration, RecjobsError, SystemAway

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


def file_system(root: str) -> tuple[fs.FileSystem, str]:
    """The file system of a root (a path or s3://bucket/folder) and the path inside it."""
    try:
        if "://" in root:
            system, path = fs.FileSystem.from_uri(root)
            return system, path
    except (pa.ArrowInvalid, OSError) as error:
        raise BadConfiguration(f"RECJOBS_ARTIFACTS={root}: {error}") from None
    return fs.LocalFileSystem(), str(root)


class Store:
    """A file system that raises SystemAway and BadConfiguration; a missing file stays a FileNotFoundError."""

    def __init__(self, system: fs.FileSystem, root: str) -> None:
        self._system, self._root = system, root
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
            if translation := s3_error(f"RECJOBS_ARTIFACTS={self._root}", str(error)):
                raise translation from error
            raise

    def write_whole(self, path: str, content: bytes) -> None:
        """Write a file atomically: readers see all of it or none."""
        # Airflow may run a task twice at once: neither may rename the other's half-written file.
        part = f"{path}.{uuid4().hex}"
        with self.open_output_stream(part) as file:
            file.write(content)
        self.move(part, path)


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
