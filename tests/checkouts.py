"""Code that migrates a catalog by a copy of `sql`, in which a test may change what it likes."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from psycopg2.extensions import parse_dsn
from yoyo import get_backend, read_migrations

from recjobs.adapters import migrations
from recjobs.adapters.postgres import Database
from tests.commands import ROOT
from tests.worlds import World

OBJECTS = (ROOT / "tests" / "catalog_objects.sql").read_text()
TABLES = (ROOT / "tests" / "catalog_tables.sql").read_text()
LAST_OF_MIGRATIONS_ALONE = "0015"
"""The last migration of the time when migrations held functions, views and grants too."""


def code_of(commit: str, folder: Path, *paths: str) -> Path:
    """The code of an earlier commit, or these paths of it, out of this repository's history; returns the folder."""
    archive = subprocess.run(["git", "archive", commit, *paths], cwd=ROOT, capture_output=True, check=False)
    assert not archive.returncode, (
        f"this test needs the commit {commit[:7]}, which a shallow clone lacks (git fetch --unshallow; in a workflow "
        f"fetch-depth: 0): {archive.stderr.decode()}"
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


@dataclass
class Checkout:
    """A folder `sql`, and the catalog that it is applied to."""

    sql: Path
    world: World

    def migrate(self) -> int:
        """Migrate the catalog, as a night does when it begins; returns how many migrations and objects were applied."""
        owner = Database(self.world.postgres.cluster.url("recjobs_migrator"), self.world.name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "SQL", self.sql)
            return migrations.migrate_catalog(owner, "A shop for tests")

    def migrate_database(self) -> int:
        """Migrate the roles, as `recjobs migrate` does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "SQL", self.sql)
            return migrations.migrate_database(Database(self.world.postgres.cluster.url()))

    def migrate_by_migrations_alone(self, last: str = LAST_OF_MIGRATIONS_ALONE) -> int:
        """Migrate the catalog as the code did that had no files of objects; last: the number of its last migration."""
        older = self.later("older")
        for path in (older.sql / "migrations" / "catalog").iterdir():
            if path.stem[:4] > last:
                path.unlink()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "_apply_objects", lambda *_: 0)
            return older.migrate()

    def migrate_as_of(self, commit: str) -> None:
        """Apply the migrations of an earlier commit, as its code did: without a note of their texts."""
        folder = code_of(commit, self.sql.parent / commit, "sql/migrations/catalog")
        schema = self.world.name
        self.world.rows(f"create schema if not exists {schema} authorization recjobs_owner", role="admin")
        options = {"options": f"-c search_path={schema},pg_temp -c role=recjobs_owner"}
        arguments = parse_dsn(self.world.postgres.cluster.url("recjobs_migrator")) | options
        backend = get_backend(f"postgresql:///?{urlencode(arguments)}")
        try:
            migrations_then = read_migrations(str(folder / "sql" / "migrations" / "catalog"))
            backend.apply_migrations(backend.to_apply(migrations_then))
        finally:
            backend.connection.close()

    def later(self, folder: str) -> "Checkout":
        """A copy of this code."""
        return Checkout(Path(shutil.copytree(self.sql, self.sql.parent / folder)), self.world)

    def change(self, name: str, old: str, new: str) -> None:
        """Change the text of one object."""
        path = self.sql / f"{name}.sql"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    def tables(self) -> list[dict[str, Any]]:
        """Every column, constraint and trigger of a table that the catalog has, but for the names of constraints."""
        return self.world.rows(TABLES.replace("{schema}", self.world.name), role="admin")

    def objects(self) -> dict[str, dict[str, Any]]:
        """Every function, view and column of a view that the catalog has; the schema's name is left out."""
        rows = self.world.rows(OBJECTS.replace("{schema}", self.world.name), role="admin")
        return {row["name"]: row for row in rows}

    @contextmanager
    def transaction(self, *statements: str) -> Iterator[Any]:
        """A transaction that has run some statements and stays open meanwhile; yields its cursor."""
        connection = self.world.postgres.connect("admin", self.world.name)
        connection.autocommit = False
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                yield cursor
        finally:
            connection.close()
