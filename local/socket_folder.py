"""The folder of the Unix socket, whose path must not exceed 107 bytes nor hold a comma, wherever the checkout lies."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from local.errors import LocalError
from local.postgres_binaries import Identity

LONGEST_PATH = 107
LONGEST_NAME = len("/.s.PGSQL.65535")


def of(home: Path) -> Path:
    """Return `home` if a socket fits there, else a folder of the same user under the temporary one, named after it."""
    if _fits(home):
        return home
    name = f"recjobs-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    preferred = Path(tempfile.gettempdir()) / name
    return preferred if _fits(preferred) else Path("/tmp") / name  # noqa: S108 - never another user's


def make(folder: Path, owner: Identity) -> None:
    """Make `folder` with mode 0700. Raises `LocalError` if somebody else has made it: sockets there are not ours."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.lstat().st_uid not in {os.geteuid(), owner.uid}:
        raise LocalError(f"{folder} belongs to another user: remove it, or set TMPDIR to a folder of your own")
    folder.chmod(0o700)
    owner.own(folder)


def remove(home: Path) -> None:
    """Remove the folder under the temporary one, if there was one and nothing is left in it."""
    folder = of(home)
    if folder != home:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _fits(folder: Path) -> bool:
    # libpq takes a comma for the end of a host
    return len(os.fsencode(folder)) + LONGEST_NAME <= LONGEST_PATH and "," not in str(folder)
