"""The connections of this process to Postgres, read only.

A request opens a `ReadSession` on one catalog. It borrows a connection whose search path is that catalog's schema, runs
prepared statements (the files of sql/queries/webapp) and gives the connection back, most recently used first. All
catalogs together have a limit; at it, they take connections over from each other (`shared_connections`). Every
failure is one exception, `Unavailable`: an application sees 503, never an empty list.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import current_app

from webapp.api.errors import ApiError, NotFound, Unavailable
from webapp.postgres.circuit_breaker import CircuitBreaker
from webapp.postgres.connection import Connection, Statement
from webapp.postgres.read_session import ReadSession
from webapp.postgres.shared_connections import CatalogPool, SharedConnections
from webapp.settings import ROOT, Settings

CATALOG_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
WARM_TIMEOUT_MS = 2000
WARM_CONNECTIONS = 16


class ConnectionPool:
    """A `CatalogPool` for each catalog. Threads share it.

    new_cache: makes what `webapp.lists` keeps of one catalog, its sessions' `cache`.
    """

    def __init__(self, settings: Settings, new_cache: Callable[[], Any] = object) -> None:
        self.settings = settings
        self.statements = {path.stem: Statement.of_file(path) for path in (ROOT / "sql/queries/webapp").glob("*.sql")}
        self.breaker = CircuitBreaker()
        self.has_been_ready = False
        self.check_catalog: Callable[[str], None] | None = None
        """Raises where whoever asks may not ask for a catalog."""
        self.session_type = ReadSession
        self._new_cache = new_cache
        self._shared = SharedConnections(self._connect, settings.most_database_connections)
        self._checked: set[str] = set()
        self._catalogs = {"": self._shared.pool("", new_cache())}
        self._adding = threading.Lock()

    def session(self, catalog: str, timeout_ms: int | None = None, long: bool = False) -> ReadSession:
        """A session on one catalog; raises `NotFound` if there is none of that name.

        long: a single statement may run until the deadline, instead of for as long as the settings allow.
        """
        if catalog and self.check_catalog is not None:
            self.check_catalog(catalog)
        deadline = time.monotonic() + (timeout_ms or self.settings.request_timeout_ms) / 1000
        pool = self._catalogs.get(catalog)
        if pool is None:
            if not CATALOG_NAME.fullmatch(catalog) or catalog not in self.catalogs(timeout_ms):
                raise unknown_catalog()
            pool = self._add(catalog)
        return self.session_type(self.breaker, pool, deadline, lambda: self.missing(catalog), long)

    def missing(self, catalog: str) -> ApiError:
        """The error where a catalog lacks a view, column, function or grant: `NotFound` only if all of it is gone."""
        if catalog and catalog not in self.catalogs():
            return unknown_catalog()
        return Unavailable(
            "not_migrated", "The database is older than this web app; `recjobs migrate` brings it up to date"
        )

    def catalogs(self, timeout_ms: int | None = None) -> dict[str, str]:
        """The catalogs that can be read, with their descriptions."""
        with self.session("", timeout_ms) as session:
            return dict(session.rows("catalogs"))

    def has_ended(self, sign_in_id: str) -> bool:
        """Whether an operator's sign-in ended by signing out. Raises `Unavailable` if Postgres is away or slow."""
        with self.session("", self.settings.page_timeout_ms) as session:
            return session.row("ended_sign_in", sign_in_id) == (True,)

    def check(self, catalog: str) -> None:
        """Let Postgres plan all statements in a catalog, until they could be planned once.

        Raises `Unavailable` where a view, function or grant is missing, because nobody has run `recjobs migrate` yet.
        """
        if catalog not in self._checked:
            with self.session(catalog, self.settings.page_timeout_ms) as session:
                session.is_spare = True
                session.check()
            self._checked.add(catalog)

    def warm(self) -> None:
        """Connect and plan before the first request comes, so that a new replica is not a slow one.

        The first statement of a new connection costs a hundred times what the next one does. An error is left to the
        requests to report. A web app with many catalogs does not take all of Postgres' connections at its start.
        """
        with contextlib.suppress(Unavailable, NotFound):
            catalogs = self.catalogs(WARM_TIMEOUT_MS)
            each = min(self.settings.threads, max(1, WARM_CONNECTIONS // max(1, len(catalogs))))
            for catalog in list(catalogs)[: min(WARM_CONNECTIONS, self.settings.most_database_connections)]:
                with contextlib.ExitStack() as held:
                    for _ in range(each):
                        session = held.enter_context(self.session(catalog, WARM_TIMEOUT_MS))
                        session.row("stored", "", 1)
                        session.row("recommendations", "", 1)

    def _add(self, catalog: str) -> CatalogPool:
        with self._adding:
            if catalog not in self._catalogs:
                self._catalogs[catalog] = self._shared.pool(catalog, self._new_cache())
            return self._catalogs[catalog]

    def _connect(self, catalog: str) -> Connection:
        url, statement_ms = self.settings.database_url, self.settings.statement_timeout_ms
        return Connection(url, statement_ms, catalog, self.statements, self.settings.database_idle_seconds)


def unknown_catalog() -> NotFound:
    """The error for a catalog that is not there."""
    return NotFound("unknown_catalog", "There is no such catalog")


def connection_pool() -> ConnectionPool:
    """The connection pool of the running app."""
    pool: ConnectionPool = current_app.extensions["connection_pool"]
    return pool
