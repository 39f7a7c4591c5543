"""One connection to one catalog, on which everything has a deadline, connecting included.

It is asynchronous only for that: libpq's own connect_timeout counts whole seconds, and a server that stopped answering
would hold a request, and with it /healthz, for longer.
"""

import re
import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions

Row = tuple[Any, ...]


class DeadlinePassed(Exception):
    """Postgres did not answer in time."""


def session_options(statement_ms: int, catalog: str) -> str:
    """What libpq sends as `options`: how a session on one catalog ("": on none) is set up."""
    options = {
        "search_path": f"{catalog},pg_temp" if catalog else "pg_temp",
        "plan_cache_mode": "force_generic_plan",
        "statement_timeout": str(statement_ms),
        "jit": "off",
        "timezone": "UTC",
    }
    return " ".join(f"-c {name}={value}" for name, value in options.items())


class Statement:
    """One file of sql/queries/webapp, as PREPARE and EXECUTE."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        places = ", ".join(["%s"] * len(set(re.findall(r"\$\d", text))))
        self.prepare = f"prepare webapp_{path.stem} as\n{text}"
        self.execute = f"execute webapp_{path.stem}" + (f" ({places})" if places else "")


class Connection:
    """A connection that has begun to connect, and which statements it has prepared since."""

    def __init__(self, url: str, statement_ms: int, catalog: str, statements: dict[str, Statement]) -> None:
        given = extensions.parse_dsn(url)
        given["options"] = f"{given.get('options', '')} {session_options(statement_ms, catalog)}".strip()
        given.setdefault("application_name", "recjobs webapp")
        given.update(keepalives_idle="10", keepalives_interval="3", keepalives_count="3", client_encoding="UTF8")
        self._statements = statements
        self._prepared: set[str] = set()
        self._raw = psycopg2.connect(**given, async_=True)
        self._cursor: extensions.cursor | None = None
        self._poller = select.poll()
        self._waits_for = 0
        self.begun_at = time.monotonic()
        self.at_rest = True
        """Whether nothing but an answer that nobody waits for can be under way."""

    def rows(self, name: str, parameters: tuple[Any, ...], deadline: float, patiently: bool = False) -> list[Row]:
        """Run one prepared statement, once `opened`.

        patiently: for as long as the deadline is away, not only `statement_ms`.
        """
        statement = self._statements[name]
        if name not in self._prepared:
            self.at_rest = False  # if we stop waiting, nobody knows what was prepared
            self._run(statement.prepare, None, deadline)
            self._prepared.add(name)
            self.at_rest = True
        if not patiently:
            is_short = list not in map(type, parameters)
            return self._run(statement.execute, parameters, deadline, is_short)
        self.at_rest = False  # nor how long a statement may take
        self._run("set statement_timeout = %s", (max(1, int((deadline - time.monotonic()) * 1000)),), deadline)
        found = self._run(statement.execute, parameters, deadline)
        self._run("reset statement_timeout", None, deadline)
        self.at_rest = True
        return found

    def close(self) -> None:
        """Hang up; also a statement that is still running ends then."""
        self._raw.close()

    def wants(self) -> int:
        """What it waits for, as `select.poll` says it; 0: for nothing, it can be used."""
        state = self._raw.poll()
        return 0 if state == extensions.POLL_OK else select.POLLIN if state == extensions.POLL_READ else select.POLLOUT

    def fileno(self) -> int:
        """The socket to wait at; it may change from one wait to the next."""
        return int(self._raw.fileno())

    def _run(
        self, statement: str, parameters: tuple[Any, ...] | None, deadline: float, is_short: bool = False
    ) -> list[Row]:
        # Kept beyond the deadline: an answer that comes late needs a cursor to come to.
        cursor = self._cursor = self._cursor or self._raw.cursor()
        cursor.execute(statement, parameters)
        # What fits the socket's buffer has left, whole: there is nothing to do but wait for the answer.
        wanted = select.POLLIN if is_short else self.wants()
        while wanted:
            if wanted != self._waits_for:
                self._waits_for = wanted
                self._poller.register(self._raw.fileno(), wanted)
            # What has arrived by then counts, even if this thread was not given the processor in time to see it.
            if not self._poller.poll(max(0.0, (deadline - time.monotonic()) * 1000)):
                raise DeadlinePassed
            wanted = self.wants()
        return cursor.fetchall() if cursor.description else []


def opened(connections: Sequence[Connection], deadline: float) -> Connection:
    """The first of these that can be used; raises `DeadlinePassed` if none can in time, or how the last one failed."""
    left = list(connections)
    while True:
        poller = None
        for connection in list(left):
            try:
                wanted = connection.wants()
            except psycopg2.Error:
                left.remove(connection)
                if not left:
                    raise
                continue
            if not wanted:
                return connection
            poller = poller or select.poll()
            poller.register(connection.fileno(), wanted)
        if poller is None or not poller.poll(max(0.0, (deadline - time.monotonic()) * 1000)):
            raise DeadlinePassed


def texts(array: str | None) -> list[str]:
    """The elements of an array of texts, none of them null, as Postgres writes it; none for no array."""
    if not array or array == "{}":
        return []
    if '"' in array or "\\" in array:
        found: list[str] = extensions.STRINGARRAY(array.encode(), None)
        return found
    return array[1:-1].split(",")


def numbers(array: str | None) -> list[int]:
    """The elements of an array of whole numbers, 0 for null; none for no array."""
    if not array or array == "{}":
        return []
    return list(map(int, array[1:-1].replace("NULL", "0").split(",")))
