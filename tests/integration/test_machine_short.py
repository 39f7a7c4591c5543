"""A machine that lacks something: each command ends within its limit and names what it lacks, what is served stays, and
the next try succeeds."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local import ports
from local.postgres import Cluster
from recjobs.adapters import postgres_programs
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from tests.batches import publish
from tests.integration.test_backup import LISTS, recjobs
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
