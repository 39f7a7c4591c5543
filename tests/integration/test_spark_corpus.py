"""Malformed and hostile inputs in nights on a cluster of real processes: each ends as a night here does."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.spark import Standalone, standalone
from tests import spark as tests_spark
from tests.corpus.outcomes import OUTCOMES
from tests.integration.test_corpus import Place
from tests.worlds import MakeWorld, World

pytestmark = pytest.mark.soak
CASES = list(OUTCOMES) if os.environ.get("RECJOBS_SOAK") else []
"""Two nights of each are hours: none but in `make soak`."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    tests_spark.needed()
    with standalone(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def quiet(make_world: MakeWorld) -> World:
    """A catalog in which nothing is ever published."""
    return make_world()


def what_became_of(place: Place) -> dict[str, Any]:
    """How a night without publishing ended: by code, or with which account, rows and lists."""
    done = place.to_the_end_of("extract") if place.ground.later else place.recjobs("night", "--no-publish")
    if done.code or place.ground.later:
        return {"code": done.code}
    batch = place.world.artifacts / place.name / done.json["batch_id"]
    manifests = {
        step: json.loads((batch / step / "manifest.json").read_text())["files"] for step in ("validate", "score")
    }
    files = {f"{step}/{name}": sha256 for step, of in manifests.items() for name, sha256 in of.items()}
    assert {"validate/findings.json", "validate/interactions.parquet", "score/top_n-00000.parquet"} <= set(files)
    return files | {"code": 0, "checksum": done.json["steps"]["inspect"]["checksum"]}


@pytest.mark.parametrize("case", CASES)
def test_every_input_ends_as_it_does_here(quiet: World, cluster: Standalone, tmp_path: Path, case: str):
    found = []
    for engine, settings in (("local", {}), ("spark", cluster.settings)):
        folder = tmp_path / engine
        folder.mkdir()
        found.append(what_became_of(Place(folder, quiet, case, engine, settings)))
    assert found[1] == found[0]
