"""One request's read-only session on one catalog, within a deadline."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import psycopg2

from webapp.api.errors import ApiError
from webapp.postgres.circuit_breaker import CircuitBreaker, away
from webapp.postgres.connection import Connection, DeadlinePassed, Row
from webapp.postgres.shared_connections import CatalogPool

log = logging.getLogger("webapp.postgres")

NOT_MIGRATED = (
    psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn, psycopg2.errors.UndefinedFunction,
    psycopg2.errors.InvalidSchemaName, psycopg2.errors.InsufficientPrivilege,
)  # fmt: skip
"""What a statement fails with where a view, column, function or grant is missing, or the whole catalog."""


class ReadSession:
    """A context manager that borrows a connection at its first statement and gives it back at its end.

    missing: the error where the catalog lacks something. long: a single statement may run until the deadline, instead
    of for as long as the settings allow.
    """

    def __init__(
        self,
        breaker: CircuitBreaker,
        pool: CatalogPool,
        deadline: float,
        missing: Callable[[], ApiError],
        long: bool = False,
    ) -> None:
        self._breaker = breaker
        self._missing = missing
        self._pool = pool
        self._deadline = deadline
        self._long = long
        self._connection: Connection | None = None
        self.is_spare = False
        """Set where one session after the other is opened on every catalog: all of them get by with one connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._connection is not None:
            self._pool.give_back(self._connection, self.is_spare)
            self._connection = None

    @property
    def cache(self) -> Any:
        """What this process caches of the catalog; `webapp.lists` owns it."""
        return self._pool.cache

    def rows(self, name: str, *parameters: object) -> list[Row]:
        """Run a file of sql/queries/webapp and return its rows.

        Raises `Unavailable` if Postgres is away or slow, or is not migrated, `NotFound` if the catalog is gone.
        """
        return self._answered(name, lambda connection: connection.rows(name, parameters, self._deadline, self._long))

    def check(self) -> None:
        """Let Postgres plan all statements, and run none; raises what `rows` would raise."""
        self._answered("check", lambda connection: connection.check(self._deadline))

    def _answered(self, name: str, ask: Callable[[Connection], list[Row]]) -> list[Row]:
        breaker = self._breaker
        try:
            if breaker.open_until:
                breaker.check()
            rows = self._rows(ask)
            if breaker.silent_since:
                breaker.answered()
            return rows
        except NOT_MIGRATED as error:
            log.warning("%s failed: %s %s", name, type(error).__name__, error.pgcode)
            raise self._missing() from None
        except (psycopg2.Error, DeadlinePassed) as error:
            if isinstance(error, (DeadlinePassed, psycopg2.errors.QueryCanceled)):
                breaker.timed_out()
            # The type and the code only: a message of Postgres may quote the user id.
            log.warning("%s failed: %s %s", name, type(error).__name__, getattr(error, "pgcode", None) or "")
            raise away() from None

    def row(self, name: str, *parameters: object) -> Row | None:
        """Run a statement that returns at most one row."""
        rows = self.rows(name, *parameters)
        return rows[0] if rows else None

    def _rows(self, ask: Callable[[Connection], list[Row]]) -> list[Row]:
        while True:
            fresh = False
            if self._connection is None:
                self._connection, fresh = self._pool.take(self._deadline)
            try:
                return ask(self._connection)
            except DeadlinePassed:
                self._abandon(self._connection)
                raise
            except psycopg2.errors.QueryCanceled:
                if not self._connection.reusable:
                    self._abandon(self._connection)
                raise  # by statement_timeout: the connection is as good as before, and a new one is expensive
            except BaseException as error:
                self._pool.shared.close(self._connection)
                self._connection = None
                # An idle connection may have died with a server that is back by now, or hold a plan from before a
                # migration. So may the other idle ones; the error of a new connection is the true one.
                if fresh or not isinstance(error, psycopg2.Error):
                    raise

    def _abandon(self, connection: Connection) -> None:
        self._connection = None
        self._pool.shared.abandon(connection)
