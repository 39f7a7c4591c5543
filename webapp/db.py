"""Postgres, read only, within a deadline.

A request opens a `Session` on one catalog. It borrows a connection whose search path is that catalog's schema, runs
prepared statements (the files of sql/queries/webapp) and gives the connection back, most recently used first. Every
failure is one exception, `Unavailable`: an application sees 503, never an empty list.

Connections are asynchronous only to have a deadline on everything, connecting included: libpq's own connect_timeout
counts whole seconds, and a server that stopped answering would hold a request, and with it /healthz, for longer.
"""

import contextlib
import logging
import re
import select
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2
from flask import current_app
from psycopg2 import extensions

from webapp.errors import NotFound, Unavailable
from webapp.settings import ROOT, Settings

CATALOG_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
AWAY_AFTER_SECONDS = 1.0
RECONNECT_PAUSE_SECONDS = 0.25
WARM_TIMEOUT_MS = 2000
WARM_CONNECTIONS = 16
AWAY = ("database_unavailable", "The database does not answer; try again in a moment")

log = logging.getLogger("webapp.db")

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


class Connection:
    """One connection to one catalog, and which statements it has prepared."""

    def __init__(
        self, url: str, statement_ms: int, catalog: str, statements: dict[str, "Statement"], deadline: float
    ) -> None:
        given = extensions.parse_dsn(url)
        given["options"] = f"{given.get('options', '')} {session_options(statement_ms, catalog)}".strip()
        given.setdefault("application_name", "recjobs webapp")
        given.update(keepalives_idle="10", keepalives_interval="3", keepalives_count="3", client_encoding="UTF8")
        self._statements = statements
        self._prepared: set[str] = set()
        self._raw = psycopg2.connect(**given, async_=True)
        self._wait(deadline)

    def rows(self, name: str, parameters: tuple[Any, ...], deadline: float, patiently: bool = False) -> list[Row]:
        """Run one prepared statement; patiently: for as long as the deadline is away, not only statement_ms."""
        statement = self._statements[name]
        with self._raw.cursor() as cursor:
            if patiently:
                left_ms = max(1, int((deadline - time.monotonic()) * 1000))
                self._run(cursor, "set statement_timeout = %s", (left_ms,), deadline)
            if name not in self._prepared:
                self._run(cursor, statement.prepare, None, deadline)
                self._prepared.add(name)
            self._run(cursor, statement.execute, parameters, deadline)
            found: list[Row] = cursor.fetchall()
            if patiently:
                self._run(cursor, "reset statement_timeout", None, deadline)
            return found

    def close(self) -> None:
        """Hang up; also a statement that is still running ends then."""
        self._raw.close()

    def _run(self, cursor: Any, statement: str, parameters: tuple[Any, ...] | None, deadline: float) -> None:
        cursor.execute(statement, parameters)
        self._wait(deadline)

    def _wait(self, deadline: float) -> None:
        poller = None
        while (state := self._raw.poll()) != extensions.POLL_OK:
            if poller is None:
                poller = select.poll()
            poller.register(self._raw.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise DeadlinePassed


class Statement:
    """One file of sql/queries/webapp, as PREPARE and EXECUTE."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        places = ", ".join(["%s"] * len(set(re.findall(r"\$\d", text))))
        self.prepare = f"prepare webapp_{path.stem} as\n{text}"
        self.execute = f"execute webapp_{path.stem}" + (f" ({places})" if places else "")


class Database:
    """The connections of this process; idle ones are kept per catalog."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.statements = {path.stem: Statement(path) for path in (ROOT / "sql/queries/webapp").glob("*.sql")}
        # list.append and list.pop are atomic, so threads need no lock; the connection used last is the warmest.
        self._idle: dict[str, list[Connection]] = {"": []}
        self.connecting = threading.Lock()
        self.answered_at = 0.0
        self._away_until = 0.0

    def session(self, catalog: str, timeout_ms: int | None = None, patiently: bool = False) -> "Session":
        """A request's hold on one catalog; raises `NotFound` if there is none of that name.

        patiently: a single statement may take all of the time, instead of as long as the settings say.
        """
        deadline = time.monotonic() + (timeout_ms or self.settings.request_timeout_ms) / 1000
        idle = self._idle.get(catalog)
        if idle is None:
            if not CATALOG_NAME.fullmatch(catalog) or catalog not in self.catalogs(timeout_ms):
                raise NotFound("unknown_catalog", "There is no such catalog")
            idle = self._idle.setdefault(catalog, [])
        return Session(self, catalog, idle, deadline, patiently)

    def catalogs(self, timeout_ms: int | None = None) -> dict[str, str]:
        """The catalogs that can be read, with their descriptions."""
        with self.session("", timeout_ms) as session:
            return dict(session.rows("catalogs"))

    def warm(self) -> None:
        """Connect and plan before the first request comes, so that a new replica is not a slow one.

        A new connection's first statement costs a hundred times what the next one does. When Postgres is away, the
        requests will say so; and a web app with many catalogs does not take all of Postgres' connections at its start.
        """
        with contextlib.suppress(Unavailable, NotFound):
            catalogs = self.catalogs(WARM_TIMEOUT_MS)
            each = min(self.settings.threads, max(1, WARM_CONNECTIONS // max(1, len(catalogs))))
            for catalog in list(catalogs)[:WARM_CONNECTIONS]:
                with contextlib.ExitStack() as held:
                    for _ in range(each):
                        session = held.enter_context(self.session(catalog, WARM_TIMEOUT_MS))
                        for statement in ("own_list", "recommendations"):
                            session.row(statement, "", 1)

    def connect(self, catalog: str, deadline: float) -> Connection:
        """A new connection, unless Postgres has been silent for a while: then only one request in a while asks.

        Otherwise every thread would sit out its deadline, and /healthz would wait behind them. One slow connection
        beside others that answer is no silence: on a busy machine that happens, and refusing the rest would spread it.
        """
        if time.monotonic() < self._away_until:
            raise Unavailable(*AWAY)
        try:
            given = self.settings
            return Connection(given.database_url, given.statement_timeout_ms, catalog, self.statements, deadline)
        except DeadlinePassed:
            now = time.monotonic()
            if now - self.answered_at > AWAY_AFTER_SECONDS:
                self._away_until = now + RECONNECT_PAUSE_SECONDS
            raise


class Session:
    """One request's hold on one connection, until its deadline."""

    def __init__(
        self, database: Database, catalog: str, idle: list[Connection], deadline: float, patiently: bool = False
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._idle = idle
        self._deadline = deadline
        self._patiently = patiently
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._connection is not None:
            self._idle.append(self._connection)
            self._connection = None

    def rows(self, name: str, *parameters: object) -> list[Row]:
        """What a statement finds; raises `Unavailable` if Postgres is away or slow."""
        try:
            return self._rows(name, parameters)
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
            raise NotFound("unknown_catalog", "There is no such catalog") from None
        except (psycopg2.Error, DeadlinePassed) as error:
            # The kind and the code only: a message of Postgres may quote the user id.
            log.warning("%s failed: %s %s", name, type(error).__name__, getattr(error, "pgcode", None) or "")
            raise Unavailable(*AWAY) from None

    def row(self, name: str, *parameters: object) -> Row | None:
        """The one row a statement finds, or None."""
        found = self.rows(name, *parameters)
        return found[0] if found else None

    def _rows(self, name: str, parameters: tuple[object, ...]) -> list[Row]:
        while True:
            fresh = False
            if self._connection is None:
                self._connection, fresh = self._take()
            try:
                rows = self._connection.rows(name, parameters, self._deadline, self._patiently)
                self._database.answered_at = time.monotonic()
                return rows
            except BaseException as error:
                self._connection.close()
                self._connection = None
                # A connection that lay idle may have died with a server that is back by now, or hold a plan from
                # before a migration. Those that lie idle beside it have met the same; a new one tells the truth.
                if fresh or not isinstance(error, psycopg2.Error) or isinstance(error, psycopg2.errors.QueryCanceled):
                    raise

    def _take(self) -> tuple[Connection, bool]:
        """An idle connection or, one request at a time, a new one (then True).

        A new backend costs Postgres a hundred times what a request does. When eight requests find nothing idle, one
        connects and the others mostly get by with what comes back meanwhile.
        """
        while True:
            with contextlib.suppress(IndexError):
                return self._idle.pop(), False
            if self._database.connecting.acquire(timeout=0.005):
                try:
                    if not self._idle:
                        return self._database.connect(self._catalog, self._deadline), True
                finally:
                    self._database.connecting.release()
            if time.monotonic() > self._deadline:
                raise DeadlinePassed


def database() -> Database:
    """The running app's database."""
    found: Database = current_app.extensions["database"]
    return found
