"""What is of yesterday or lost: Postgres after a restore, MLflow that counts from 1 again, artifacts."""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from local import postgres_binaries
from tests.commands import Done, Kill
from tests.integration.test_night_killed import LATE_MOMENTS, MOMENTS
from tests.list_contract import broken_lists
from tests.worlds import EARLIER, MakeWorld, World, by_chance, soak

pytestmark = pytest.mark.soak

REASON = "the bucket was deleted"
REGISTER = "select register_model_version(%s, %s, 'somewhere', %s, now(), '{}')"


def dump(world: World) -> bytes:
    """A backup of the catalog's schema."""
    command = [postgres_binaries.find() / "pg_dump", world.postgres.cluster.url(), "--schema", world.name]
    return subprocess.run(command, check=True, capture_output=True).stdout


def restore(world: World, backup: bytes) -> None:
    """Let Postgres be as it was when the backup was made."""
    world.rows(f"drop schema {world.name} cascade", role="admin")
    command = [postgres_binaries.find() / "psql", world.postgres.cluster.url(), "-qX", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(command, input=backup, check=True, capture_output=True)


def in_mlflow(world: World, statement: str) -> list[tuple[Any, ...]]:
    """A statement about this world's models in MLflow's database."""
    path = world.settings["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        return connection.execute(statement, {"name": world.name}).fetchall()


def lose_the_registry(world: World) -> None:
    """Let MLflow know none of this world's models: it counts from 1 again."""
    for table in ("registered_model_aliases", "model_version_tags", "model_versions", "registered_models"):
        in_mlflow(world, f"delete from {table} where name = :name")


def named_champion(world: World) -> dict[str, str]:
    """Batch and hash of the version that MLflow's alias names."""
    tags = in_mlflow(
        world,
        "select t.key, t.value from model_version_tags as t join registered_model_aliases as a using (name, version)"
        " where a.alias = 'champion' and name = :name and t.key in ('batch_id', 'sha256')",
    )
    return dict(tags)


def champion(world: World) -> dict[str, Any]:
    """The champion, by batch, hash and version."""
    [row] = world.rows("select batch_id, sha256, model_version from champion", role="recjobs_publisher")
    return row


def assert_the_champion_made_the_live_lists(world: World) -> None:
    """By files and SQL: the champion has its file's hash and the live batch's version, and MLflow names the same."""
    live, found = world.live() or "", champion(world)
    file = world.step(found["batch_id"], "refit", "model.npz")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == found["sha256"]
    assert found["batch_id"] == live
    assert world.value("select model_version from batches where is_live") == found["model_version"]
    assert named_champion(world) == {key: found[key] for key in ("batch_id", "sha256")}
    assert broken_lists(world, live) == {}


@dataclass
class Restored:
    """A world of two nights whose Postgres was restored from before the second, with MLflow's registry lost as well,
    and what the second said when it was run again."""

    world: World
    backup: bytes
    first: str
    second: str
    again: Done


@pytest.fixture(scope="module")
def restored(make_world: MakeWorld) -> Restored:
    world = make_world()
    first = world.publish("--as-of", EARLIER)
    backup = dump(world)
    second = world.publish()
    restore(world, backup)
    lose_the_registry(world)
    assert world.live() == first
    return Restored(world, backup, first, second, world.night())


def test_the_same_night_is_published_anew_after_postgres_was_restored_from_yesterday(restored: Restored):
    world, again = restored.world, restored.again
    assert again.code == 0, again.err
    assert again.json["steps"]["publish"]["moved"]
    assert world.live() == again.json["batch_id"] == f"{restored.second[:-1]}2"
    assert f"Postgres does not have {restored.second} as its folder does" in again.err
    assert world.value("select count(*) from inputs") == 2
    assert world.night().json["nothing_new"]


def test_a_model_is_in_charge_by_its_batch_and_hash_when_mlflow_counts_from_1_again(restored: Restored):
    world = restored.world
    assert_the_champion_made_the_live_lists(world)
    assert champion(world)["model_version"] == f"1-{champion(world)['sha256'][:8]}", "1 is the first night's model"
    assert in_mlflow(world, "select value from model_version_tags where name = :name and key = 'model_version'") == [
        (champion(world)["model_version"],)
    ]
    assert world.recjobs("roll-back").code == 0
    assert world.live() == restored.first
    assert_the_champion_made_the_live_lists(world)  # in MLflow as well, where it is registered again
    assert world.recjobs("roll-back", "--batch-id", restored.again.json["batch_id"]).code == 0
    assert_the_champion_made_the_live_lists(world)


def test_a_catalog_whose_artifacts_are_lost_begins_again_with_a_reason_and_serves_meanwhile(
    restored: Restored, tmp_path: Path
):
    world = restored.world
    live, lists = world.live(), world.rows("select * from served_lists order by user_id")
    lost = champion(world)
    shutil.move(world.artifacts / world.name, tmp_path)
    lose_the_registry(world)
    refused = world.night("--as-of", "2025-07-02")
    assert refused.code == 65
    assert "has no finished 'refit' step" in refused.message
    assert f"It is the champion, version {lost['model_version']}" in refused.message
    assert "--force REASON" in refused.message
    assert (world.live(), world.rows("select * from served_lists order by user_id")) == (live, lists)
    begun = world.night("--as-of", "2025-07-02", "--force", REASON)
    assert begun.code == 0, begun.err
    assert "begins again without a champion" in begun.err
    assert_the_champion_made_the_live_lists(world)
    log = world.rows("select batch_id, previous_batch_id, forced, reason from publish_log order by log_id desc limit 1")
    assert log == [{"batch_id": world.live(), "previous_batch_id": live, "forced": True, "reason": REASON}]
    later = world.recjobs("begin", "--as-of", "2025-07-03", "--json")  # without a reason: a night as any other
    assert later.code == 0, later.err
    request = json.loads(world.step(later.json["batch_id"], "begin", "request.json").read_text())
    assert request["champion"]["batch_id"] == world.live()


def test_an_increment_whose_earlier_interactions_are_lost_begins_again_with_a_reason(make_world: MakeWorld):
    world = make_world(by_chance(), mode="increment")
    batch_id = world.recjobs("begin", "--as-of", EARLIER, "--json").json["batch_id"]
    for step in ("extract", "validate"):
        assert world.recjobs(step, "--batch-id", batch_id).code == 0
    shutil.rmtree(world.artifacts / world.name)
    refused = world.recjobs("begin", "--as-of", "2025-06-20")
    assert refused.code == 65
    assert "are gone (those of" in refused.message
    assert "begin again with what the sources hold now: --force REASON" in refused.message
    begun = world.recjobs("begin", "--as-of", "2025-06-20", "--force", REASON, "--json")
    assert begun.code == 0, begun.err
    assert json.loads(world.step(begun.json["batch_id"], "begin", "request.json").read_text())["base"] is None


def test_a_forced_night_without_a_model_takes_a_champion_whose_file_is_lost_out_of_charge(restored: Restored):
    """Else every later night would have to be forced, too. `restored` is left as it was."""
    world = restored.world
    record = "select row_to_json(b) from batch_records as b where batch_id = %s"
    with closing(world.postgres.connect("admin", world.name)) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute(record, (world.live(),))
        batch = cursor.fetchone()[0] | {"batch_id": "20250801T000000Z-1", "as_of": "2025-08-01", "checksum": "c"}
        without = batch | {"model_version": None, "champion_version": None, "attempt": 1}
        cursor.execute("select stage_batch(%s)", (json.dumps(without),))
        cursor.execute("update batch_records set attached = true, published_at = now() where batch_id like '20250801%'")
        for pinned, expected in ((champion(world)["model_version"], 1), (None, 0)):
            cursor.execute("savepoint before")
            cursor.execute("select publish_batch('20250801T000000Z-1', %s, true, 'lost')", (pinned,))
            cursor.execute("select count(*) from champion_model")
            assert cursor.fetchone() == (expected,)
            cursor.execute("rollback to before")
        connection.rollback()


@pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="the night of `restored` is the share of `make test`")
def test_wherever_a_night_was_when_postgres_was_restored_the_same_night_is_published(
    restored: Restored, figure: Callable[[str], None]
):
    """Killed at every moment of `test_night_killed`, with yesterday's database afterwards."""
    world, moments = restored.world, [*MOMENTS[3:], *LATE_MOMENTS]
    for number, kill in enumerate(moments):
        date = f"2025-07-{5 + number // 2:02}T{12 * (number % 2):02}:00:00Z"  # nights that no test before has begun
        backup = dump(world)
        assert world.night("--as-of", date, kill=kill).code == -9, kill
        restore(world, backup)
        if number % 3 == 0:
            lose_the_registry(world)
        done = world.night("--as-of", date)
        assert done.code == 0, f"killed {kill}, then restored: {done.err}"
        assert world.live() == done.json["batch_id"]
        assert_the_champion_made_the_live_lists(world)
    figure(f"{len(moments)} restores of Postgres amid a night, 0 wrong lists")


def test_every_model_has_a_version_of_its_own_however_often_mlflow_counts_from_1_again(restored: Restored):
    """All sequences of registrations: of three models, two of one batch and two of one content, under two numbers."""
    models = [("b1", "a" * 64), ("b1", "b" * 64), ("b2", "a" * 64)]
    calls = [*product(models, ("901", "902"))]
    sequences = random.Random(2).sample([*product(calls, repeat=4)], soak(1296, share=20))
    with closing(restored.world.postgres.connect("admin", restored.world.name)) as connection:
        connection.autocommit = False
        cursor = connection.cursor()
        for sequence in sequences:
            versions: dict[tuple[str, str], set[str]] = {}
            for (batch, sha256), number in sequence:
                cursor.execute(REGISTER, (number, batch, sha256))
                versions.setdefault((batch, sha256), set()).update(*cursor.fetchall())
            assert all(len(of_model) == 1 for of_model in versions.values()), sequence
            assert len(set.union(*versions.values())) == len(versions), sequence
            cursor.execute("select batch_id, sha256, model_version from models where batch_id in ('b1', 'b2')")
            stored = {(batch, sha256): {version} for batch, sha256, version in cursor.fetchall()}
            assert stored == versions, sequence
            assert versions[sequence[0][0]] == {sequence[0][1]}, "the number that is free is taken"
            connection.rollback()


def test_two_models_that_are_registered_at_once_under_one_number_get_two_versions(restored: Restored):
    world, found = restored.world, list[str]()
    with closing(world.postgres.connect("recjobs_publisher", world.name)) as first, first.cursor() as cursor:
        first.autocommit = False
        cursor.execute(REGISTER, ("901", "b1", "a" * 64))
        other = threading.Thread(
            target=lambda: found.append(world.value(REGISTER, "901", "b2", "b" * 64, role="recjobs_publisher"))
        )
        other.start()
        waits = "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '%%register_model%%'"
        while not world.rows(waits, role="admin"):
            assert other.is_alive(), found
        first.commit()
        other.join()
    world.rows("delete from models where batch_id in ('b1', 'b2')", role="admin")
    assert found == ["901-bbbbbbbb"]


def test_a_refit_that_is_killed_while_the_live_night_is_run_again_leaves_the_champion_its_file(
    restored: Restored, figure: Callable[[str], None]
):
    world, draw, codes = restored.world, random.Random(7), list[int]()
    live, rows = world.live() or "", world.everything()
    file = world.step(live, "refit", "model.npz")
    before = file.read_bytes()
    began = time.monotonic()
    assert world.recjobs("refit", "--batch-id", live).code == 0
    took = time.monotonic() - began
    registered = Kill("recjobs.adapters.mlflow_registry:Registry.register", "after")
    while codes.count(-9) < soak(100, share=50):
        refit = world.start("refit", "--batch-id", live, kill=None if codes else registered)
        if codes:
            time.sleep(took * draw.random())
            refit.kill()
        codes.append(refit.wait().code)
        took *= 1 if codes[-1] else 0.9  # it had ended before: the machine is less busy than it was
        assert file.read_bytes() == before
        assert_the_champion_made_the_live_lists(world)
    later = world.recjobs("begin", "--as-of", "2025-07-20", "--json")  # it wants the champion's file
    assert later.code == 0, later.err
    assert world.recjobs("refit", "--batch-id", live).code == 0
    assert (file.read_bytes(), world.everything()) == (before, rows)
    figure(f"{codes.count(-9)} kills of a refit of the live night, the champion's file was there after each")
