"""Malformed and hostile inputs in nights on a cluster of real processes: each ends as a night here does."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.spark import Standalone, standalone
from recjobs import NIGHT
from tests import spark as tests_spark
from tests.corpus.outcomes import OUTCOMES
from tests.integration.test_corpus import Place
from tests.worlds import MakeWorld, World

pytestmark = pytest.mark.soak
STEPS = NIGHT[: NIGHT.index("publish")]
CASES = list(OUTCOMES) if os.environ.get("RECJOBS_SOAK") else []
"""Two nights of each are hours: none but in `make soak`."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    tests_spark.needed()
    with standalone(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def worlds(make_world: MakeWorld, cluster: Standalone) -> dict[str, tuple[World, dict[str, str]]]:
    """By engine a catalog in which nothing is ever published, and the settings of its commands. Both have the same
    past: what a night is compared with is the case before."""
    return {"local": (make_world(), {}), "spark": (make_world(), cluster.settings)}


def what_became_of(place: Place) -> dict[str, Any]:
    """How a night ended: by which exit code, and with which account, rows, evaluation and lists until then."""
    done = place.to_the_end_of(*(["extract"] if place.ground.later else STEPS))
    found: dict[str, Any] = {"code": done.code}
    batches = sorted((place.world.artifacts / place.name).glob("2*"), key=lambda path: path.stat().st_ctime_ns)
    for step in STEPS if batches and not done.code else ():
        manifest = batches[-1] / step / "manifest.json"
        files = json.loads(manifest.read_text())["files"] if manifest.exists() else {}
        names = [name for name in files if name.endswith((".parquet", "findings.json", "inspection.json"))]
        found |= {f"{step}/{name}": files[name] for name in names}
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_input_ends_as_it_does_here(worlds: dict[str, tuple[World, dict[str, str]]], tmp_path: Path, case: str):
    found = {}
    for engine, (world, settings) in worlds.items():
        folder = tmp_path / engine
        folder.mkdir()
        found[engine] = what_became_of(Place(folder, world, case, engine, settings))
    assert found["spark"] == found["local"]
    if OUTCOMES[case].verdict in ("accept", "quarantine", "publish"):
        assert found["local"]["code"] in (0, 65)  # validated, and perhaps without enough to be evaluated
