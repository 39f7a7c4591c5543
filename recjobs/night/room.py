"""What is free for a batch in Postgres."""

from recjobs.adapters.postgres import Session
from recjobs.adapters.postgres_disk import free_bytes
from recjobs.config import Settings

SPARE_BYTES = 64 << 20
"""What must be free beside a batch. Postgres stops when it cannot begin another file of 16 MB of its log of changes."""


def needed(n_bytes: float) -> int:
    """What must be free to load rows of so many bytes: Postgres writes them to its log of changes as well."""
    return SPARE_BYTES + 2 * int(n_bytes)


def free(settings: Settings, session: Session) -> tuple[int, str] | None:
    """Return the free bytes and where; None if they are not known, as of a server elsewhere without a limit set."""
    limit = settings.database_space
    if limit is not None:
        size = session.row("database_size") or {}
        return int(limit) - int(size["bytes"]), "within RECJOBS_DATABASE_SPACE"
    known = free_bytes(settings.state, settings.url_of("loader"))
    return None if known is None else (known, "on Postgres' disk")
