"""What is free on the disk of the embedded Postgres. No other server can be asked."""

import shutil
from pathlib import Path

from psycopg2.extensions import parse_dsn


def free_bytes(state: Path, url: str) -> int | None:
    """What is free there; None if the URL leads to another server, or the server's folder is not to be read."""
    data = state / "postgres" / "data"
    try:
        port = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3]
        free = min(shutil.disk_usage(folder).free for folder in (data, data / "pg_wal"))
    except (OSError, IndexError):
        return None
    parts = parse_dsn(url)
    host = parts.get("host", "localhost")
    is_here = host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")
    return free if is_here and parts.get("port", "5432") == port else None
