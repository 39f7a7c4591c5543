"""A whole night with its artifacts in S3: each step a fresh process with nothing on its disk, killed and resumed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import ports
from recjobs import NIGHT
from tests.commands import Command, Kill
from tests.s3_server import Server, running
from tests.worlds import EARLIER, MakeWorld, World

FILES = "recjobs.adapters.artifacts:StepFiles"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def in_s3(server: Server, world: World) -> dict[str, str]:
    return server.settings | {"RECJOBS_ARTIFACTS": f"s3://bucket/nights/{world.name}"}


def fresh(world: World, settings: dict[str, str], folder: Path, *arguments: str) -> str:
    """Run a command in a process of its own that has three empty folders, which are gone when it ends."""
    own = {name: str(folder / name.lower()) for name in ("HOME", "TMPDIR", "RECJOBS_STATE")}
    for place in own.values():
        Path(place).mkdir(parents=True)
    done = Command(arguments, world.settings | settings | own).wait()
    assert done.code == 0, done.err
    assert done.err == "" or arguments[0] == "night", done.err
    shutil.rmtree(folder)
    return done.out


def lists_of(world: World) -> list[dict[str, Any]]:
    return world.rows("select user_id, item_ids, scores, source from served_lists order by user_id")


@pytest.fixture(scope="module")
def by_steps(make_world: MakeWorld, server: Server, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A night in S3, step by step."""
    world = make_world()
    settings = in_s3(server, world)
    folder = tmp_path_factory.mktemp("pod")
    began = json.loads(fresh(world, settings, folder / "begin", "begin", "--catalog", world.name, "--json"))
    for step in NIGHT:
        fresh(world, settings, folder / step, step, "--catalog", world.name, "--batch-id", began["batch_id"])
    assert list(folder.iterdir()) == []
    return world


def test_every_step_in_a_process_of_its_own_publishes_what_a_night_on_a_disk_does(
    by_steps: World, make_world: MakeWorld
):
    on_disk = make_world()
    on_disk.publish()
    assert lists_of(by_steps) == lists_of(on_disk)
    checksum = "select checksum, n_users, n_interactions from batches where is_live"
    assert by_steps.rows(checksum) == on_disk.rows(checksum)
    assert not by_steps.artifacts.exists()


def test_again_is_nothing_new_later_publishes_earlier_is_refused_and_a_roll_back_returns(
    by_steps: World, server: Server
):
    settings = in_s3(server, by_steps)
    first = by_steps.live()
    again = by_steps.night(**settings)
    assert (again.code, again.json["nothing_new"]) == (0, True), again.err
    assert by_steps.night("--as-of", EARLIER, **settings).code == 75
    later = by_steps.night("--as-of", "2025-07-02", **settings)
    assert later.code == 0, later.err
    assert by_steps.live() == later.json["batch_id"] != first
    assert by_steps.recjobs("roll-back", "--reason", "a test", **settings).code == 0
    assert by_steps.live() == first


MOMENTS = [
    Kill(f"{FILES}.put", "before", ("/begin", "manifest.json")),
    Kill(f"{FILES}.sink", "before", ("/extract",)),
    Kill(f"{FILES}.put", "before", ("/validate", "manifest.json")),
    Kill(f"{FILES}.checkpoint", "after", ("/score",)),
    Kill(f"{FILES}.put", "before", ("/score", "manifest.json")),
    Kill("recjobs.steps.publish:_encoded", "midway"),
    Kill("recjobs.adapters.postgres:Session.call", "after", ("publish_batch",)),
]


def test_killed_at_seven_moments_it_resumes_to_the_same_lists(by_steps: World, make_world: MakeWorld, server: Server):
    world = make_world()
    settings = in_s3(server, world)
    for kill in MOMENTS:
        assert world.night(kill=kill, **settings).code == -9, kill
    done = world.night(**settings)
    assert done.code == 0, done.err
    assert lists_of(world) == lists_of(by_steps)
    assert world.value("select count(*) from batches where published_at is not null") == 1


def test_a_server_that_is_away_is_exit_75_and_the_rerun_completes(make_world: MakeWorld, server: Server):
    world = make_world()
    settings = in_s3(server, world)
    done = world.night(**settings | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports.any_free()}"})
    assert done.code == 75, done.err
    assert "RECJOBS_ARTIFACTS" in done.message
    assert world.live() is None
    assert world.night(**settings).code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_ACCESS_KEY_ID": "another", "AWS_SECRET_ACCESS_KEY": "hunter2"},
        {"RECJOBS_ARTIFACTS": "s3://no-such-bucket/x"},
    ],
)
def test_who_is_not_let_in_and_a_bucket_that_is_not_there_are_exit_78(
    make_world: MakeWorld, server: Server, wrong: dict[str, str]
):
    world = make_world()
    done = world.night(**in_s3(server, world) | wrong)
    assert done.code == 78, done.err
    assert "RECJOBS_ARTIFACTS" in done.message
    assert "hunter2" not in done.err
