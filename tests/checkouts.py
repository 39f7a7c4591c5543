"""Code that migrates a catalog by a copy of `sql`, in which a test may change what it likes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recjobs.adapters import migrations
from recjobs.adapters.postgres import Database
from tests.commands import ROOT
from tests.worlds import World

OBJECTS = (ROOT / "tests" / "catalog_objects.sql").read_text()
LAST_OF_MIGRATIONS_ALONE = "0015"
"""The last migration of the time when migrations held functions, views and grants too."""


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

    def migrate_by_migrations_alone(self, last: str = LAST_OF_MIGRATIONS_ALONE) -> int:
        """Migrate the catalog as the code did that had no files of objects; last: the number of its last migration."""
        older = self.later("older")
        for path in (older.sql / "migrations" / "catalog").iterdir():
            if path.stem[:4] > last:
                path.unlink()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "_apply_objects", lambda *_: 0)
            return older.migrate()

    def later(self, folder: str) -> "Checkout":
        """A copy of this code."""
        return Checkout(Path(shutil.copytree(self.sql, self.sql.parent / folder)), self.world)

    def change(self, name: str, old: str, new: str) -> None:
        """Change the text of one object."""
        path = self.sql / f"{name}.sql"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

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
