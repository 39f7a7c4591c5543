"""A SQLite database, such as MLflow's on one machine, as one stream and back."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
WAIT_SECONDS = 60


def dump(path: Path) -> Iterator[bytes]:
    """Yield a copy of the database as of one instant, also while it is written to."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.sqlite")
        with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        with copy.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


def restore(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace the database's content by a copy's, in one transaction; the file is made if it is not there."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.sqlite")
        with copy.open("wb") as file:
            file.writelines(chunks)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as target:
            source.backup(target)


def least(path: Path, table: str, column: str) -> Any:
    """The least value of a column; None if there is no such file, table or row."""
    if not has_rows(path, table):
        return None
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as connection:
        statement = f'select min("{column}") from "{table}"'  # noqa: S608 - names of ours
        return connection.execute(statement).fetchone()[0]


def has_rows(path: Path, table: str) -> bool:
    """Whether the database has this table, with a row in it."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as connection:
        name = connection.execute(
            "select name from sqlite_master where type = 'table' and name = ?", (table,)
        ).fetchone()
        statement = f'select 1 from "{table}" limit 1'  # noqa: S608 - a name of ours
        return bool(name and connection.execute(statement).fetchone())
