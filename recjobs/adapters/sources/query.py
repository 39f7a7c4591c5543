"""A query of any Postgres as a source: its result is stored in a file named by its hash, and that file is read.

A night's input thus stays the same while it runs, and can be hashed, compared, and read again after a kill.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
from psycopg2 import errors, sql

from recjobs.adapters.object_store import HashingSink
from recjobs.adapters.postgres_errors import address, first_line, free_a_connection, is_full, refuses_login
from recjobs.adapters.sources.places import SourceFile, file_system, open_file, translated
from recjobs.core.rows.one_statement import one_statement
from recjobs.errors import BadConfiguration, DataRefused, SystemAway

_QUERIES = Path(__file__).resolve().parents[3] / "sql" / "queries" / "sources"
_COPY_BYTES = 1 << 20
# pg_type.oid of types whose values are rounded, or have more than one spelling
_NO_IDS = {16: "boolean", 700: "real", 701: "double precision", 1082: "date", 1114: "timestamp", 1184: "timestamptz"}
_NUMERIC = 1700
_LISTS = {1009: "text[]", 1015: "varchar[]", 1002: "char[]"}


def pin(text: str, connection: str, key: str, url: str, folder: str, columns: Mapping[str, str]) -> SourceFile:
    """Run the query in a read-only session and store its result as `<folder>/<sha256 of the CSV>.csv.gz`.

    connection: its name in the catalog; key: the query's key there; columns: canonical name -> name in the query.
    Raises BadConfiguration for a wrong URL, login or statement, DataRefused for a missing column or a type that cannot
    be an id, SystemAway if Postgres does not answer.
    """
    setting = f"RECJOBS_CONNECTION_{connection.upper()}"
    try:
        query = sql.SQL(one_statement(text))
    except ValueError as error:
        raise BadConfiguration(f"{key}.sql: {error}") from None
    with _connected(url, setting) as session, _translated(key, setting), session.cursor() as cursor:
        cursor.execute(statement_of("source_session"))  # by itself: no rollback undoes it
        session.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        _check_statement(cursor, sql.SQL(statement_of("source_columns")).format(query=query))
        cursor.execute(sql.SQL(statement_of("source_columns")).format(query=query))
        _check_columns(cursor.description or (), key, columns)
        with content_addressed_file(folder) as content:
            cursor.copy_expert(sql.SQL(statement_of("source_copy")).format(query=query), content, size=_COPY_BYTES)
    return SourceFile(f"{folder}/{content.sha256}.csv.gz", "csv", content.sha256, content.tell())


def pinned(path: str) -> SourceFile:
    """The stored result of a query, hashed again. Raises DataRefused if it cannot be read."""
    try:
        with open_file(path) as raw, gzip.open(raw) as file:
            return SourceFile(path, "csv", hashlib.file_digest(file, "sha256").hexdigest(), file.tell())
    except (OSError, EOFError) as error:
        raise DataRefused(
            f"{path}: cannot be read ({error}); begin the night again, which runs the query anew"
        ) from None


@contextmanager
def content_addressed_file(folder: str) -> Iterator[HashingSink]:
    """A gzipped file that is renamed to the hash of its content once it is complete."""
    system, inside = file_system(folder)
    part = f"{inside}/{uuid4().hex}.part"
    try:
        system.create_dir(inside, recursive=True)
        try:
            with (
                system.open_output_stream(part, compression=None) as stream,
                gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0, filename="") as zipped,
            ):
                content = HashingSink(zipped)
                yield content
            system.move(part, f"{inside}/{content.sha256}.csv.gz")
        except BaseException:
            with suppress(OSError):
                system.delete_file(part)
            raise
    except OSError as error:
        if "AWS Error" in str(error):
            raise translated(folder, error) from None
        raise BadConfiguration(f"{folder} cannot be written ({error}); see to RECJOBS_ARTIFACTS") from None


def statement_of(name: str) -> str:
    """The text of one of the statements for sources."""
    return (_QUERIES / f"{name}.sql").read_text(encoding="utf-8")


def _check_statement(cursor: Any, statement: sql.Composable) -> None:
    """Let Postgres' own parser read it, as a text within a text: it refuses to open a cursor for several statements."""
    text = sql.Literal(statement.as_string(cursor)).as_string(cursor)
    body = sql.Literal(f"declare it refcursor; begin open it for execute {text}; close it; end")
    cursor.execute(sql.SQL(statement_of("source_check")).format(body=body))


def _check_columns(description: Any, key: str, columns: Mapping[str, str]) -> None:
    names = [column.name for column in description]
    if missing := [name for name in dict.fromkeys(columns.values()) if name not in names]:
        raise DataRefused(
            f"{key}.sql: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
            "Fix the query, or `columns` in the catalog"
        )
    for canonical, name in columns.items():
        for column in (c for c in description if c.name == name):
            place = f"{key}.sql: column {name!r}"
            scaled = column.type_code == _NUMERIC and (column.precision is None or column.scale)
            if canonical in ("user_id", "item_id") and (column.type_code in _NO_IDS or scaled):
                kind = _NO_IDS.get(column.type_code, "numeric with a fraction")
                raise DataRefused(
                    f"{place} is {kind}, which is written in more than one way; cast it to bigint or text"
                )
            if column.type_code in _LISTS:
                raise DataRefused(
                    f"{place} is {_LISTS[column.type_code]}; say array_to_string({name}, '|'), as lists of names are "
                    "written in text"
                )


@contextmanager
def _connected(url: str, setting: str) -> Iterator[Any]:
    try:
        server = address(url)
    except psycopg2.ProgrammingError:  # its text would quote the URL, and the password in it
        raise BadConfiguration(f"{setting} is no URL such as postgresql://reader:...@host:5432/shop") from None
    try:
        connection = psycopg2.connect(url, connect_timeout=10, application_name="recjobs")
    except psycopg2.OperationalError as error:
        reason = first_line(error)
        if is_full(error):
            raise SystemAway(free_a_connection(error, server)) from None
        if refuses_login(error):
            raise BadConfiguration(f"Postgres does not let {server} in ({reason}); see to {setting}") from None
        raise SystemAway(f"Postgres at {server} does not answer ({reason}); see to it, or to {setting}") from None
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


@contextmanager
def _translated(key: str, setting: str) -> Iterator[None]:
    try:
        yield
    except errors.ReadOnlySqlTransaction as error:
        raise BadConfiguration(f"{key}.sql: a source is only read: {first_line(error)}") from None
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:  # cancelled, locked or disconnected
        raise SystemAway(f"{key}.sql: did not finish ({first_line(error)}); see to {setting}'s database") from None
    except psycopg2.Error as error:
        raise BadConfiguration(f"{key}.sql: Postgres says: {first_line(error)}") from None
