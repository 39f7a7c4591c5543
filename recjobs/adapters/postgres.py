"""Postgres: one connection at a time, as one role, with a catalog's schema as its search path."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
from psycopg2 import errors, sql

from recjobs.adapters.postgres_errors import (
    address,
    first_line,
    free_a_connection,
    is_full,
    is_of_a_batch,
    is_url,
    refuses_login,
)
from recjobs.errors import (
    BadConfiguration,
    Defect,
    DiskFull,
    ListsRefused,
    Locked,
    MemoryShort,
    Misuse,
    Superseded,
    SystemAway,
)

SQL = Path(__file__).resolve().parents[2] / "sql"
LOCK_SECONDS = 10
"""How long a statement waits for a lock, if it sets no other time."""
QUERIES = {path.stem: path for path in SQL.glob("queries/*/*.sql") if path.parent.name != "webapp"}


@dataclass(frozen=True)
class Database:
    """A database as one role sees it, with a catalog's schema or none on the search path.

    Never with the default one, which begins with "$user": a schema of that name may be somebody else's.
    """

    url: str
    catalog: str | None = None
    connect_seconds: int = 10
    person: str = ""
    """Who acts, for the audit; empty: the login."""

    @contextmanager
    def connect(self) -> Iterator["Session"]:
        """A session in autocommit mode, closed at the end.

        Raises SystemAway if Postgres does not answer or has no connection left, BadConfiguration if its URL is none, if
        it refuses the login or the catalog has no schema yet, DiskFull or MemoryShort for its machine, and Superseded,
        Locked or ListsRefused if a publish function refuses.
        """
        options = f"-c lock_timeout={LOCK_SECONDS}s -c search_path={self.catalog or 'pg_catalog'},pg_temp"
        if self.person:
            options += f" -c recjobs.person={_escaped(self.person)}"
        if not is_url(self.url):
            raise BadConfiguration(
                "a setting is no URL such as postgresql://user:...@host:5432/recjobs: RECJOBS_DATABASE_URL, that of a "
                "role, MLFLOW_TRACKING_URI or RECJOBS_AIRFLOW_DATABASE_URL"
            )
        with _translated(self.url):
            connection = psycopg2.connect(
                self.url, options=options, connect_timeout=self.connect_seconds, application_name="recjobs"
            )
            try:
                connection.autocommit = True
                yield Session(connection)
            finally:
                connection.close()


class Session:
    """One open connection. A query is a file in a folder of `sql/queries`, asked by its name."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def major_version(self) -> int:
        """The server's: 18 for PostgreSQL 18.4."""
        return int(self._connection.server_version) // 10_000

    def rows(self, query: str, identifiers: dict[str, str] | None = None, **parameters: Any) -> list[dict[str, Any]]:
        """Every row of a query, by column name; identifiers fill the names in braces."""
        return self._rows(_statement(query, identifiers or {}), parameters)

    def row(self, query: str, identifiers: dict[str, str] | None = None, **parameters: Any) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(query, identifiers, **parameters)), None)

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function of the schema, each argument by its name. Returns its value; the first row, or None, of a
        function that returns a table."""
        named_arguments = [sql.SQL("{} => {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in arguments]
        call = sql.SQL("select * from {}({})").format(sql.Identifier(function), sql.SQL(", ").join(named_arguments))
        row = next(iter(self._rows(call, arguments)), None)
        return row[function] if row and [*row] == [function] else row

    def _rows(self, statement: str | sql.Composable, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        with self._connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(statement, _adapted(parameters) if parameters else None)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def stream(self, query: str, size: int, **parameters: Any) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query by a server-side cursor, as of one instant, `size` at a time."""
        with self.transaction(), self._connection.cursor(name="stream") as cursor:
            cursor.execute(_statement(query, {}), _adapted(parameters))
            while rows := cursor.fetchmany(size):
                yield rows

    def copy(self, table: str, columns: Sequence[str], chunks: Iterable[memoryview | bytes]) -> int:
        """COPY into a table in binary; returns the number of rows. An error of `chunks` itself is raised as it is."""
        stream, names = _Stream(chunks), sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("copy {} ({}) from stdin with (format binary)").format(sql.Identifier(table), names)
        with self._connection.cursor() as cursor:
            try:
                cursor.copy_expert(statement, stream, size=1 << 20)
            except psycopg2.Error:
                if stream.failure:  # Postgres only knows that its COPY was cancelled
                    raise stream.failure from None
                raise
            return int(cursor.rowcount)

    def run(self, statement: sql.Composable) -> None:
        """Statements without parameters: of identifiers and literals only, such as `set role`, or a file's."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit the statements of the block together, or roll all back."""
        self._connection.autocommit = False
        try:
            with self._connection:
                yield
        finally:
            self._connection.autocommit = True

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Keep the statements of the block together, or roll back to its beginning; the transaction stays usable."""
        self.run(sql.SQL("savepoint block"))
        try:
            yield
        except psycopg2.Error:
            self.run(sql.SQL("rollback to savepoint block"))
            raise
        self.run(sql.SQL("release savepoint block"))


class _Stream:
    """Chunks as a file for COPY to read, without joining them first."""

    def __init__(self, chunks: Iterable[memoryview | bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        while not self._chunk:
            try:
                self._chunk = memoryview(next(self._chunks)).cast("B")
            except StopIteration:
                return b""
            except Exception as error:
                self.failure = error
                raise
        data, self._chunk = self._chunk[:size], self._chunk[size:]
        return data.tobytes()


def _escaped(text: str) -> str:
    # In `options` a blank ends a value.
    return re.sub(r"([\\\s])", r"\\\1", text.replace("\0", "")[:100])


def _statement(query: str, identifiers: dict[str, str]) -> str | sql.Composed:
    text = QUERIES[query].read_text(encoding="utf-8")
    return sql.SQL(text).format(**{k: sql.Identifier(v) for k, v in identifiers.items()}) if identifiers else text


def _adapted(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        k: json.dumps(v, default=str, allow_nan=False) if isinstance(v, dict | list) else v
        for k, v in parameters.items()
    }


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise BadConfiguration(
            f"Postgres refuses {address(url)}: {first_line(error)}. Run `recjobs migrate`"
        ) from error
    except (errors.UndefinedTable, errors.UndefinedFunction, errors.InvalidSchemaName) as error:
        if is_of_a_batch(error):
            raise Locked(f"Postgres: {first_line(error)}: another process removed it; run it again") from error
        raise BadConfiguration(f"the database is not migrated: {first_line(error)}. Run `recjobs migrate`") from error
    except (errors.LockNotAvailable, errors.QueryCanceled) as error:
        raise Locked(f"Postgres: {first_line(error)}; something holds a lock, see pg_stat_activity") from error
    except psycopg2.extensions.TransactionRollbackError as error:  # a deadlock, or what was read has changed since
        raise Locked(f"Postgres: {first_line(error)}; the next try meets it no more") from error
    except errors.DiskFull as error:
        raise DiskFull(
            f"a disk is full: Postgres' ({first_line(error)}); make room there, see docs/runbook.md, and run the same "
            "command again"
        ) from error
    except errors.OutOfMemory as error:
        raise MemoryShort(
            f"memory is short: Postgres' ({first_line(error)}); give its machine more, or run less beside it, and run "
            "the same command again"
        ) from error
    except psycopg2.OperationalError as error:
        if is_full(error):
            raise SystemAway(free_a_connection(error, address(url))) from error
        if refuses_login(error):
            raise BadConfiguration(f"Postgres does not let {address(url)} in: {first_line(error)}") from error
        raise SystemAway(
            f"Postgres does not answer ({first_line(error)}). Locally: `make up`; else see to RECJOBS_DATABASE_URL"
        ) from error
    except psycopg2.InterfaceError as error:
        raise SystemAway(f"the connection to Postgres broke ({first_line(error)}); the next try reconnects") from error
    except psycopg2.Error as error:
        message = first_line(error)
        kinds = {"RJ064": Misuse, "RJ065": ListsRefused, "RJ075": Superseded, "RJ076": Locked}
        if error.pgcode in kinds:
            raise kinds[error.pgcode](message) from error
        raise Defect(f"Postgres: {message} ({error.pgcode})") from error
