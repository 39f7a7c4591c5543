"""Back-up and restore: everything is lost and comes back; what is damaged or half-written is refused untouched."""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.postgres import Cluster
from recjobs.__main__ import _exit_code, cli
from recjobs.adapters import postgres_programs
from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from recjobs.errors import SystemAway
from tests.batches import publish
from tests.commands import Command, Done, Kill
from tests.people import night_of
from tests.prometheus_names import expand
from tests.statsd_listener import StatsdListener
from tests.worlds import EARLIER, Postgres, World, shop, soak

ANSWERS = (
    "select u.user_id, n, array(select r.item_id || r.score from recommend(u.user_id, n) as r) as items"
    " from (select user_id from served_lists union all select 'stranger ' || k from generate_series(1, 100) as k) as u,"
    " generate_series(1, 10) as n"
    " order by 1, 2"
)
KILLS = 20
LISTS = "select * from served_lists order by user_id"


def recjobs(world: World, *arguments: str, **settings: str) -> Done:
    """A verb without --catalog, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name, value in (world.settings | settings).items():
            patch.setenv(name, value)
        code = _exit_code(lambda: cli([*arguments, "--json"], standalone_mode=False))
    return Done(code, out.getvalue(), err.getvalue())


def mlflow_file(world: World) -> Path:
    """A SQLite file that only this world has."""
    return Path(world.settings["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"))


class OwnDatabase:
    """A cluster as one database of it, so that no other test's catalog is backed up or restored."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self.name = cluster, name

    def url(self, role: str = "admin") -> str:
        """The URL of `role` for this database."""
        return self._cluster.url(role, self.name)

    def urls(self) -> dict[str, str]:
        """As `Cluster.urls`."""
        return {name: url.replace("/recjobs?", f"/{self.name}?") for name, url in self._cluster.urls().items()}

    def make_empty(self) -> None:
        """Drop it, if it is there, and create it: as on a new machine."""
        with closing(psycopg2.connect(self._cluster.url())) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"drop database if exists {self.name} with (force)")
            cursor.execute(f"create database {self.name}")


def world_in_its_own_database(postgres: Postgres, folder: Path) -> World:
    """A catalog that nobody has migrated, in an empty database, with a MLflow of its own."""
    database = OwnDatabase(postgres.cluster, f"backups_{folder.name.replace('-', '_')}")
    database.make_empty()
    world = World(folder / "world", "shop", Postgres(database), f"sqlite:///{folder}/mlflow.db")
    world.settings["RECJOBS_DATABASE_URL"] = database.url()
    migrate_database(Database(database.url()))
    return world.write(shop())


def lose(world: World) -> None:
    """The database is empty, and the artifacts and MLflow's file are gone."""
    world.postgres.cluster.make_empty()
    shutil.rmtree(world.artifacts, ignore_errors=True)
    mlflow_file(world).unlink(missing_ok=True)


def n_runs(world: World) -> int:
    with closing(sqlite3.connect(mlflow_file(world))) as connection:
        return int(connection.execute("select count(*) from runs").fetchone()[0])


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@dataclass
class BackedUp:
    """A world of one live batch of one user and one night's artifacts, and a back-up of it."""

    world: World
    backup: Path
    state: tuple[object, ...]

    def now(self) -> tuple[object, ...]:
        """All that a restore must bring back."""
        return state_of(self.world)


def state_of(world: World) -> tuple[object, ...]:
    return world.everything(), world.rows(LISTS), world.live(), files_of(world.artifacts), n_runs(world)


@pytest.fixture(scope="module")
def backed_up(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    folder = tmp_path_factory.mktemp("small")
    world = world_in_its_own_database(postgres, folder)
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), world.name), "A shop for tests")
    batch_id = publish(world, 1)
    store = ArtifactStore(str(world.artifacts), world.name)
    for step, name in (("refit", "model.npz"), ("score", "top_n-0.parquet")):
        with store.night(batch_id).writing(step) as files, files.sink(name) as sink:
            sink.write(b"0123456789" * 100)
    with closing(sqlite3.connect(mlflow_file(world))) as connection, connection:
        connection.execute("create table runs (id text)")
        connection.execute("insert into runs values ('a night')")
    with closing(StatsdListener()) as listener:
        done = recjobs(world, "back-up", "--to", str(folder / "place"), **listener.settings)
        assert done.code == 0, done.err
        [(name, value)] = listener.all().items()
    series = expand(name)
    assert series
    assert series.name == "recjobs_backup_finished_timestamp_seconds"
    assert int(value.partition("|")[0]) > 1_700_000_000
    assert (done.json["catalogs"], done.json["left_out"]) == (world.name, None)
    return BackedUp(world, Path(done.json["backup"]), state_of(world))


def test_all_is_lost_and_one_command_brings_it_back(backed_up: BackedUp):
    world = backed_up.world
    lose(world)
    restored = recjobs(world, "restore", "--from", str(backed_up.backup.parent))
    assert restored.code == 0, restored.err
    assert restored.json["databases"] == "recjobs mlflow airflow"
    assert backed_up.now() == backed_up.state
    grants = "select has_table_privilege('recjobs_reader', %s, 'select') as reads"
    assert world.rows(grants, f"{world.name}.served_lists", role="admin") == [{"reads": True}]
    assert publish(world, 2), "the next batch is loaded and published"

    newer = backed_up.now()
    refused = recjobs(world, "restore", "--from", str(backed_up.backup))
    assert refused.code == 75
    assert f"{world.name} has changed since {backed_up.backup.name}" in refused.message
    assert "--force REASON" in refused.message
    assert backed_up.now() == newer
    forced = recjobs(world, "restore", "--from", str(backed_up.backup), "--force", "the night was wrong")
    assert forced.code == 0, forced.err
    assert forced.json["forced"] == "the night was wrong"
    assert backed_up.now() == backed_up.state


def test_a_damaged_or_incomplete_back_up_is_refused_before_anything_is_applied(backed_up: BackedUp, tmp_path: Path):
    world, before = backed_up.world, backed_up.now()
    files = sorted(path for path in backed_up.backup.rglob("*") if path.is_file())
    model = next(path for path in files if path.name == "model.npz")
    chosen = [backed_up.backup / "manifest.json", backed_up.backup / "recjobs.dump", model, *files]
    for number, path in enumerate(chosen[: soak(len(chosen), share=len(chosen) // 3)]):
        for damage in ("flipped", "missing"):
            copy = shutil.copytree(backed_up.backup, tmp_path / f"{number}-{damage}")
            damaged = copy / path.relative_to(backed_up.backup)
            if damage == "missing":
                damaged.unlink()
            else:
                content = bytearray(damaged.read_bytes())
                content[len(content) // 2] ^= 1
                damaged.write_bytes(content)
            refused = recjobs(world, "restore", "--from", str(copy), "--force", "a drill")
            assert refused.code == 65, (damaged, refused.err)
            assert damaged.name in refused.message
            shutil.rmtree(copy)
    assert backed_up.now() == before


@pytest.mark.parametrize(
    "kill",
    [
        Kill("recjobs.adapters.backup_files:BackupFiles.write", "after", having=("recjobs.dump",)),
        Kill("recjobs.adapters.backup_files:BackupFiles.finish"),
    ],
    ids=str,
)
def test_a_back_up_that_is_killed_counts_as_none(backed_up: BackedUp, tmp_path: Path, kill: Kill):
    world, before = backed_up.world, backed_up.world.everything()
    assert Command(("back-up", "--to", str(tmp_path)), world.settings, kill).wait().code == -9
    refused = recjobs(world, "restore", "--from", str(tmp_path), "--force", "a drill")
    assert refused.code == 65
    assert "half-written" in refused.message
    [half] = tmp_path.iterdir()
    refused = recjobs(world, "restore", "--from", str(half), "--force", "a drill")
    assert refused.code == 65
    assert "half-written" in refused.message
    assert world.everything() == before
    whole = recjobs(world, "back-up", "--to", str(tmp_path), "--keep", "1")
    assert whole.code == 0, whole.err
    assert [folder.name for folder in tmp_path.iterdir()] == [Path(whole.json["backup"]).name], (
        "the half one is removed"
    )


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="a process for each kill: `make soak`")
def test_a_back_up_that_is_killed_at_any_moment_is_refused_or_whole(backed_up: BackedUp, tmp_path: Path):
    world, before, draw = backed_up.world, backed_up.world.everything(), random.Random(17)
    for name in ("first", "whole"):  # the first waits for what all of them are forked from
        began = time.monotonic()
        assert Command(("back-up", "--to", str(tmp_path / name)), world.settings).wait().code == 0
    seconds, killed = time.monotonic() - began, 0
    for number in range(KILLS):
        place = tmp_path / str(number)
        command = Command(("back-up", "--to", str(place)), world.settings)
        time.sleep(draw.uniform(0, seconds))
        command.kill()
        code = command.wait().code
        killed += code == -9
        if not (place.exists() and any(place.iterdir())):
            assert code == -9
            continue
        [folder] = place.iterdir()
        is_whole = (folder / "manifest.json").exists()
        restored = recjobs(world, "restore", "--from", str(folder), "--force", "a drill")
        assert restored.code == (0 if is_whole else 65), restored.err
        assert is_whole or "half-written" in restored.message
        assert world.everything() == before
    assert killed > KILLS / 2, "moments at which it was running"


def test_a_restore_that_fails_midway_leaves_the_database_as_it_was(backed_up: BackedUp):
    world, before = backed_up.world, backed_up.world.everything()
    url = world.settings["RECJOBS_OWNER_URL"]
    dump = (backed_up.backup / "recjobs.dump").read_bytes()
    for part in (dump[: len(dump) // 2], b"no dump"):
        with pytest.raises(SystemAway, match="pg_restore failed"):
            postgres_programs.restore(url, 18, "recjobs_owner", [world.name], [part])
        assert world.everything() == before
    with pytest.raises(SystemAway, match=r"psql failed \(.*nobody_at_all"):
        postgres_programs.restore(url, 18, "nobody_at_all", [world.name], [dump])
    assert world.everything() == before


def test_a_night_that_publishes_during_a_back_up_leaves_it_as_of_one_instant(postgres: Postgres, tmp_path: Path):
    world = world_in_its_own_database(postgres, tmp_path)
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), world.name), "A shop for tests")
    night_of(world, 1, [("a", "i1")], "a")
    dump, states = postgres_programs.dump, [(world.everything(), world.rows(LISTS))]

    def overtaken(*arguments: Any, **options: Any) -> Iterator[bytes]:
        """The next night publishes before the dump of the catalogs begins, another one while it is written."""
        if arguments[3:] != ([world.name],):
            yield from dump(*arguments, **options)
            return
        for day in (2, 3):
            [champion] = world.rows("select batch_id, sha256, model_version from champion", role="recjobs_publisher")
            night_of(world, day, [("a", "i1"), ("b", f"i{day}")], "a", champion)
            states.append((world.everything(), world.rows(LISTS)))
            if day == 2:
                chunks = dump(*arguments, **options)
                yield next(chunks)
        yield from chunks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_programs, "dump", overtaken)
        done = recjobs(world, "back-up", "--to", str(tmp_path / "place"))
    assert (done.code, done.json["left_out"]) == (0, "mlflow"), done.err  # no night of these has used it
    assert len({state for state, _ in states}) == 3
    lose(world)
    restored = recjobs(world, "restore", "--from", str(tmp_path / "place"))
    assert restored.code == 0, restored.err
    assert (world.everything(), world.rows(LISTS)) == states[1], "as the dump began"
    for row in world.rows("select batch_id, sha256 from models", role="admin"):
        model = world.step(row["batch_id"], "refit", "model.npz").read_bytes()
        assert hashlib.sha256(model).hexdigest() == row["sha256"]
    assert world.rows("select batch_id from champion", role="recjobs_publisher")[0]["batch_id"] == world.live()


def test_a_folder_without_a_back_up_is_refused(backed_up: BackedUp, tmp_path: Path):
    refused = recjobs(backed_up.world, "restore", "--from", str(tmp_path))
    assert refused.code == 65
    assert "no back-up" in refused.message


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="nights: `make soak`")
def test_after_a_restore_the_next_night_is_judged_against_the_same_champion(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
):
    tmp_path = tmp_path_factory.mktemp("nights")
    world = world_in_its_own_database(postgres, tmp_path).write(shop(1_000))
    world.publish("--as-of", EARLIER)
    state, runs, answers = (world.everything(), world.rows(LISTS)), n_runs(world), world.rows(ANSWERS)
    assert len(answers) >= 10_000
    query = "select batch_id, sha256, model_version from champion"
    [champion] = world.rows(query, role="recjobs_publisher")
    assert recjobs(world, "back-up", "--to", str(tmp_path / "place")).code == 0
    lose(world)
    restored = recjobs(world, "restore", "--from", str(tmp_path / "place"))
    assert restored.code == 0, restored.err
    assert ((world.everything(), world.rows(LISTS)), n_runs(world)) == (state, runs)
    assert world.rows(ANSWERS) == answers
    assert world.night("--as-of", EARLIER).json["nothing_new"], "the night is known"
    later = world.night()
    assert later.code == 0, later.err
    assert later.json["steps"]["train"]["warm"], "from the restored champion's factors"
    request = json.loads(world.step(later.json["batch_id"], "begin", "request.json").read_text())
    assert {key: request["champion"][key] for key in champion} == champion
