"""A night on Spark: the same factors and lists as here, and what is said where there is no cluster or no Java."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from local import ports
from recjobs.adapters import spark
from recjobs.adapters.shared_folder import SharedFolder
from recjobs.core.model import als
from recjobs.core.recipe import Recipe
from recjobs.core.rows.by_blocks import activity_of
from recjobs.core.rows.interactions import Interactions
from recjobs.errors import Defect, DiskFull
from recjobs.night.spark_fit import BlockAlternation
from recjobs.night.spark_pairs import PairsOnSpark, slices
from tests import spark as tests_spark
from tests.worlds import CATALOG, MakeWorld, World


@pytest.fixture(scope="module", autouse=True)
def _spark() -> None:
    tests_spark.needed()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[spark.Cluster]:
    made = spark.cluster("local[2]", "tests", tmp_path_factory.mktemp("logs"))
    yield made
    made._context.stop()
    spark.cluster.cache_clear()


@pytest.mark.parametrize("frequency_scaling", [0.0, 0.5])
def test_factors_are_those_of_a_fit_here_whatever_the_number_of_blocks(
    cluster: spark.Cluster, tmp_path: Path, frequency_scaling: float
):
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((90, 40)) < 0.2, rng.gamma(1.0, 2.0, (90, 40)), 0)
    dense[7], dense[:, 11] = 0, 0  # a user and an item without interactions
    user_items = csr_matrix(dense.astype(np.float32))
    recipe = Recipe(factors=6, alpha=4.0, regularization=2.0, iterations=3, frequency_scaling=frequency_scaling)
    here = als.fit(user_items, recipe, seed=5, threads=1)

    folder = SharedFolder(str(tmp_path), str(tmp_path / "fit"))
    for blocks in (1, 3, 8):
        alternation = BlockAlternation(cluster, folder, -(-user_items.nnz // blocks))
        there = als.fit(user_items, recipe, seed=5, threads=1, solver=alternation)
        assert there.iterations == here.iterations
        assert there.user_factors.tobytes() == here.user_factors.tobytes(), blocks
        assert there.item_factors.tobytes() == here.item_factors.tobytes(), blocks
    assert not (tmp_path / "fit").exists()


def test_user_items_in_blocks_are_those_held_here(cluster: spark.Cluster, tmp_path: Path):
    rng = np.random.default_rng(4)
    user_idx = np.sort(np.append(rng.integers(0, 60, 900), np.full(200, 25))).astype(np.int32)  # and most of one user
    item_idx = rng.integers(0, 40, user_idx.size).astype(np.int32)
    item_idx[item_idx == 7] = 8  # an item that nobody has
    order = np.lexsort((item_idx, user_idx))
    times, weight = rng.integers(0, 10**15, user_idx.size), rng.gamma(1.0, 2.0, user_idx.size).astype(np.float32)
    kind = rng.integers(-1, 2, user_idx.size).astype(np.int16)
    rows = Interactions(user_idx, item_idx[order], times, weight, kind, 63, 40, ("buy", "return"))
    whole = SharedFolder(str(tmp_path), str(tmp_path / "rows"))
    whole.create()
    whole.save_groups("rows.parquet", [rows.to_table()], 100)
    kinds = (("buy", 1.0), ("return", -0.5))
    recipe = Recipe(factors=6, alpha=4.0, regularization=2.0, iterations=3, half_life_days=900.0, kinds=kinds)
    here = rows.confidence(recipe, 10**15)
    fitted = als.fit(here, recipe, seed=5, threads=1)
    for pairs in (40, 300, 5000):
        folder = SharedFolder(str(tmp_path), str(tmp_path / f"pairs-{pairs}"))
        folder.create()
        places = list(slices(activity_of(rows), pairs))
        of_spark = cluster, folder, whole.table("rows.parquet"), places, rows.n_items
        there = PairsOnSpark.of(*of_spark, recipe, 10**15)
        assert (there.shape, there.nnz) == (here.shape, here.nnz)
        np.testing.assert_array_equal(there.indptr, here.indptr)
        np.testing.assert_array_equal(there.takers, np.bincount(here.indices, minlength=40))
        for users in (np.array([3, 4, 59]), np.array([59, 3, 3]), np.array([], np.int64), np.arange(63), slice(5, 9)):
            assert (there[users] != here[users]).nnz == 0
            assert there[users].shape == here[users].shape
        alternation = BlockAlternation(cluster, SharedFolder(str(tmp_path), str(tmp_path / "fit")), pairs)
        again = als.fit(there, recipe, seed=5, threads=1, solver=alternation)
        assert again.user_factors.tobytes() == fitted.user_factors.tobytes(), pairs
        assert again.item_factors.tobytes() == fitted.item_factors.tobytes(), pairs


def _disk_full(number: int) -> int:
    raise OSError(28, "No space left on device")


def _nonsense(number: int) -> int:
    return number // 0


def test_results_come_in_order_and_what_a_task_raises_is_raised_here(cluster: spark.Cluster):
    assert cluster.results(abs, [-3, 2, -1]) == [3, 2, 1]
    assert cluster.results(abs, []) == []
    with pytest.raises(DiskFull):
        cluster.results(_disk_full, [1])
    with pytest.raises(Defect, match="ZeroDivisionError"):
        cluster.results(_nonsense, [1])


def factors_of(world: World, step: str, name: str) -> dict[str, bytes]:
    with np.load(world.step(str(world.live()), step, name)) as arrays:
        return {name: arrays[name].tobytes() for name in ("user_factors", "item_factors")}


def files_of(world: World, step: str) -> dict[str, bytes]:
    """The tables of a step, without those rows that name the files they came from."""
    paths = world.step(str(world.live()), step, "").glob("*.parquet")
    return {path.name: path.read_bytes() for path in paths if path.name != "rejected.parquet"}


def test_without_a_cluster_exit_75_without_java_78_and_then_the_same_lists_as_of_a_night_here(
    make_world: MakeWorld, tmp_path: Path
):
    recipe = {"factors": 8, "alpha": 10, "regularization": 1, "iterations": 8, "blend": 0.2}
    top_n = CATALOG["top_n"] | {"rotate_after": 1}
    world = make_world(engine="spark", model=recipe, top_n=top_n)
    nobody = f"spark://127.0.0.1:{ports.any_free()}"
    began = time.monotonic()
    done = world.night(RECJOBS_SPARK_MASTER=nobody)
    assert done.code == 75, done.err
    assert f"RECJOBS_SPARK_MASTER={nobody}: 127.0.0.1:" in done.message
    assert "does not answer" in done.message
    assert time.monotonic() - began < 60

    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to(str(shutil.which("sh")))
    done = world.night(PATH=str(programs), JAVA_HOME="")
    assert done.code == 78, done.err
    assert "engine: spark, and there is no Java; install Java 17" in done.message
    assert world.live() is None

    done = world.night(RECJOBS_SPARK_MASTER="local[2]", PATH=os.environ["PATH"])
    assert done.code == 0, done.err
    local = make_world(engine="local", model=recipe, top_n=top_n)
    local.publish()
    live = str(world.live())
    assert json.loads(world.step(live, "train", "train.json").read_text())["device"] == "spark"
    assert factors_of(world, "train", "candidate.npz") == factors_of(local, "train", "candidate.npz")
    assert factors_of(world, "refit", "model.npz") == factors_of(local, "refit", "model.npz")
    for step in ("validate", "split", "inspect"):
        there, same = (files_of(of, step) for of in (world, local))
        assert there == same, step
    evaluated, here = (
        {path.name: path.read_bytes() for path in of.step(str(of.live()), "evaluate", "").glob("*.json")}
        for of in (world, local)
    )
    for name in ("evaluation.json", "integrity.json", "goods.json"):  # whose interactions are read, and held here
        assert evaluated[name] == here[name]
    score = {path.name: path.read_bytes() for path in world.step(live, "score", "").glob("top_n-*")}
    assert list(score) == ["top_n-00000.parquet"]
    assert score == {
        path.name: path.read_bytes() for path in local.step(str(local.live()), "score", "").glob("top_n-*")
    }
    checksums = [
        json.loads(of.step(str(of.live()), "inspect", "inspection.json").read_text())["checksum"]
        for of in (world, local)
    ]
    assert checksums[0] == checksums[1]
    assert not list(world.step(live, "", "").glob("spark-*"))  # what tasks handed over is gone
    assert (world.folder / "state" / "logs" / "spark.log").exists()
    chunk = world.step(live, "score", "top_n-00000.parquet")
    for spoil, why in (
        (lambda: chunk.write_bytes(chunk.read_bytes()[:-9]), "SHA-256 changed"),
        (chunk.unlink, "is missing"),
    ):
        spoil()
        refused = world.recjobs("inspect", "--batch-id", live, RECJOBS_SPARK_MASTER="local[2]", PATH=os.environ["PATH"])
        assert refused.code == 65, refused.err
        assert why in refused.message
    assert " WARN " not in done.err
