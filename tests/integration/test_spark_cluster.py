"""Nights on a standalone cluster of real processes, and what is lost there: the same lists as of a night here."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import generate
from benchmarks.night import BLEND, SPREAD
from benchmarks.night import CATALOG as LARGE
from local.spark import Standalone, standalone
from recjobs.config import load_settings
from tests import spark as tests_spark
from tests.commands import ROOT, Done, Kill
from tests.worlds import MakeWorld, World

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="whole nights on a cluster: `make soak`"),
]
SHARED = load_settings().data
FIT, LISTS, SCORE = "recjobs.night.spark_fit", "recjobs.night.spark_lists", "recjobs.steps.score"
ROWS, CHECKS, RANGES = "recjobs.night.spark_rows", "recjobs.night.list_checks", "recjobs.core.rows.user_ranges"
PAIRS = "recjobs.night.spark_pairs"
PATIENT = {"recjobs.adapters.spark:EXECUTOR_SECONDS": {"spark": 180.0}}
"""A busy machine may need longer than 40 s to start an executor."""
HERE = {f"{SCORE}:CHUNK_USERS": 1_000}
SMALL = (
    HERE
    | PATIENT
    | {f"{PAIRS}:BLOCK_PAIRS": 100_000, f"{LISTS}:AT_A_TIME": 1, f"{CHECKS}:AT_A_TIME": 1, f"{ROWS}:AT_A_TIME": 1}
    | {f"{RANGES}:LEAST": 50_000, f"{ROWS}:BATCH": 50_000}
)
"""Such small parts that a small night has several: 4 ranges of users, 2 blocks a side, 4 chunks in two turns."""
SHOP = (4_000, 2_000, 200_000)
"""Users, items, interactions of the nights that are disturbed."""
SECONDS = 1800


@pytest.fixture(scope="module", autouse=True)
def _spark() -> None:
    tests_spark.needed()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "cluster") as running:
        yield running


def generated(world: World, users: int, items: int, interactions: int, engine: str) -> World:
    """The world with generated interactions in place of the shop's."""
    shutil.rmtree(world.data / "rows")
    generate.write(world.data / "rows.parquet", users, items, interactions, SPREAD)
    tree = yaml.safe_load(LARGE.format(rows="rows.parquet", blend=BLEND))
    if interactions == SHOP[2]:
        tree["model"]["iterations"] = 4
    return world.write_catalog({**tree, "min_holdout_users": 50, "engine": engine})


def of_file(world: World, name: str, engine: str) -> World:
    """The world with a catalog of the repository's."""
    tree = yaml.safe_load((ROOT / "catalogs" / f"{name}.yaml").read_text())
    if name == "online_retail":
        if not (SHARED / tree["sources"][0]["path"]).exists():
            pytest.skip("the transactions of online_retail are not at hand; README.md says where they are from")
        world.settings["RECJOBS_DATA"] = str(SHARED)
    return world.write_catalog({**tree, "engine": engine})


def shop_of(world: World, name: str, engine: str) -> World:
    """One of the three shops that nights are compared on."""
    return generated(world, 40_000, 10_000, 2_000_000, engine) if name == "2M" else of_file(world, name, engine)


def night(world: World, **changes: Any) -> Done:
    """A night to its end."""
    return world.start("night", "--json", **changes).wait(SECONDS)


def batch_of(world: World) -> Path:
    """The folder of the only night."""
    [found] = (path for path in (world.artifacts / world.name).iterdir() if path.name[0].isdigit())
    return found


def results(world: World) -> dict[str, Any]:
    """What nights are compared by: the account and the rows, what was evaluated, the factors of both fits, each file of
    lists, and the checksum that Postgres has of them."""
    batch = batch_of(world)
    found: dict[str, Any] = {
        f"{step}/{name}": sha256
        for step in ("validate", "split", "evaluate", "score", "inspect")
        for name, sha256 in json.loads((batch / step / "manifest.json").read_text())["files"].items()
        if name.endswith(".parquet") or name in ("findings.json", "inspection.json") or step == "evaluate"
    }
    for step, name in (("train", "candidate.npz"), ("refit", "model.npz")):
        with np.load(batch / step / name) as arrays:
            found |= {f"{step}/{side}": arrays[side].tobytes() for side in ("user_factors", "item_factors")}
    assert {"validate/findings.json", "evaluate/evaluation.json", "score/top_n-00000.parquet"} <= set(found)
    return found | {"published": world.value("select checksum from batches where is_live")}


@pytest.mark.parametrize("name", ["sample", "online_retail", "2M"])
def test_a_night_on_two_workers_is_the_one_here_in_every_file_and_in_what_it_publishes(
    make_world: MakeWorld, cluster: Standalone, name: str
):
    here, there = (shop_of(make_world(), name, engine) for engine in ("local", "spark"))
    done = night(here)
    assert done.code == 0, done.err
    done = night(there, constants=PATIENT, **tests_spark.settings_of(cluster))
    assert done.code == 0, done.err
    assert len(list(cluster.folder.glob("work-*/app-*/*"))) == 2  # an executor on each worker
    assert json.loads((batch_of(there) / "train" / "train.json").read_text())["device"] == "spark"
    assert there.live()
    assert results(there) == results(here)


@pytest.fixture(scope="module")
def undisturbed(make_world: MakeWorld) -> dict[str, Any]:
    """The results of a night here, which every one below must have."""
    world = generated(make_world(), *SHOP, "local")
    done = night(world, constants=HERE)
    assert done.code == 0, done.err
    found = results(world)
    assert len([name for name in found if name.startswith("score/top_n-")]) == 4
    return found


@pytest.fixture
def shop(make_world: MakeWorld) -> World:
    """The same, to be computed on Spark."""
    return generated(make_world(), *SHOP, "spark")


@pytest.mark.parametrize(
    ("during", "constants"),
    [
        ("check", {f"{ROWS}:_check": tests_spark.check_rows_and_kill_executor}),
        ("gather", {f"{ROWS}:_gather": tests_spark.gather_and_kill_executor}),
        ("train", {f"{FIT}:_solve": tests_spark.solve_and_kill_executor}),
        ("score", {f"{LISTS}:_write": tests_spark.write_and_kill_executor}),
        ("inspect", {f"{CHECKS}:_check": tests_spark.check_lists_and_kill_executor}),
        ("publish", {"recjobs.steps.publish:_verify": tests_spark.kill_executors_and_verify}),
    ],
)
def test_an_executor_killed_changes_nothing(
    shop: World, cluster: Standalone, undisturbed: dict[str, Any], during: str, constants: dict[str, Any]
):
    done = night(shop, constants=SMALL | constants, **tests_spark.settings_of(cluster))
    assert done.code == 0, done.err
    assert (shop.artifacts.parent / f"killed-{during}").exists()
    assert len(list(cluster.folder.glob("work-*/app-*/*"))) > 2  # the worker started another one
    assert results(shop) == undisturbed
    assert not list(batch_of(shop).glob("spark-*"))


def test_a_worker_gone_for_good_changes_nothing(shop: World, cluster: Standalone, undisturbed: dict[str, Any]):
    constants = SMALL | {f"{FIT}:_solve": tests_spark.solve_and_kill_worker}
    done = night(shop, constants=constants, **tests_spark.settings_of(cluster))
    assert done.code == 0, done.err
    assert [worker.poll() for worker in cluster.workers].count(-signal.SIGKILL) == 1
    assert results(shop) == undisturbed


def test_without_any_worker_left_exit_75_and_with_another_one_the_night_completes(
    shop: World, tmp_path: Path, undisturbed: dict[str, Any]
):
    constants = SMALL | {f"{FIT}:_solve": tests_spark.solve_and_kill_worker}
    with standalone(tmp_path / "cluster", workers=1) as cluster:
        done = night(shop, constants=constants, **tests_spark.settings_of(cluster))
        assert done.code == 75, done.err
        assert f"RECJOBS_SPARK_MASTER={cluster.master}: there was no executor for 180 s" in done.message
        assert shop.live() is None
        cluster.add_workers(1)
        done = night(shop, constants=SMALL, **tests_spark.settings_of(cluster))
    assert done.code == 0, done.err
    assert results(shop) == undisturbed


def test_a_killed_driver_begins_again_at_its_step_and_score_behind_its_chunks(
    shop: World, cluster: Standalone, undisturbed: dict[str, Any]
):
    kills = [
        Kill(f"{ROWS}:GatheringOnSpark.ranges", "after"),
        Kill("recjobs.adapters.shared_folder:SharedFolder.save", "before", ("users-factors-3.npy",)),
        Kill("recjobs.adapters.artifacts:StepFiles.checkpoint", "after", ("/score",)),
        Kill("recjobs.adapters.postgres:Session.call", "before", ("seal_batch",)),
    ]
    written: dict[str, int] = {}
    for kill in kills:
        done = night(shop, constants=SMALL, kill=kill, **tests_spark.settings_of(cluster))
        assert done.code == -signal.SIGKILL, f"not killed {kill}: {done.code}, {done.err}"
        assert shop.live() is None
        chunks = sorted((batch_of(shop) / "score").glob("top_n-*.parquet"))
        now = {chunk.name: chunk.stat().st_ino for chunk in chunks}
        assert written.items() <= now.items()  # none was made again
        written = now
        assert len(written) == dict(zip(kills, (0, 0, 2, 4), strict=True))[kill]
    done = night(shop, constants=SMALL, **tests_spark.settings_of(cluster))
    assert done.code == 0, done.err
    assert results(shop) == undisturbed


def test_a_second_night_is_refused_while_the_first_has_the_cores(
    make_world: MakeWorld, shop: World, cluster: Standalone, undisturbed: dict[str, Any]
):
    """The same night at once, another one once no executor has come; the first ends as if nothing had been."""
    first = shop.start("night", "--json", constants=SMALL, **tests_spark.settings_of(cluster))
    until = time.monotonic() + SECONDS
    while not list((shop.artifacts / shop.name).glob("*/spark-fit/users-factors-1.npy")):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        again = night(shop, **tests_spark.settings_of(cluster))
        assert again.code == 75, again.err
        assert "another process is computing the night in " in again.message
        other = night(generated(make_world(), 500, 200, 20_000, "spark"), **tests_spark.settings_of(cluster))
        assert other.code == 75, other.err
        assert f"RECJOBS_SPARK_MASTER={cluster.master}: no executor came within 40 s" in other.message
    finally:
        os.kill(first.pid, signal.SIGCONT)
    done = first.wait(SECONDS)
    assert done.code == 0, done.err
    assert results(shop) == undisturbed


def test_a_cluster_that_is_not_there_is_told_within_a_minute(shop: World, cluster: Standalone):
    cluster.stop()
    began = time.monotonic()
    done = night(shop, **tests_spark.settings_of(cluster))
    assert done.code == 75, done.err
    assert f"RECJOBS_SPARK_MASTER={cluster.master}: 127.0.0.1:" in done.message
    assert time.monotonic() - began < 60
