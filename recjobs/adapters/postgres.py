"""Postgres: one connection at a time, as one role, with a catalog's schema as its search path."""

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
from psycopg2 import errors, sql

from recjobs.errors import BadConfiguration, Defect, ListsRefused, Locked, Misuse, Superseded, SystemAway

SQL = Path(__file__).resolve().parents[2] / "sql"
QUERIES = {path.stem: path for path in SQL.glob("queries/*/*.sql") if path.parent.name != "webapp"}


class Database:
    """Where and as whom to connect; `connect` does it."""

    def __init__(self, url: str, catalog: str | None = None, connect_seconds: int = 10) -> None:
        self.url = url
        self.catalog = catalog
        self.connect_seconds = connect_seconds

    @contextmanager
    def connect(self) -> Iterator["Session"]:
        """A session in autocommit mode, closed at the end.

        Raises SystemAway when Postgres does not answer, BadConfiguration when it will not let us in or the catalog
        has no schema yet, and what a publish function refuses as Superseded, Locked or ListsRefused.
        """
        options = f"-c search_path={self.catalog},pg_temp" if self.catalog else ""
        with _translated(self.url):
            connection = psycopg2.connect(
                self.url, options=options, connect_timeout=self.connect_seconds, application_name="recjobs"
            )
        connection.autocommit = True
        try:
            with _translated(self.url):
                yield Session(connection)
        finally:
            connection.close()


class Session:
    """One open connection. A query is a file in a folder of `sql/queries`, asked by its name."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, query: str, identifiers: dict[str, str] | None = None, **parameters: Any) -> list[dict[str, Any]]:
        """Every row of a query, by column name; identifiers fill the names in braces."""
        return self._rows(_statement(query, identifiers or {}), parameters)

    def row(self, query: str, identifiers: dict[str, str] | None = None, **parameters: Any) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        found = self.rows(query, identifiers, **parameters)
        return found[0] if found else None

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function of the schema, each argument by its name. Returns its value; the first row, or None, of a
        function that returns a table."""
        named = [sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in arguments]
        call = sql.SQL("select * from {}({})").format(sql.Identifier(function), sql.SQL(", ").join(named))
        row = next(iter(self._rows(call, arguments)), None)
        return row[function] if row and [*row] == [function] else row

    def _rows(self, statement: str | sql.Composable, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        with self._connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(statement, _adapted(parameters) if parameters else None)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def stream(self, query: str, size: int, **parameters: Any) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query as of one instant, `size` at a time; no more of them are held, here or there."""
        with self.transaction(), self._connection.cursor(name="stream") as cursor:
            cursor.execute(_statement(query, {}), _adapted(parameters))
            while rows := cursor.fetchmany(size):
                yield rows

    def copy(self, query: str, chunks: Iterable[memoryview | bytes], identifiers: dict[str, str]) -> int:
        """COPY FROM STDIN in binary; returns the number of rows. What fails in making the chunks is raised as it is."""
        stream = _Stream(chunks)
        with self._connection.cursor() as cursor:
            try:
                cursor.copy_expert(_statement(query, identifiers), stream, size=1 << 20)
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
        """All statements of the block, or none."""
        self._connection.autocommit = False
        try:
            with self._connection:
                yield
        finally:
            self._connection.autocommit = True

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All statements of the block, or none, in a transaction that may go on without them."""
        self.run(sql.SQL("savepoint block"))
        try:
            yield
        except psycopg2.Error:
            self.run(sql.SQL("rollback to savepoint block"))
            raise
        self.run(sql.SQL("release savepoint block"))


class _Stream(io.RawIOBase):
    """Chunks as a file that COPY reads from, without joining them first."""

    def __init__(self, chunks: Iterable[memoryview | bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks)).cast("B")
            except StopIteration:
                return b""
            except Exception as error:
                self.failure = error
                raise
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece.tobytes()


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
        raise BadConfiguration(f"Postgres refuses {_who(url)}: {_first_line(error)}. Run `recjobs migrate`") from error
    except (errors.UndefinedTable, errors.UndefinedFunction, errors.InvalidSchemaName) as error:
        raise BadConfiguration(f"the database is not migrated: {_first_line(error)}. Run `recjobs migrate`") from error
    except (errors.LockNotAvailable, errors.QueryCanceled) as error:
        raise Locked(f"Postgres: {_first_line(error)}; something holds a lock, see pg_stat_activity") from error
    except psycopg2.OperationalError as error:
        text = str(error).strip()
        if any(refusal in text for refusal in ("authentication failed", "no password supplied", "does not exist")):
            raise BadConfiguration(f"Postgres does not let {_who(url)} in: {_first_line(error)}") from error
        raise SystemAway(
            f"Postgres does not answer ({_first_line(error)}). Locally: `make up`; else see to RECJOBS_DATABASE_URL"
        ) from error
    except psycopg2.InterfaceError as error:
        raise SystemAway(
            f"the connection to Postgres broke ({_first_line(error)}); the next try connects again"
        ) from error
    except psycopg2.Error as error:
        message = _first_line(error)
        if error.pgcode == "RJ076":
            raise Locked(message) from error
        if error.pgcode == "RJ075":
            raise Superseded(message) from error
        if error.pgcode == "RJ064":
            raise Misuse(message) from error
        if error.pgcode == "RJ065":
            raise ListsRefused(message) from error
        raise Defect(f"Postgres: {message} ({error.pgcode})") from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].removeprefix("ERROR:  ").strip() if lines else type(error).__name__


def _who(url: str) -> str:
    """User, host and database of a URL, never its password."""
    parts = psycopg2.extensions.parse_dsn(url)
    return f"{parts.get('user', 'this user')}@{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"
