"""`recjobs catalog remove`: nothing of the catalog is left, and nothing of others is changed."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recjobs.adapters.migrations import migrate_catalog
from recjobs.adapters.mlflow_registry import Registry
from recjobs.adapters.postgres import Database
from tests.batches import publish
from tests.commands import Command, Done, Kill
from tests.worlds import MakeWorld, World

OPERATION = "recjobs.operations.remove_catalog"
MOMENTS = (
    Kill("recjobs.adapters.postgres:Session.rows", "after", ("drop_catalog",)),  # before it is committed
    Kill(f"{OPERATION}:_drop", "after"),
    Kill("recjobs.adapters.mlflow_registry:Registry.remove", "after"),
    Kill("recjobs.adapters.artifact_store:ArtifactStore.remove_all", "after"),
)


def remove(world: World, *arguments: str, kill: Kill | None = None) -> Done:
    return Command(("catalog", "remove", world.name, "--json", *arguments), world.settings, kill).wait()


def found_in_mlflow(world: World, name: str) -> set[str]:
    """The tables of MLflow's database that have the name, as a word, in any row."""
    word = re.compile(rf"\b{name}\b")
    with closing(sqlite3.connect(world.settings["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"))) as connection:
        tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        return {
            table
            for table in tables
            if any(word.search(str(row)) for row in connection.execute(f'select * from "{table}"'))
        }


def found_in_postgres(world: World, name: str) -> set[str]:
    """The tables of all schemas that have the name, as a word, in any row or in their statistics."""
    world.rows("analyze", role="admin")  # else statistics are of rows that are gone
    tables = world.rows(
        "select format('%I.%I', nspname, relname) as name from pg_class join pg_namespace as n on n.oid = relnamespace"
        " where relkind = 'r' and nspname <> 'information_schema' and relpersistence = 'p'"
        " and n.nspname || '.' || relname <> 'pg_catalog.pg_statistic'",
        role="admin",
    )
    held = "select {0} as name where exists (select from {1} as t where t::text ~ {2})"
    queries = [held.format(f"'{row['name']}'", row["name"], "%s") for row in tables]
    queries.append("select format('%%I.%%I', schemaname, tablename) from pg_stats as t where t::text ~ %s")
    found = world.rows(" union all ".join(queries), *[rf"\m{name}\M"] * len(queries), role="admin")
    return {row["name"] for row in found}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def schemas(world: World) -> set[str]:
    return {row["nspname"] for row in world.rows("select nspname from pg_namespace", role="admin")}


@pytest.fixture(scope="module")
def pair(make_world: MakeWorld) -> tuple[World, World]:
    """A catalog after a night, its file gone, and one whose name begins with the same, in the same places."""
    world = make_world()
    world.publish()
    other = World(world.folder / "other", f"{world.name}_b", world.postgres, world.settings["MLFLOW_TRACKING_URI"])
    other.artifacts = world.artifacts
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), other.name), "Another shop")
    publish(other, 170)
    kept = world.artifacts / other.name / "20250101T000000Z-1" / "begin" / "request.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    runs = Registry(world.settings["MLFLOW_TRACKING_URI"], f"{world.artifacts}/_mlflow", other.name)
    runs.attach(runs.run_of("20250101T000000Z-1"), "note.txt", "kept")
    return world, other


@pytest.fixture
def without_file(pair: tuple[World, World]) -> Iterator[World]:
    world = pair[0]
    file = world.catalogs / f"{world.name}.yaml"
    text = file.read_text()
    file.unlink()
    yield world
    file.write_text(text)


def test_a_dry_run_says_what_there_is_and_removes_nothing(pair: tuple[World, World]) -> None:
    world, _ = pair
    tables, lying = world.everything(), files(world.artifacts)
    done = remove(world)
    assert (done.code, done.json["dry_run"]) == (0, True)
    assert "nothing was removed: --yes removes it" in done.err
    assert done.json["schema"]["live"] == world.live()
    assert done.json["schema"]["batches"] == 1
    assert done.json["artifacts"]["files"] == len(files(world.artifacts / world.name))
    assert (done.json["mlflow"]["experiments"], done.json["mlflow"]["models"], done.json["mlflow"]["versions"]) == (
        1,
        1,
        1,
    )
    assert done.json["file"] == str(world.catalogs / f"{world.name}.yaml")
    refused = remove(world, "--yes")
    assert (refused.code, "is still there" in refused.message) == (64, True)
    assert (world.everything(), files(world.artifacts)) == (tables, lying)


def test_what_is_locked_or_runs_or_is_read_by_others_is_not_removed(without_file: World) -> None:
    world = without_file
    for role, lock in (
        ("recjobs_loader", "select lock_loading()"),
        ("admin", "lock table locks in share update exclusive mode"),
        ("admin", "select take_turn()"),
    ):
        holder = world.postgres.connect(role, world.name)
        holder.autocommit = False
        with closing(holder), holder.cursor() as cursor:
            cursor.execute(lock)
            assert remove(world, "--yes").code == 75, lock
    world.rows("select note_step('20990101T000000Z-1', 'train', 'running')", role="recjobs_publisher")
    running = remove(world, "--yes")
    assert (running.code, "train of night 20990101T000000Z-1" in running.message) == (75, True)
    world.rows("delete from step_records where batch_id = '20990101T000000Z-1'", role="admin")
    world.rows("create schema analysts", role="admin")
    world.rows(f"create view analysts.bought as select * from {world.name}.user_history", role="admin")
    read = remove(world, "--yes")
    assert (read.code, "analysts.bought: reads the schema" in read.message) == (64, True)
    world.rows("drop schema analysts cascade", role="admin")
    assert world.live(), "and all is still there"


def test_a_name_of_nothing_is_refused(pair: tuple[World, World]) -> None:
    for name in ("nowhere", "public", "../shop", "_mlflow", ""):
        done = Command(("catalog", "remove", name, "--yes"), pair[0].settings).wait()
        assert done.code == 64, name


def test_killed_at_any_moment_the_same_command_goes_on_and_nothing_is_left(
    pair: tuple[World, World], without_file: World
) -> None:
    world, other = without_file, pair[1]
    tables, lying = (
        other.everything(),
        files(world.artifacts / other.name) | files(world.artifacts / "_mlflow" / other.name),
    )
    in_mlflow = found_in_mlflow(world, other.name)
    assert found_in_mlflow(world, world.name) >= {"experiments", "registered_models"}, "the search finds it"
    assert found_in_postgres(world, world.name) >= {"pg_catalog.pg_namespace"}
    for moment in MOMENTS:
        assert remove(world, "--yes", kill=moment).code == -9, moment
    assert world.name not in schemas(world)
    assert (world.artifacts / world.name).exists(), "the last kill left something to do"
    done = remove(world, "--yes")
    assert (done.code, done.json["mlflow_left"]) == (0, False)

    assert found_in_mlflow(world, world.name) == set()
    assert found_in_postgres(world, world.name) == {"public.audit_records"}, "who did what there"
    assert [path.name for path in world.artifacts.rglob("*") if path.name == world.name] == []
    assert world.name not in Command(("status", "--json"), world.settings).wait().json["catalogs"]
    assert remove(world, "--yes").code == 64, "there is nothing any more"
    assert other.everything() == tables
    assert files(world.artifacts / other.name) | files(world.artifacts / "_mlflow" / other.name) == lying
    assert found_in_mlflow(world, other.name) == in_mlflow
