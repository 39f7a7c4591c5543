"""A query of any Postgres as a source: its result becomes a file that is named by its content, and that file is read.

So a night has an input that nobody changes while it runs, that can be hashed, read again after a kill and compared.
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

from recjobs.adapters.sources.places import Place, SourceFile, file_system, open_file, translated
from recjobs.core.rows.one_statement import one_statement
from recjobs.errors import BadConfiguration, DataRefused, SystemAway

QUERIES = Path(__file__).resolve().parents[3] / "sql" / "queries" / "sources"
_READ_BYTES = 1 << 20
# pg_type.oid of what writes an id in more than one way, or rounds it
_NO_IDS = {16: "boolean", 700: "real", 701: "double precision", 1082: "date", 1114: "timestamp", 1184: "timestamptz"}
_NUMERIC = 1700
_LISTS = {1009: "text[]", 1015: "varchar[]", 1002: "char[]"}


def pin(place: Place, key: str, url: str, folder: str, columns: Mapping[str, str]) -> SourceFile:
    """Ask the query and keep its result as `<folder>/<sha256>.csv.gz`, the hash being that of the CSV inside.

    key says where the query stands in the catalog; columns are canonical name -> name in the query. The session cannot
    write. Raises BadConfiguration for a wrong URL, login or statement, DataRefused for a type that cannot be an id,
    SystemAway when Postgres does not answer.
    """
    setting = f"RECJOBS_CONNECTION_{str(place.connection).upper()}"
    try:
        query = sql.SQL(one_statement(place.sql or ""))
    except ValueError as error:
        raise BadConfiguration(f"{key}.sql: {error}") from None
    with _connected(url, setting) as connection, _asked(key, setting), connection.cursor() as cursor:
        cursor.execute(_text("source_session"))
        cursor.execute(sql.SQL(_text("source_columns")).format(query=query))
        _must_fit(cursor.description or (), key, columns)
        with _kept(folder) as content:
            cursor.copy_expert(sql.SQL(_text("source_copy")).format(query=query), content, size=_READ_BYTES)
    return SourceFile(content.path, "csv", content.sha256, content.n_bytes)


def pinned(path: str) -> SourceFile:
    """What a night's query found when it began. Raises DataRefused unless the file is what it was."""
    digest, n_bytes = hashlib.sha256(), 0
    try:
        with open_file(path) as raw, gzip.open(raw) as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
                n_bytes += len(chunk)
    except (OSError, EOFError) as error:
        raise DataRefused(
            f"{path}: cannot be read ({error}); begin the night again, which asks the query anew"
        ) from None
    return SourceFile(path, "csv", digest.hexdigest(), n_bytes)


class _Kept:
    """A sink for COPY, compressed on its way to the store; it knows what went through it."""

    def __init__(self, sink: gzip.GzipFile) -> None:
        self._sink, self._digest = sink, hashlib.sha256()
        self.n_bytes, self.path = 0, ""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.n_bytes += len(data)
        return self._sink.write(data)


@contextmanager
def _kept(folder: str) -> Iterator[_Kept]:
    """A file that gets its name, the hash of its content, once it is whole."""
    system, inside = file_system(folder)
    part = f"{inside}/{uuid4().hex}.part"
    try:
        system.create_dir(inside, recursive=True)
        try:
            with (
                system.open_output_stream(part, compression=None) as stream,
                gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0, filename="") as zipped,
            ):
                kept = _Kept(zipped)
                yield kept
            system.move(part, f"{inside}/{kept.sha256}.csv.gz")
        except BaseException:
            with suppress(OSError):
                system.delete_file(part)
            raise
    except OSError as error:
        if "AWS Error" in str(error):
            raise translated(folder, error) from None
        raise BadConfiguration(f"{folder} cannot be written ({error}); see to RECJOBS_ARTIFACTS") from None
    kept.path = f"{folder}/{kept.sha256}.csv.gz"


def _text(name: str) -> str:
    return (QUERIES / f"{name}.sql").read_text(encoding="utf-8")


def _must_fit(described: Any, key: str, columns: Mapping[str, str]) -> None:
    names = [column.name for column in described]
    if missing := [name for name in dict.fromkeys(columns.values()) if name not in names]:
        raise DataRefused(
            f"{key}.sql: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
            "Mend the query, or `columns` in the catalog"
        )
    for canonical, name in columns.items():
        for column in (c for c in described if c.name == name):
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
        who = {k: v for k, v in psycopg2.extensions.parse_dsn(url).items() if k in ("user", "host", "port", "dbname")}
    except psycopg2.ProgrammingError:  # its text would quote the URL, and the password in it
        raise BadConfiguration(f"{setting} is no URL such as postgresql://reader:...@host:5432/shop") from None
    shown = f"{who.get('user', 'this user')}@{who.get('host', 'localhost')}/{who.get('dbname', '')}"
    try:
        connection = psycopg2.connect(url, connect_timeout=10, application_name="recjobs")
    except psycopg2.OperationalError as error:
        said = _first_line(error)
        if any(refusal in said for refusal in ("authentication failed", "no password", "does not exist", "pg_hba")):
            raise BadConfiguration(f"Postgres does not let {shown} in ({said}); see to {setting}") from None
        raise SystemAway(f"Postgres at {shown} does not answer ({said}); see to it, or to {setting}") from None
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield connection
    finally:
        connection.close()


@contextmanager
def _asked(key: str, setting: str) -> Iterator[None]:
    try:
        yield
    except errors.ReadOnlySqlTransaction as error:
        raise BadConfiguration(f"{key}.sql: a source is only read: {_first_line(error)}") from None
    except (errors.QueryCanceled, errors.LockNotAvailable, errors.SerializationFailure) as error:
        raise SystemAway(f"{key}.sql: Postgres gave up ({_first_line(error)}); see to {setting}'s database") from None
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise SystemAway(
            f"{key}.sql: the connection broke ({_first_line(error)}); see to {setting}'s database"
        ) from None
    except psycopg2.Error as error:
        raise BadConfiguration(f"{key}.sql: Postgres says: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].removeprefix("ERROR:  ").strip() if lines else type(error).__name__
