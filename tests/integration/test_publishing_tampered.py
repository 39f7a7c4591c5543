"""What was changed after it was checked does not get in: files by their hashes, lists by a checksum in SQL."""

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands import Kill
from tests.worlds import EARLIER, MakeWorld, World, by_chance


def one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def sign(path: Path) -> None:
    """Let the manifest name the bytes that a file has now."""
    manifest = path.parent / "manifest.json"
    named = json.loads(manifest.read_text())
    named["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(named))


@pytest.fixture
def inspected(make_world: MakeWorld) -> tuple[World, str]:
    """A world whose lists were inspected and wait to be published."""
    world = make_world(by_chance())
    assert world.night(kill=Kill("recjobs.steps.publish:run", "before")).code == -9
    return world, next((world.artifacts / world.name).iterdir()).name


def test_lists_that_changed_after_their_inspection_are_refused_by_their_hash(inspected: tuple[World, str]):
    world, batch_id = inspected
    one_byte(world.step(batch_id, "score", "top_n-00000.parquet"))
    done = world.recjobs("publish", "--batch-id", batch_id)
    assert done.code == 65
    assert "top_n-00000.parquet is not the file that was written (its SHA-256 changed)" in done.message
    assert world.live() is None


def test_lists_that_were_swapped_with_their_manifest_are_refused_by_postgres_own_checksum(inspected: tuple[World, str]):
    world, batch_id = inspected
    path = world.step(batch_id, "score", "top_n-00000.parquet")
    lists = pq.read_table(path)
    users = lists["user_id"].to_pylist()
    users[0], users[1] = users[1], users[0]
    pq.write_table(lists.set_column(0, "user_id", pa.array(users)), path)
    sign(path)
    done = world.recjobs("publish", "--batch-id", batch_id)
    assert done.code == 65
    assert f"Postgres holds other lists of {batch_id} than were inspected" in done.message
    assert "The pointer was not moved" in done.message
    assert world.live() is None
    assert world.recjobs("score", "--batch-id", batch_id).code == 0
    assert world.recjobs("publish", "--batch-id", batch_id).code == 0, "made again, they are published"
    assert world.live() == batch_id


def test_a_score_that_changed_in_the_last_bit_is_another_list(inspected: tuple[World, str]):
    world, batch_id = inspected
    path = world.step(batch_id, "score", "top_n-00000.parquet")
    lists = pq.read_table(path)
    scores = lists["scores"].to_pylist()
    scores[0][-1] = scores[0][-1] * (1 + 2**-23)
    pq.write_table(lists.set_column(2, "scores", pa.array(scores, pa.list_(pa.float32()))), path)
    sign(path)
    assert world.recjobs("publish", "--batch-id", batch_id).code == 65
    assert world.live() is None


def test_a_published_batch_is_not_replaced_by_one_of_the_same_name(inspected: tuple[World, str]):
    world, batch_id = inspected
    assert world.recjobs("publish", "--batch-id", batch_id).code == 0
    served = world.rows("select * from served_lists order by user_id")
    inspection = world.step(batch_id, "inspect", "inspection.json")
    inspection.write_text(json.dumps(json.loads(inspection.read_text()) | {"checksum": "0" * 64}))
    sign(inspection)
    done = world.recjobs("publish", "--batch-id", batch_id)
    assert done.code == 65
    assert f"batch {batch_id} was published with other content" in done.message
    assert world.rows("select * from served_lists order by user_id") == served


def by_a_byte(path: Path) -> None:
    one_byte(path)


def by_a_byte_and_a_new_manifest(path: Path) -> None:
    one_byte(path)
    sign(path)


def by_a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"item_factors": [1, 2, 3]}))


def by_a_pickle_and_a_new_manifest(path: Path) -> None:
    by_a_pickle(path)
    sign(path)


def by_nothing(path: Path) -> None:
    path.unlink()


@pytest.fixture(scope="module")
def champion(make_world: MakeWorld) -> World:
    world = make_world()
    world.publish("--as-of", EARLIER)
    return world


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        (by_a_byte, "is not the file that was written (its SHA-256 changed)"),
        (by_a_byte_and_a_new_manifest, "is not the model registered as version"),
        (by_a_pickle, "is not the file that was written (its SHA-256 changed)"),
        (by_a_pickle_and_a_new_manifest, "is not the model registered as version"),
        (by_nothing, "is missing"),
    ],
)
def test_a_champion_that_was_replaced_is_refused(
    champion: World, tmp_path: Path, replaced: Callable[[Path], None], words: str
):
    live = champion.live() or ""
    artifacts = tmp_path / "artifacts"
    shutil.copytree(champion.artifacts, artifacts)
    replaced(artifacts / champion.name / live / "refit" / "model.npz")
    before = champion.everything()
    done = champion.night(RECJOBS_ARTIFACTS=str(artifacts))
    assert done.code == 65, done.err
    assert words in done.message
    assert "model.npz" in done.message
    assert champion.everything() == before


@pytest.mark.parametrize("replaced", [by_a_byte, by_a_pickle, by_nothing])
def test_a_candidate_that_was_replaced_is_refused(champion: World, tmp_path: Path, replaced: Callable[[Path], None]):
    artifacts = tmp_path / "artifacts"
    shutil.copytree(champion.artifacts, artifacts)
    began = champion.night(RECJOBS_ARTIFACTS=str(artifacts), kill=Kill("recjobs.steps.evaluate:run", "before"))
    assert began.code == -9
    newest = max((artifacts / champion.name).iterdir())
    replaced(newest / "train" / "candidate.npz")
    before = champion.everything()
    done = champion.night(RECJOBS_ARTIFACTS=str(artifacts))
    assert done.code == 65, done.err
    assert champion.everything() == before


def test_a_request_that_was_changed_is_refused(champion: World, tmp_path: Path):
    artifacts = tmp_path / "artifacts"
    shutil.copytree(champion.artifacts, artifacts)
    one_byte(artifacts / champion.name / (champion.live() or "") / "begin" / "request.json")
    done = champion.night("--as-of", EARLIER, RECJOBS_ARTIFACTS=str(artifacts))
    assert done.code == 65
    assert "request.json is not the file that was written" in done.message
