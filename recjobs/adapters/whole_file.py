"""Write a file atomically and by one process at a time, with link, rename and flock."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from recjobs.errors import Misuse


@contextlib.contextmanager
def whole_file(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a path to write to, which is renamed to `path` if the block succeeds; else `path` is left as it was.

    Raises Misuse if it cannot be written, if another process writes it, and, unless `overwrite`, if it exists.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")  # a fixed name: the file of a killed process is reused
    with _locked(unfinished, path) as file:
        try:
            yield unfinished
            os.fsync(file.fileno())
            try:
                (os.replace if overwrite else os.link)(unfinished, path)  # link(2) refuses a file that came meanwhile
            except FileExistsError:
                raise Misuse(f"{path} is there by now; choose another name or say --overwrite") from None
        finally:
            unfinished.unlink(missing_ok=True)


def _locked(unfinished: Path, path: Path) -> BinaryIO:
    """The locked file, which no other process writes until it is closed, and which has no other link."""
    while True:
        try:
            file = os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "ab")
        except OSError as error:
            raise Misuse(f"{path}: cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Misuse(f"{path} is being written by another process; wait for it or choose another name") from None
        opened = os.fstat(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(opened, unfinished.lstat()):
                if opened.st_nlink == 1:
                    return file
                unfinished.unlink()  # killed after link(2): `path` is complete
        file.close()  # another process had just finished it
