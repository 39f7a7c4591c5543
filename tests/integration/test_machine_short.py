"""A machine that lacks something: each command ends within its limit and names what it lacks, what is served stays, and
the next try succeeds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from local import ports
from local.postgres import Cluster
from recjobs import NIGHT
from recjobs.adapters import postgres_programs
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from tests.batches import publish
from tests.commands import ROOT, environment_of
from tests.integration.test_backup import LISTS, recjobs
from tests.replicas import Replica, status, wait_for
from tests.worlds import MakeWorld, Postgres, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="whole nights, on disks of their own"),
]
LIMIT_SECONDS = 300


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A disk of so many kilobytes at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A shop after a night."""
    world = make_world(shop(60))
    world.publish("--as-of", "2025-06-18")
    return world


def served(world: World) -> object:
    return world.live(), world.rows(LISTS)


def test_a_full_disk_at_the_artifacts_stops_the_night_and_nothing_else(world: World):
    before, began = served(world), time.monotonic()
    elsewhere = world.artifacts.with_name("artifacts of before")
    world.artifacts.rename(elsewhere)
    taken = sum(-(-path.stat().st_size // 4096) * 4 for path in elsewhere.rglob("*") if path.is_file())
    with small_disk(world.artifacts, taken + 200):
        subprocess.run(["cp", "-r", f"{elsewhere}/.", world.artifacts], capture_output=True, check=True)
        done = world.night()
        assert (done.code, "a disk is full" in done.message) == (75, True), done.err
        assert time.monotonic() - began < LIMIT_SECONDS
        assert served(world) == before
    world.artifacts.rmdir()
    elsewhere.rename(world.artifacts)
    world.publish()


def test_a_full_disk_of_postgres_stops_the_night_and_no_reader(tmp_path: Path):
    cluster = Cluster(tmp_path / "state", ports.any_free())
    with small_disk(tmp_path / "state", 300_000):
        cluster.start()
        replica = None
        try:
            world = World(tmp_path / "world", "shop", Postgres(cluster), f"sqlite:///{tmp_path}/mlflow.db")
            world.write(shop(60)).settings["RECJOBS_DATABASE_URL"] = cluster.url()
            assert recjobs(world, "migrate").code == 0
            world.publish("--as-of", "2025-06-18")
            of_all: Any = cluster
            replica = Replica(of_all, "web", tmp_path, WEBAPP_REQUEST_LOG="true")
            replica.wait_until_ready()
            before, began, takes_all = served(world), time.monotonic(), filled(cluster.data)
            done = world.night()
            assert (done.code, "a disk is full" in done.message) == (75, True), done.err
            assert time.monotonic() - began < LIMIT_SECONDS
            assert served(world) == before
            address = f"http://127.0.0.1:{replica.port}/v1/shop/"
            for path in ("popular", "recommendations?user_id=user001", "similar?item_id=item01"):
                assert [status(f"{address}{path}") for _ in range(20)] == [200] * 20, path
            takes_all.unlink()
            world.publish()
        finally:
            if replica:
                replica.stop()
            cluster.stop()


def test_a_full_disk_at_the_back_ups_place_leaves_no_back_up_that_counts(world: World, tmp_path: Path):
    place = tmp_path / "place"
    with small_disk(place, 200):
        done = recjobs(world, "back-up", "--to", str(place))
        assert (done.code, "disk is full" in done.message) == (75, True), done.err
        refused = recjobs(world, "restore", "--from", str(place))
        assert (refused.code, "half-written" in refused.message) == (65, True), refused.err
        world.publish()
    assert recjobs(world, "back-up", "--to", str(place)).code == 0


def test_postgres_that_is_restarted_during_a_back_up_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(tmp_path / "state", ports.any_free())
    cluster.start()
    try:
        world = World(tmp_path / "world", "shop", Postgres(cluster), f"sqlite:///{tmp_path}/mlflow.db").write(shop(30))
        world.settings["RECJOBS_DATABASE_URL"] = cluster.url()
        migrate_database(Database(cluster.url()))
        migrate_catalog(Database(cluster.url("recjobs_migrator"), world.name), "A shop")
        publish(world, 1)
        before, dump, place = served(world), postgres_programs.dump, str(tmp_path / "place")

        def restarted(*arguments: Any, **options: Any) -> Iterator[bytes]:
            chunks = dump(*arguments, **options)
            yield next(chunks)
            cluster.stop()
            cluster.start()
            yield from chunks

        began = time.monotonic()
        with monkeypatch.context() as patch:
            patch.setattr(postgres_programs, "dump", restarted)
            done = recjobs(world, "back-up", "--to", place)
        assert done.code == 75, done.err
        assert "Postgres" in done.message or "pg_dump failed" in done.message
        assert time.monotonic() - began < LIMIT_SECONDS
        refused = recjobs(world, "restore", "--from", place)
        assert (refused.code, "half-written" in refused.message) == (65, True), refused.err
        assert served(world) == before
        again = recjobs(world, "back-up", "--to", place)
        assert again.code == 0, again.err
        assert recjobs(world, "restore", "--from", place).code == 0
        assert served(world) == before
    finally:
        cluster.stop()


def filled(folder: Path) -> Path:
    """Take all that is free on a folder's disk; returns the file that does."""
    path = folder / "what takes it all"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return path


def recjobs_with(world: World, *arguments: str, out: Path, err: Path, **settings: str) -> int:
    """Run the command with its output in files; returns the exit code."""
    command = [sys.executable, "-m", "recjobs", *arguments]
    with out.open("ab") as out_file, err.open("ab") as err_file:
        environment = environment_of(world.settings | settings)
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=out_file, stderr=err_file, timeout=LIMIT_SECONDS, check=False
        )
    return done.returncode


def test_a_full_disk_at_the_logs_stops_no_night_no_request_and_no_statement(tmp_path: Path):
    logs, cluster = tmp_path / "logs", Cluster(tmp_path / "state", ports.any_free())
    with small_disk(logs, 400):
        logs.chmod(0o777)
        cluster.home.mkdir(parents=True)
        (cluster.home / "postgres.log").symlink_to(logs / "postgres.log")
        cluster.start()
        replica = None
        try:
            world = World(tmp_path / "world", "shop", Postgres(cluster), f"sqlite:///{tmp_path}/mlflow.db")
            world.write(shop(60)).settings["RECJOBS_DATABASE_URL"] = cluster.url()
            assert recjobs(world, "migrate").code == 0
            world.publish("--as-of", "2025-06-10")
            of_all: Any = cluster
            replica = Replica(of_all, "web", logs, WEBAPP_REQUEST_LOG="true", RECJOBS_STATE=str(tmp_path / "web"))
            replica.wait_until_ready()
            world.rows("alter system set log_min_duration_statement = 0", role="admin")
            world.rows("select pg_reload_conf()", role="admin")
            takes_all = filled(logs)
            address = f"http://127.0.0.1:{replica.port}/v1/shop/popular"
            for n, kind in enumerate(("text", "json")):
                before = world.live()
                more = ("night", "--catalog", "shop", "--as-of", f"2025-06-{12 + n}")
                code = recjobs_with(world, *more, out=tmp_path / "out", err=logs / "night.log", RECJOBS_LOG=kind)
                assert code == 0, kind
                assert world.live() != before
                assert [status(address) for _ in range(50)] == [200] * 50
            # a result that finds no room is none, and says why
            assert recjobs_with(world, "schema", out=logs / "schema.json", err=tmp_path / "err") == 75
            assert "a disk is full" in (tmp_path / "err").read_text()
            assert (logs / "night.log").stat().st_size == 0
            takes_all.unlink()
            lines = replica.log.read_text().count("popular")
            assert status(address) == 200
            wait_for(lambda: replica.log.read_text().count("popular") > lines)
        finally:
            if replica:
                replica.stop()
            cluster.stop()


MEGABYTES = (30, 38, 48, 60, 76, 96, 120, 150, 190, 240, 300, 380, 480)
"""Beside what a process has when it begins. With less than the first Arrow has no room for its threads, and aborts."""


def test_memory_that_is_short_ends_each_step_with_that_cause_until_there_is_more(make_world: MakeWorld):
    world = make_world(shop(20_000))
    world.publish("--as-of", "2025-06-18")
    before = served(world)
    batch_id = world.recjobs("begin", "--json").json["batch_id"]
    ended: dict[str, int] = {}
    for step in NIGHT:
        for megabytes in MEGABYTES:
            command = world.start(step, "--batch-id", batch_id)
            command.limit_memory(megabytes)
            done = command.wait(LIMIT_SECONDS)
            if done.code == 0:
                break
            assert (done.code, "memory is short (" in done.message) == (75, True), (step, megabytes, done.err)
            ended[step] = ended.get(step, 0) + 1
            if step == "evaluate":
                stopped = json.loads(recjobs(world, "status", "--json").out)["catalogs"][world.name]["stopped"]
                assert (stopped["step"], stopped["state"], "llocate" in stopped["reason"]) == (step, "failed", True)
            assert step == "report" or served(world) == before, step
        assert done.code == 0, (step, done.err)
    assert ended.keys() >= {"validate", "evaluate", "score", "inspect"}, ended
    assert world.live() == batch_id
    assert recjobs(world, "status").code == 0


HUNG = """
import sys, time
from datetime import timedelta
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
import recjobs.steps.split as split
folder = Path(sys.argv[1])
dag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags[sys.argv[2]]
dag.get_task("split").execution_timeout = timedelta(seconds=5)
dag.get_task("split").retries = 0
split.run = lambda night: time.sleep(3600)
dag.test()
"""


def test_a_hung_task_ends_within_its_limit_and_says_so(world: World, tmp_path: Path):
    before, began = served(world), time.monotonic()
    environment = world.settings | {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    command = [sys.executable, "-W", "ignore", "-c", HUNG, str(ROOT / "dags"), f"nightly_{world.name}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    text = done.stdout + done.stderr
    assert time.monotonic() - began < 900
    assert "ended in split: the task did not end within 0:00:05" in text, text[-3000:]
    stopped = json.loads(recjobs(world, "status", "--json").out)["catalogs"][world.name]["stopped"]
    assert (stopped["step"], stopped["state"]) == ("split", "failed")
    assert "Timeout" in stopped["reason"]
    assert served(world) == before
    world.publish()
