"""Postgres, read only, within a deadline.

A request opens a `Session` on one catalog. It borrows a connection whose search path is that catalog's schema, runs
prepared statements (the files of sql/queries/webapp) and gives the connection back, most recently used first. Every
failure is one exception, `Unavailable`: an application sees 503, never an empty list.

A request gives up at its deadline, but what it began is not thrown away: a connection that takes longer than one
request may wait is finished by the next ones. Else a machine too busy to connect in 280 ms would never connect at all.
"""

import contextlib
import logging
import re
import threading
import time
from types import TracebackType
from typing import Self

import psycopg2
from flask import current_app

from webapp.api.errors import NotFound, Unavailable
from webapp.lists.catalog_cache import Lately, Memory
from webapp.postgres.connection import Connection, DeadlinePassed, Row, Statement, opened
from webapp.settings import ROOT, Settings

CATALOG_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
SILENT_AFTER_SECONDS = 0.5
ASK_AGAIN_SECONDS = 0.25
OPEN_ANOTHER_SECONDS = 0.5
UNFINISHED_SECONDS = 2.0
WARM_TIMEOUT_MS = 2000
WARM_CONNECTIONS = 16
AWAY = ("database_unavailable", "The database does not answer; try again in a moment")

log = logging.getLogger("webapp.db")


class Database:
    """The connections of this process; idle ones are kept per catalog."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.statements = {path.stem: Statement(path) for path in (ROOT / "sql/queries/webapp").glob("*.sql")}
        # list.append and list.pop are atomic, so threads need no lock; the connection used last is the warmest.
        self._idle: dict[str, list[Connection]] = {"": []}
        self._openings: dict[str, list[Connection]] = {}
        self._late: dict[str, list[Connection]] = {}
        self.connecting = threading.Lock()
        self.silent_since = 0.0
        """Since when no answer came in time; 0: the last one did."""
        self.silent_until = 0.0
        """Until when nobody asks; 0: everybody does."""
        self._memories: dict[str, Memory] = {}
        self._lately = Lately(settings.keep_mb * 1_000_000)

    def memory(self, catalog: str) -> Memory:
        """What this process remembers of a catalog."""
        return self._memories.get(catalog) or self._memories.setdefault(catalog, Memory(self._lately))

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
                        session.row("stored", "", 1)
                        session.row("recommendations", "", 1)

    def ask(self) -> None:
        """Ask a Postgres that was silent; raises `Unavailable` while nobody gets an answer, but for one in a while.

        Otherwise every thread would sit out its deadline, and /healthz would wait behind them. One slow answer beside
        others that come is no silence: on a busy machine that happens, and refusing the rest would spread it.
        """
        now = time.monotonic()
        if now < self.silent_until:
            raise Unavailable(*AWAY)
        self.silent_until = now + ASK_AGAIN_SECONDS  # this one asks for all

    def answered(self) -> None:
        """Note that Postgres answers."""
        self.silent_since = self.silent_until = 0.0

    def missed(self) -> None:
        """Note that an answer did not come in time, whether Postgres said so or not."""
        now = time.monotonic()
        self.silent_since = self.silent_since or now
        if now - self.silent_since > SILENT_AFTER_SECONDS:
            self.silent_until = now + ASK_AGAIN_SECONDS

    def connect(self, catalog: str, deadline: float) -> Connection:
        """A new connection; only one thread at a time comes here."""
        while True:
            openings = self._begun(catalog)
            try:
                connection = opened(openings, min(deadline, time.monotonic() + OPEN_ANOTHER_SECONDS))
            except DeadlinePassed:
                if time.monotonic() >= deadline:
                    raise
            except psycopg2.Error:
                openings.clear()
                raise
            else:
                openings.remove(connection)
                return connection

    def come_late(self, catalog: str, connection: Connection) -> None:
        """Keep a connection whose answer did not come in time, for when it has come."""
        connection.begun_at = time.monotonic()
        self._late.setdefault(catalog, []).append(connection)

    def late(self, catalog: str) -> Connection | None:
        """A connection whose answer has come meanwhile, to nobody's use: a new one would be dearer."""
        waiting = self._late.get(catalog, [])
        for _ in range(len(waiting)):
            try:
                connection = waiting.pop(0)
                if not connection.wants():
                    return connection
            except IndexError:
                return None
            except psycopg2.Error:
                continue
            if time.monotonic() - connection.begun_at > UNFINISHED_SECONDS:
                connection.close()
            else:
                waiting.append(connection)
        return None

    def _begun(self, catalog: str) -> list[Connection]:
        """The connections that are being made, at least one.

        Another one is begun beside one that is slow: it may be that nobody answers that one any more.
        """
        now = time.monotonic()
        openings = self._openings.setdefault(catalog, [])
        for old in [one for one in openings if now - one.begun_at > UNFINISHED_SECONDS]:
            openings.remove(old)
            old.close()
        if not openings or now - openings[-1].begun_at > OPEN_ANOTHER_SECONDS:
            given = self.settings
            openings.append(Connection(given.database_url, given.statement_timeout_ms, catalog, self.statements))
        return openings


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

    @property
    def memory(self) -> Memory:
        """What this process remembers of the catalog."""
        return self._database.memory(self._catalog)

    def rows(self, name: str, *parameters: object) -> list[Row]:
        """What a statement finds; raises `Unavailable` if Postgres is away or slow."""
        database = self._database
        try:
            if database.silent_until:
                database.ask()
            found = self._rows(name, parameters)
            if database.silent_since:
                database.answered()
            return found
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
            raise NotFound("unknown_catalog", "There is no such catalog") from None
        except (psycopg2.Error, DeadlinePassed) as error:
            if isinstance(error, (DeadlinePassed, psycopg2.errors.QueryCanceled)):
                database.missed()
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
                return self._connection.rows(name, parameters, self._deadline, self._patiently)
            except DeadlinePassed:
                self._give_up(self._connection)
                raise
            except psycopg2.errors.QueryCanceled:
                if not self._connection.at_rest:
                    self._give_up(self._connection)
                raise  # by statement_timeout: the connection is as good as before, and a new one is dear
            except BaseException as error:
                self._connection.close()
                self._connection = None
                # A connection that lay idle may have died with a server that is back by now, or hold a plan from
                # before a migration. Those that lie idle beside it have met the same; a new one tells the truth.
                if fresh or not isinstance(error, psycopg2.Error):
                    raise

    def _give_up(self, connection: Connection) -> None:
        self._connection = None
        if connection.at_rest:
            self._database.come_late(self._catalog, connection)
        else:
            connection.close()

    def _take(self) -> tuple[Connection, bool]:
        """An idle connection or, one request at a time, a new one (then True).

        A new backend costs Postgres a hundred times what a request does. When eight requests find nothing idle, one
        connects and the others mostly get by with what comes back meanwhile.
        """
        while True:
            try:
                return self._idle.pop(), False
            except IndexError:
                pass
            if (connection := self._database.late(self._catalog)) is not None:
                return connection, False
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
