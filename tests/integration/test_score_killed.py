"""`score` killed at any moment, and with chunks of any size: the same files, and no chunk is made twice.

In `make soak` at 2 million interactions, where a chunk is as large as in production; else in the shop.
"""

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from benchmarks import generate
from benchmarks.night import BLEND, SPREAD
from benchmarks.night import CATALOG as LARGE
from tests.commands import Kill
from tests.worlds import CATALOG, MakeWorld, World, shop, soak

pytestmark = pytest.mark.soak

IS_SOAK = bool(os.environ.get("RECJOBS_SOAK"))
CHUNK = "recjobs.steps.score:CHUNK_USERS"
CHUNKS: dict[str, Any] = {} if IS_SOAK else {CHUNK: 40}
"""Of several chunks, in the shop."""
CHECKPOINT = Kill("recjobs.adapters.artifacts:StepFiles.checkpoint", "after", ("/score",))
SIZES = [(size, threads) for size in (64, 777, 1_985, 3_000) for threads in ("1", "2")] if IS_SOAK else [(7, "2")]
"""(users of a chunk, threads)."""


@pytest.fixture(scope="module")
def scored(make_world: MakeWorld) -> tuple[World, str, dict[str, str], float]:
    """(world, batch, SHA-256 of each file that an undisturbed `score` leaves, its seconds); no later step has run."""
    world = make_world(shop(), model=CATALOG["model"] | {"blend": BLEND})
    if IS_SOAK:
        shutil.rmtree(world.data / "rows")
        generate.write(world.data / "rows.parquet", 40_000, 10_000, 2_000_000, SPREAD)
        world.write_catalog(yaml.safe_load(LARGE.format(rows="rows.parquet", blend=BLEND)))
    done = world.night(kill=Kill("recjobs.steps.score:run", "before"))
    assert done.code == -9, done.err
    [batch] = (path.name for path in (world.artifacts / world.name).iterdir() if path.name[0].isdigit())
    began = time.monotonic()
    score(world, batch)
    return world, batch, hashes(world, batch), time.monotonic() - began


def score(world: World, batch: str, **settings: Any) -> None:
    """Run the step to its end, from what is there."""
    settings = {"constants": CHUNKS} | settings
    done = world.recjobs("score", "--batch-id", batch, **settings)
    assert done.code == 0, done.err


def folder(world: World, batch: str) -> Path:
    """What `score` has written."""
    return world.artifacts / world.name / batch / "score"


def forget(world: World, batch: str) -> None:
    """Let `score` never have begun."""
    shutil.rmtree(folder(world, batch), ignore_errors=True)


def hashes(world: World, batch: str) -> dict[str, str]:
    """The SHA-256 of each file of the finished step, by its manifest."""
    found: dict[str, str] = json.loads((folder(world, batch) / "manifest.json").read_text())["files"]
    return found


def state(world: World, batch: str, name: str) -> tuple[int, int]:
    """(inode, time of the last change) of a file of the step: another one, if it was written again."""
    found = (folder(world, batch) / name).stat()
    return found.st_ino, found.st_mtime_ns


def finished(world: World, batch: str) -> dict[str, tuple[int, int]]:
    """The state of each chunk that a killed `score` had finished."""
    checkpoint = folder(world, batch) / "checkpoint.json"
    names = json.loads(checkpoint.read_text())["files"] if checkpoint.exists() else {}
    return {name: state(world, batch, name) for name in names}


def test_score_killed_at_any_moment_leaves_the_same_files_and_makes_no_chunk_twice(
    scored: tuple[World, str, dict[str, str], float], figure: Callable[[str], None]
):
    world, batch, undisturbed, took = scored
    assert len([name for name in undisturbed if name.startswith("top_n-")]) >= 2
    draw, n_kills, n_kept = random.Random(7), soak(20), []
    for kill in [CHECKPOINT, *[None] * n_kills]:
        forget(world, batch)
        running = world.start("score", "--batch-id", batch, kill=kill, constants=CHUNKS)
        if kill is None:
            time.sleep(took * draw.random())
            running.kill()
        code = running.wait().code
        assert code == -9 or (kill is None and code == 0)
        before = finished(world, batch) if code else {}
        n_kept.append(len([name for name in before if name.startswith("top_n-")]))
        score(world, batch)
        assert {name: state(world, batch, name) for name in before} == before, "a finished chunk was made again"
        assert hashes(world, batch) == undisturbed
    assert n_kept[0] == 1, "a kill after the first chunk finds it finished"
    figure(f"{n_kills} kills of a score that takes {took:.1f} s found {n_kept[1:]} chunks finished")


def test_lists_do_not_depend_on_the_size_of_chunks_nor_on_threads(scored: tuple[World, str, dict[str, str], float]):
    world, batch, undisturbed, _ = scored

    def lists() -> pa.Table:
        parts = sorted(folder(world, batch).glob("top_n-*.parquet"))
        return pa.concat_tables([pq.read_table(part) for part in parts]).combine_chunks()

    forget(world, batch)
    score(world, batch)
    before, others = lists(), {name for name in undisturbed if not name.startswith("top_n-")}
    for size, threads in [*SIZES, (before.num_rows - 1, "1")]:  # the last chunk is of one user
        forget(world, batch)
        score(world, batch, constants={CHUNK: size}, RECJOBS_THREADS=threads)
        n_chunks = len([name for name in hashes(world, batch) if name.startswith("top_n-")])
        assert n_chunks == -(-before.num_rows // size)
        assert lists().equals(before), f"other lists in chunks of {size} with {threads} threads"
        assert {name: hashes(world, batch)[name] for name in others} == {name: undisturbed[name] for name in others}
