"""The text of Postgres errors and the address of a server, for messages without passwords."""

import re

from psycopg2 import Error, OperationalError, ProgrammingError
from psycopg2.extensions import parse_dsn

_LOGIN_REFUSED = (
    "authentication failed", "no password supplied", "does not exist", "pg_hba", "certificate", "SSL was required"
)  # fmt: skip
_FULL = re.compile("too many (connections|clients)|connection slots are reserved|no more connections allowed")


def first_line(error: Exception) -> str:
    """The first line of an error's message that is not blank, else the name of its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def refuses_login(error: OperationalError) -> bool:
    """Whether Postgres answers, but refuses this user, password or database, or is not who `sslmode` asks for."""
    return any(reason in str(error) for reason in _LOGIN_REFUSED)


def is_url(text: str) -> bool:
    """Whether the text leads to a server, as a URL or in words (`host=... dbname=...`)."""
    try:
        parts = parse_dsn(text)
    except ProgrammingError:
        return False
    return bool(text) and re.fullmatch(r"[\d,]*", parts.get("port", "")) is not None


def is_full(error: OperationalError) -> bool:
    """Whether Postgres, or a pooler such as PgBouncer, answers, but lets no further connection of this role in."""
    return error.pgcode == "53300" or _FULL.search(str(error)) is not None


def free_a_connection(error: OperationalError, server: str) -> str:
    """What to tell about a server that is full. server: as `address` names it."""
    return (
        f"Postgres has no connection left for {server} ({first_line(error)}). Wait, or end idle ones, see "
        "pg_stat_activity and docs/runbook.md, or raise the limit that it names"
    )


def is_of_a_batch(error: Error) -> bool:
    """Whether an error names the table of one batch, as the SQL function partition_name does; no migration makes it."""
    return re.search(r'"\w+_\d{8}t\d{6}z_\d+"', first_line(error)) is not None


def address(url: str) -> str:
    """User, host and database of a URL: `user@host/database`. Raises ProgrammingError, which quotes the URL."""
    parts = parse_dsn(url)
    return f"{parts.get('user', 'this user')}@{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"
