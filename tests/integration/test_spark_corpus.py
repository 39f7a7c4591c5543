"""Malformed and hostile inputs in nights on a cluster of real processes: each ends as a night here does."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from local.spark import standalone
from recjobs import NIGHT
from tests import spark as tests_spark
from tests.commands import Done
from tests.corpus.outcomes import OUTCOMES
from tests.integration.test_corpus import Place
from tests.worlds import MakeWorld, World

pytestmark = pytest.mark.soak
STEPS = NIGHT[: NIGHT.index("publish")]
CASES = list(OUTCOMES) if os.environ.get("RECJOBS_SOAK") else []
"""Two nights of each take most of an hour: none but in `make soak`."""
SEVERAL = {
    "recjobs.core.rows.user_ranges:LEAST": 100,
    "recjobs.core.rows.user_ranges:MOST": 100,
    "recjobs.night.spark_rows:BATCH": 150,
    "recjobs.night.spark_pairs:BLOCK_PAIRS": 200,
}
"""Such small parts that even these nights have several."""


@pytest.fixture(scope="module")
def worlds(make_world: MakeWorld) -> dict[str, World]:
    """By engine a catalog in which nothing is ever published. Both have the same past: what a night is compared with is
    the case before."""
    return {"local": make_world(), "spark": make_world()}


@pytest.fixture(scope="module")
def on_cluster(worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Done]]:
    """Runs a command of the catalog on two workers."""
    tests_spark.needed()
    with standalone(tmp_path_factory.mktemp("cluster")) as cluster:
        driver = tests_spark.Driver(worlds["spark"], cluster.settings)
        yield lambda arguments, settings: driver.run(arguments, settings | cluster.settings, SEVERAL)
        driver.end()


def what_became_of(place: Place) -> dict[str, Any]:
    """How a night ended: by which exit code, and with which account, rows, evaluation and lists until then."""
    done = place.to_the_end_of(*(["extract"] if place.ground.later else STEPS))
    found: dict[str, Any] = {"code": done.code}
    batches = sorted((place.world.artifacts / place.name).glob("2*"), key=lambda path: path.stat().st_ctime_ns)
    for step in STEPS if batches and not done.code else ():
        manifest = batches[-1] / step / "manifest.json"
        files = json.loads(manifest.read_text())["files"] if manifest.exists() else {}
        for name in files:
            if name == "rejected.parquet":  # these name the files that rows came from
                rows = pq.read_table(batches[-1] / step / name).to_pylist()
                found[f"{step}/{name}"] = json.dumps(rows).replace(str(place.folder), "")
            elif name in ("findings.json", "inspection.json"):
                text = (batches[-1] / step / name).read_text()
                found[f"{step}/{name}"] = text.replace(str(place.folder), "")
            elif name.endswith(".parquet") and step != "extract":
                found[f"{step}/{name}"] = files[name]
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_input_ends_as_it_does_here(
    worlds: dict[str, World], on_cluster: Callable[..., Done], tmp_path: Path, case: str
):
    # One night begins seconds after the other: no row of either may lie where their windows begin.
    found, now = {}, datetime.now(UTC) - timedelta(minutes=10)
    for engine, world in worlds.items():
        folder = tmp_path / engine
        folder.mkdir()
        run: dict[str, Any] = {"run": on_cluster} if engine == "spark" else {}
        found[engine] = what_became_of(Place(folder, world, case, engine=engine, now=now, **run))
    assert found["spark"] == found["local"]
    if OUTCOMES[case].verdict in ("accept", "quarantine", "publish"):
        assert found["local"]["code"] in (0, 65)  # validated, and perhaps without enough to be evaluated
