"""An older PostgreSQL, as a distribution has it: a night is the same there, and so are the rights of the roles."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ports, postgres_binaries
from local.postgres import RECJOBS_ROLES, Cluster
from recjobs.adapters import migrations
from recjobs.adapters.postgres import Database
from recjobs.errors import BadConfiguration
from tests.commands import ROOT, environment_of
from tests.worlds import Postgres, World, shop

RIGHTS = (ROOT / "tests" / "rights.sql").read_text().replace(", ('maintain')", "")
"""What each role may do; `maintain` came with PostgreSQL 17."""


def binaries() -> Path:
    """The programs of the distribution's newest server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    if found:
        return found[-1].parent
    message = "there is no PostgreSQL of the distribution (on Debian: apt-get install postgresql)"
    return pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of the distribution, after `recjobs migrate`."""
    folder, programs = tmp_path_factory.mktemp("older"), binaries()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_binaries, "find", lambda: programs)
        cluster = Cluster(folder, ports.any_free())
        cluster.start()
    try:
        settings = cluster.urls() | {"RECJOBS_STATE": str(folder), "RECJOBS_CATALOGS": str(folder / "none")}
        command = [sys.executable, "-m", "recjobs", "migrate", "--json"]
        subprocess.run(command, cwd=ROOT, env=environment_of(settings), check=True, capture_output=True)
        yield Postgres(cluster)
    finally:
        cluster.stop()


def test_a_night_on_it_serves_what_one_on_the_newest_does(older: Postgres, published: World, tmp_path: Path):
    world = World(tmp_path, published.name, older, f"sqlite:///{tmp_path}/mlflow.db").write(shop())
    world.publish()
    lists = "select user_id, item_ids, source from served_lists order by user_id"
    on_newest = published.rows(lists)
    assert {row["user_id"] for row in world.rows(lists)} == {row["user_id"] for row in on_newest}
    known = next(row["user_id"] for row in on_newest if row["source"] == "als")
    assert len(world.rows("select * from recommend(%s, 10)", known)) == 10
    assert world.night().json["nothing_new"]
    for role in RECJOBS_ROLES:
        here, there = ({row["may"] for row in each.rows(RIGHTS, role, role="admin")} for each in (world, published))
        assert here == there, role


def test_an_older_server_than_that_is_refused(postgres: Postgres, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(migrations, "LOWEST", 99)
    with pytest.raises(BadConfiguration, match=r"this server is PostgreSQL \d\d; the oldest .* is 99"):
        migrations.migrate_database(Database(postgres.cluster.url()))


def test_its_migrations_are_noted_with_the_text_that_they_have_everywhere(older: Postgres, postgres: Postgres):
    notes = "select migration_id, sha256 from public.applied_migrations order by 1"
    assert older.rows(notes, role="admin") == postgres.rows(notes, role="admin")
