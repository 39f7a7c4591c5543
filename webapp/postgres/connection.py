"""One connection to one catalog, on which everything has a deadline, connecting included.

It is asynchronous only for that: libpq's connect_timeout counts whole seconds, and a server that stops answering would
hold a request, and with it /healthz, for longer.
"""

import re
import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import psycopg2
from psycopg2 import extensions

Row = tuple[Any, ...]

PLANNED_CATALOGS = 16
"""Of so many catalogs, the last that it read, a connection keeps the statements planned. Postgres keeps a plan for one
search path; to plan the lookup of a list anew takes ten times what the lookup takes, to keep it a megabyte."""


class DeadlinePassed(Exception):
    """Postgres did not answer in time."""


def session_options(statement_ms: int, catalog: str, idle_seconds: int = 0) -> str:
    """The `options` of a session on one catalog ("": on none), as libpq sends them.

    idle_seconds: after how long Postgres ends the session if nothing is asked; 0: never.
    """
    options = {
        "search_path": search_path(catalog),
        "plan_cache_mode": "force_generic_plan",
        "statement_timeout": str(statement_ms),
        "jit": "off",
        "timezone": "UTC",
        "idle_session_timeout": f"{idle_seconds}s",
    }
    return " ".join(f"-c {name}={value}" for name, value in options.items())


def search_path(catalog: str) -> str:
    """The search path of a session on a catalog, or on none ("")."""
    return f'"{catalog}",pg_temp' if catalog else "pg_temp"


class Statement:
    """A statement as PREPARE, EXECUTE, and EXPLAIN EXECUTE, which plans it and does not run it."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        n = len(set(re.findall(r"\$\d", text)))
        self.prepare = f"prepare webapp_{name} as\n{text}"
        self.execute = f"execute webapp_{name}" + (f" ({', '.join(['%s'] * n)})" if n else "")
        self.explain = f"explain execute webapp_{name}" + (f" ({', '.join(['null'] * n)})" if n else "")
        self.deallocate = f"deallocate webapp_{name}"

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """A file of sql/queries/webapp."""
        return cls(path.stem, path.read_text(encoding="utf-8"))

    @classmethod
    def of_function(cls, function: str, n_arguments: int) -> Self:
        """The call of an SQL function, whose arguments are the parameters."""
        return cls(
            function.replace(".", "_"), f"select {function}({', '.join(f'${k + 1}' for k in range(n_arguments))})"
        )

    @classmethod
    def of_change(cls, function: str, n_arguments: int) -> Self:
        """The same, with who makes the change as one more parameter, the last one."""
        arguments = ", ".join(f"${k + 1}" for k in range(n_arguments))
        person = f"pg_catalog.set_config('recjobs.person', ${n_arguments + 1}, false)"
        text = f"select {function}({arguments}) from {person}"  # noqa: S608 - names of functions of ours
        return cls(function.replace(".", "_"), text)


class Planned:
    """The statements that a connection has prepared of one catalog; suffix: what their names end in."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.statements: dict[str, Statement] = {}

    def named(self, statement: Statement) -> Statement:
        """A statement under the name that it has in this catalog."""
        return Statement(statement.name + self.suffix, statement.text) if self.suffix else statement


class Connection:
    """A connection, connecting at first, and the statements that it has prepared."""

    def __init__(
        self, url: str, statement_ms: int, catalog: str, statements: dict[str, Statement], idle_seconds: int = 0
    ) -> None:
        dsn = extensions.parse_dsn(url)
        dsn["options"] = f"{dsn.get('options', '')} {session_options(statement_ms, catalog, idle_seconds)}".strip()
        dsn.setdefault("application_name", "recjobs webapp")
        dsn.update(keepalives_idle="10", keepalives_interval="3", keepalives_count="3", client_encoding="UTF8")
        self._statements = statements
        self._prepared = Planned("")
        self._planned = {catalog: self._prepared}
        """By catalog, the one that was turned to last at the end."""
        self._raw = psycopg2.connect(**dsn, async_=True)
        self._cursor: extensions.cursor | None = None
        self._poller = select.poll()
        self._polled_events = 0
        self.catalog = catalog
        self._turn = ""
        """What turns it to its catalog and has not succeeded yet. Postgres takes it back if the statement that it was
        sent with fails."""
        self.started_at = self.used_at = time.monotonic()
        self.is_taken_over = False
        """Whether it was another catalog's until now."""
        self.reusable = True
        """Whether the connection can be used again after its running statement has ended."""

    def use(self, catalog: str, deadline: float) -> None:
        """Turn a ready connection to another catalog, together with its next statement: in one round trip."""
        if catalog != self.catalog:
            known = self._planned.pop(catalog) if catalog in self._planned else self._room(deadline)
            self._prepared = self._planned[catalog] = known
            self.catalog, self.is_taken_over = catalog, True
            self._turn = f"set search_path to {search_path(catalog)};\n"

    def has_planned(self, catalog: str) -> bool:
        """Whether statements of a catalog are planned."""
        return catalog in self._planned

    def has_room(self) -> bool:
        """Whether those of one more catalog can be, without giving up others."""
        return len(self._planned) < PLANNED_CATALOGS

    def _room(self, deadline: float) -> Planned:
        if self.has_room():
            return Planned(f"_{len(self._planned)}")
        oldest = self._planned.pop(next(iter(self._planned)))
        if oldest.statements:
            self._run("; ".join(one.deallocate for one in oldest.statements.values()), None, deadline)
        return Planned(oldest.suffix)

    def rows(self, name: str, parameters: tuple[Any, ...], deadline: float, long: bool = False) -> list[Row]:
        """Run one prepared statement on a ready connection.

        long: the statement may run until the deadline, instead of for `statement_ms`.
        """
        statement = self._prepared.statements.get(name) or self._prepare(name, deadline)
        if not long:
            is_short = list not in map(type, parameters)
            return self._run(statement.execute, parameters, deadline, is_short)
        self.reusable = False  # nor which statement_timeout is set
        self._run("set statement_timeout = %s", (max(1, int((deadline - time.monotonic()) * 1000)),), deadline)
        rows = self._run(statement.execute, parameters, deadline)
        self._run("reset statement_timeout", None, deadline)
        self.reusable = True
        return rows

    def check(self, deadline: float) -> list[Row]:
        """Prepare and plan all statements on a ready connection, and check the rights to run them, in one go."""
        prepared = self._prepared.statements
        missing = {name: self._prepared.named(one) for name, one in self._statements.items() if name not in prepared}
        plans = [one.explain for one in (prepared | missing).values()]
        self.reusable = False
        self._run("\n;\n".join([*(one.prepare for one in missing.values()), *plans]), None, deadline)
        prepared.update(missing)
        self.reusable = True
        return []

    def close(self) -> None:
        """Close the connection; Postgres also ends a running statement."""
        self._raw.close()

    def awaited_event(self) -> int:
        """The event of `select.poll` that the connection waits for; 0: none, it is ready."""
        state = self._raw.poll()
        return 0 if state == extensions.POLL_OK else select.POLLIN if state == extensions.POLL_READ else select.POLLOUT

    def fileno(self) -> int:
        """The socket to poll; it may change from one wait to the next."""
        return int(self._raw.fileno())

    def _prepare(self, name: str, deadline: float) -> Statement:
        statement = self._prepared.named(self._statements[name])
        self.reusable = False  # after a timeout it would be unknown whether the statement is prepared
        self._run(statement.prepare, None, deadline)
        self._prepared.statements[name] = statement
        self.reusable = True
        return statement

    def _run(
        self, statement: str, parameters: tuple[Any, ...] | None, deadline: float, is_short: bool = False
    ) -> list[Row]:
        # Kept beyond the deadline: a late answer needs a cursor to arrive at.
        cursor = self._cursor = self._cursor or self._raw.cursor()
        cursor.execute(self._turn + statement if self._turn else statement, parameters)
        # A short statement fits the socket's buffer and is sent whole: only the answer is left to wait for.
        event = select.POLLIN if is_short else self.awaited_event()
        while event:
            if event != self._polled_events:
                self._polled_events = event
                self._poller.register(self._raw.fileno(), event)
            # What has arrived by the deadline counts, even if this thread got the processor too late to see it.
            if not self._poller.poll(max(0.0, (deadline - time.monotonic()) * 1000)):
                raise DeadlinePassed
            event = self.awaited_event()
        self._turn = ""
        return cursor.fetchall() if cursor.description else []


def first_ready(connections: Sequence[Connection], deadline: float) -> Connection:
    """Return the first ready connection; raises `DeadlinePassed` if none is in time, or the last one's error."""
    left = list(connections)
    while True:
        poller = None
        for connection in list(left):
            try:
                event = connection.awaited_event()
            except psycopg2.Error:
                left.remove(connection)
                if not left:
                    raise
                continue
            if not event:
                return connection
            poller = poller or select.poll()
            poller.register(connection.fileno(), event)
        if poller is None or not poller.poll(max(0.0, (deadline - time.monotonic()) * 1000)):
            raise DeadlinePassed
