"""A query of a database other than Postgres as a source, by SQLAlchemy and its dialects: SQLite, DuckDB, MySQL, ...

As of a query of Postgres, the result is stored in a file named by its hash, and that file is read.
"""

import csv
import io
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from recjobs.adapters.sources.places import SourceFile
from recjobs.adapters.sources.query import content_addressed_file, statement_of
from recjobs.core.rows.one_statement import one_statement
from recjobs.errors import BadConfiguration, DataRefused, SystemAway

_ROWS = 10_000
_SCHEME = re.compile(r"^(?!postgres(?:ql)?:)[a-z][a-z0-9]*(?:\+[a-z0-9]+)?://", re.IGNORECASE)


def is_other(url: str) -> bool:
    """Whether a URL is that of a database other than Postgres."""
    return bool(_SCHEME.match(url))


def pin(text: str, connection: str, key: str, url: str, folder: str, columns: Mapping[str, str]) -> SourceFile:
    """Run the query and store its result, as `query.pin` does for Postgres; SQLite and DuckDB are opened read-only.

    Raises BadConfiguration for a wrong URL or statement or a missing driver, DataRefused for a missing column or values
    that cannot be ids, SystemAway if the database does not answer.
    """
    setting = f"RECJOBS_CONNECTION_{connection.upper()}"
    try:
        query = one_statement(text)
    except ValueError as error:
        raise BadConfiguration(f"{key}.sql: {error}") from None
    with _connected(url, setting) as session, _translated(key, setting):
        names = list(session.exec_driver_sql(statement_of("other_columns").format(query=query)).keys())
        if missing := [name for name in dict.fromkeys(columns.values()) if name not in names]:
            raise DataRefused(
                f"{key}.sql: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. "
                "Fix the query, or `columns` in the catalog"
            )
        numbers = ", ".join(str(n + 1) for n in range(len(names)))
        ordered = statement_of("other_rows").format(query=query, columns=numbers)
        result = session.execution_options(stream_results=True).exec_driver_sql(ordered)
        ids = {columns[name] for name in ("user_id", "item_id") if name in columns}
        with content_addressed_file(folder) as content:
            for lines in _as_csv(names, result.partitions(_ROWS), ids, key):
                content.write(lines)
    return SourceFile(f"{folder}/{content.sha256}.csv.gz", "csv", content.sha256, content.tell())


def _as_csv(names: list[str], parts: Iterable[Any], ids: set[str], key: str) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    places = [(name, f"{key}.sql: column {name!r}") for name in names]
    for part in parts:
        for row in part:
            fields = zip(places, row, strict=True)
            writer.writerow([_text(value, place, is_id=name in ids) for (name, place), value in fields])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _text(value: Any, place: str, *, is_id: bool) -> str:
    """A value as Postgres writes it to CSV. Raises DataRefused for what has no one writing."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise DataRefused(f"{place} holds bytes that are no UTF-8 text; cast it to text") from None
    if isinstance(value, list | tuple | dict | set):
        raise DataRefused(f"{place} holds lists or objects; say array_to_string(..., '|'), or cast it to text")
    if is_id and (isinstance(value, bool | float | date) or (isinstance(value, Decimal) and value % 1)):
        kind = type(value).__name__.lower()
        raise DataRefused(f"{place} is {kind}, which is written in more than one way; cast it to bigint or text")
    if isinstance(value, bool):
        return "t" if value else "f"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


@contextmanager
def _connected(url: str, setting: str) -> Iterator[Any]:
    import sqlalchemy as sa  # half a second, which only a catalog with such a source pays

    try:
        place = sa.make_url(url)
        name = place.get_backend_name()
        if name == "sqlite":
            file = Path(place.database or "")
            if not file.is_file():
                raise BadConfiguration(f"{setting}: there is no file {file}")
            address = f"file:{quote(str(file.absolute()))}?mode=ro"
            engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
        elif name == "duckdb":
            if not Path(place.database or "").is_file():
                raise BadConfiguration(f"{setting}: there is no file {place.database}")
            closed = {"read_only": True, "config": {"enable_external_access": False}}
            engine = sa.create_engine(place, connect_args=closed)
        else:
            engine = sa.create_engine(place)
    except (sa.exc.NoSuchModuleError, ImportError):
        raise BadConfiguration(
            f"{setting} is no URL such as postgresql://reader:...@host:5432/shop, and no driver of "
            f"{url.partition(':')[0]}:// is installed: install the package with SQLAlchemy's dialect of it (DuckDB: "
            'make install EXTRAS="databases")'
        ) from None
    except (sa.exc.ArgumentError, ValueError):  # its text would quote the URL, and the password in it
        raise BadConfiguration(
            f"{setting} is no URL such as postgresql://reader:...@host:5432/shop or sqlite:////data/shop.db"
        ) from None
    try:
        with engine.connect() as session:
            yield session
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise SystemAway(f"{name} does not answer ({_first_line(error)}); see to it, or to {setting}") from None
    finally:
        engine.dispose()


@contextmanager
def _translated(key: str, setting: str) -> Iterator[None]:
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated or "is locked" in str(error.orig):
            raise SystemAway(f"{key}.sql: did not finish ({_first_line(error)}); see to {setting}'s database") from None
        raise BadConfiguration(f"{key}.sql: the database says: {_first_line(error)}") from None


def _first_line(error: Any) -> str:
    return (str(error.orig).strip().splitlines() or [type(error).__name__])[0]
