"""Files of the local platform that hold secrets or state."""

import os
from pathlib import Path

from local.errors import LocalError


def keep_private(state: Path) -> None:
    """Let nobody but its owner look into the state folder, which an earlier release left open to all.

    Postgres, started by root, runs as another user, who must get through to its own folder there.
    """
    state.mkdir(parents=True, exist_ok=True)
    is_roots = os.geteuid() == 0
    try:
        state.chmod(0o711 if is_roots else 0o700)
    except PermissionError:
        raise LocalError(f"{state} belongs to another user: set RECJOBS_STATE to a folder of your own") from None
    for name in ("artifacts", "mlartifacts", "airflow", "logs"):
        if (state / name).is_dir():
            (state / name).chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` at once, readable by its owner only: a reader sees the old file or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
