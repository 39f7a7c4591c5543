"""A file that is there whole or not at all, and that one process writes at a time, by link, rename and flock."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from recjobs.errors import Misuse


@contextlib.contextmanager
def whole_file(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a name to write to, which becomes `path` when the block succeeds; else `path` is left as it was.

    Raises Misuse when it cannot be written, when another process writes it, and, unless `overwrite`, when it exists.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")  # always this name: what a kill left is written over
    with _locked(unfinished, path) as file:
        try:
            yield unfinished
            os.fsync(file.fileno())
            if overwrite:
                unfinished.replace(path)
            else:
                try:
                    os.link(unfinished, path)  # unlike a rename, refuses a file that came meanwhile
                except FileExistsError:
                    raise Misuse(f"{path} is there by now; choose another name or say --overwrite") from None
        finally:
            unfinished.unlink(missing_ok=True)


def _locked(unfinished: Path, path: Path) -> BinaryIO:
    """A file that no other process writes until it is closed, and that has no other name."""
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
                unfinished.unlink()  # killed when it had become the file, which is whole
        file.close()  # another process had just finished it
