"""A folder on a disk or in S3: the same calls, and errors that say what they mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from recjobs.adapters.s3_errors import meaning
from recjobs.errors import BadConfiguration


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
    """A file system whose errors say what they mean; a file that is not there stays a FileNotFoundError."""

    def __init__(self, system: fs.FileSystem, root: str) -> None:
        self._system, self._root = system, root
        self.is_local = isinstance(system, fs.LocalFileSystem)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._system, name)

        def answered(*arguments: Any, **options: Any) -> Any:
            with self.answers():
                return call(*arguments, **options)

        return answered

    @contextmanager
    def answers(self) -> Iterator[None]:
        """Raise SystemAway or BadConfiguration for what the object store says in the block."""
        try:
            yield
        except (OSError, pa.ArrowInvalid) as error:
            answer = meaning(f"RECJOBS_ARTIFACTS={self._root}", str(error))
            if answer is None:
                raise
            raise answer from error

    def write_whole(self, path: str, content: bytes) -> None:
        """Write a file that others see whole or not at all."""
        # Airflow may run a task twice at once: neither must take the other's half-written file for its own.
        part = f"{path}.{uuid4().hex}"
        with self.open_output_stream(part) as file:
            file.write(content)
        self.move(part, path)
