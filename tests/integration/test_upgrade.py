"""State that the commit before the rebuilt layout left: its nights roll back, are pruned and supply the champion."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.checkouts import code_of
from tests.replicas import unmeasured
from tests.worlds import EARLIER, MakeWorld, World

BEFORE = "457a3fa59d0f62d10e132d39f6ed5afe649fff04"
MAIN = """
import json, sys
from recjobs.__main__ import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["recjobs", *arguments]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of that commit, out of this repository's history."""
    return code_of(BEFORE, tmp_path_factory.mktemp("older"))


def test_nights_of_the_commit_before_go_on_in_this_one(make_world: MakeWorld, older: Path) -> None:
    world: World = make_world()

    def of_before(*commands: tuple[str, ...]) -> list[dict[str, Any]]:
        """What each of some commands said in the end; one process runs them, since it imports for seconds."""
        given = json.dumps([[*command, "--catalog", world.name, "--json"] for command in commands])
        done = subprocess.run(
            [sys.executable, "-c", MAIN, given],
            cwd=older, env=unmeasured(world.settings), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    finished, unfinished = (said["batch_id"] for said in of_before(("night", "--as-of", EARLIER), ("begin",)))
    of_before(*((step, "--batch-id", unfinished) for step in ("extract", "validate", "split")))
    assert world.live() == finished
    lists = world.rows("select user_id, item_id, rank from recommendations order by 1, 3")
    champion = world.value("select model_version from batches where is_live")

    night = world.night()  # brings the catalog's schema up to date, as a night does
    assert night.code == 0, night.err
    attempt = unfinished.rpartition("-")[0] + "-2"
    assert night.json["batch_id"] == world.live() == attempt, "an unfinished night begins again as the next attempt"
    request = json.loads(world.step(attempt, "begin", "request.json").read_text())
    assert request["champion"]["model_version"] == champion

    assert world.recjobs("roll-back", "--batch-id", finished).code == 0
    assert world.live() == finished
    assert world.rows("select user_id, item_id, rank from recommendations order by 1, 3") == lists
    assert world.recjobs("roll-back", "--batch-id", attempt).code == 0

    for seed in range(4):  # the older night is the sixth by then
        assert world.night("--set", f"seed={seed}").code == 0
    pruned = world.recjobs("prune", "--json")
    assert pruned.code == 0, pruned.err
    assert pruned.json["pruned"] == [finished]
    assert world.value("select pruned_at from batches where batch_id = %s", finished)
    assert world.step(finished, "refit", "model.npz").exists(), "the unfinished night, which is young, pinned its model"
