"""Fourteen broken outputs, planted between `score` and `publish` by rewriting file and manifest: blocked and named."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands import Kill
from tests.worlds import EARLIER, MakeWorld, World

Rows = list[dict[str, Any]]
USER, LAST_NIGHT = "user003", "last night's lists under tonight's id"
STRANGERS = "a stranger's list", "lists of strangers alone"


def one(change: Callable[[dict[str, Any]], None]) -> Callable[[Rows, World], Rows]:
    """Spoil the list of one user."""

    def spoil(rows: Rows, _: World) -> Rows:
        change(next(row for row in rows if row["user_id"] == USER))
        return rows

    return spoil


def first_item(identifier: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["item_ids"].__setitem__(0, identifier)


def score(place: int, value: float) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["scores"].__setitem__(place, value)


def a_seen_item(rows: Rows, world: World) -> Rows:
    bought = world.goods.sound.query("user == @USER")["item"].iloc[0]
    return one(first_item(bought))(rows, world)


def duplicate(row: dict[str, Any]) -> None:
    row["item_ids"][1] = row["item_ids"][0]


def wrong_order(row: dict[str, Any]) -> None:
    row["scores"][0], row["scores"][1] = row["scores"][1], row["scores"][0]


def empty(row: dict[str, Any]) -> None:
    row |= {"item_ids": [], "scores": [], "n_model": 0}


def everyone_the_same(rows: Rows, _: World) -> Rows:
    pattern = max(rows, key=lambda row: row["n_model"])
    return [pattern | {"user_id": row["user_id"]} for row in rows]


SABOTAGE: dict[str, tuple[Callable[[Rows, World], Rows] | None, str]] = {
    "a seen item": (a_seen_item, "seen_item"),
    "an unknown item": (one(first_item("no such thing")), "unknown_item"),
    "a duplicate": (one(duplicate), "duplicate_item"),
    "NaN": (one(score(0, float("nan"))), "score_not_finite"),
    "-3.4e38": (one(score(-1, -3.4e38)), "score_absurd"),
    "a missing user": (lambda rows, _: [row for row in rows if row["user_id"] != USER], "user_without_list"),
    "half the users": (lambda rows, _: rows[::2], "users_covered"),
    "everyone the same list": (everyone_the_same, "top_item_share"),
    "wrong order": (one(wrong_order), "rising_score"),
    "an empty list": (one(empty), "wrong_length"),
    "ranks with a hole": (one(first_item(None)), "missing_item"),
    STRANGERS[0]: (one(lambda row: row.update(user_id=f"{USER} again")), "unknown_user"),
    STRANGERS[1]: (
        lambda rows, _: [row | {"user_id": f"z{row['user_id']}"} for row in rows],
        "unknown_user",
    ),
    LAST_NIGHT: (None, "lists_of_another_night"),
}


@pytest.fixture(scope="module")
def scored(make_world: MakeWorld) -> tuple[World, str, str]:
    """A world with last night's batch live, and tonight's lists made and not inspected yet."""
    world = make_world()
    last = world.publish("--as-of", EARLIER)
    assert world.night(kill=Kill("recjobs.steps.inspect:run", "before")).code == -9
    tonight = max(path.name for path in (world.artifacts / world.name).iterdir())
    assert tonight != last
    return world, last, tonight


@pytest.fixture
def as_scored(scored: tuple[World, str, str]) -> Iterator[tuple[World, str, str]]:
    """The same, put back afterwards."""
    world, _, tonight = scored
    folder = world.step(tonight, "score", "manifest.json").parent
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    yield scored
    shutil.rmtree(folder)
    kept.rename(folder)


def plant(world: World, last: str, tonight: str, spoil: Callable[[Rows, World], Rows] | None) -> None:
    """Rewrite tonight's lists, and their hash in the manifest."""
    path = world.step(tonight, "score", "top_n-00000.parquet")
    lists = pq.read_table(path)
    if spoil is None:
        shutil.copy(world.step(last, "score", path.name), path)
    else:
        pq.write_table(pa.Table.from_pylist(spoil(lists.to_pylist(), world), lists.schema), path)
    manifest = path.with_name("manifest.json")
    named = json.loads(manifest.read_text())
    named["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(named))


@pytest.mark.parametrize("what", SABOTAGE)
def test_a_broken_output_is_blocked_and_named_and_the_live_lists_stay(as_scored: tuple[World, str, str], what: str):
    world, last, tonight = as_scored
    spoil, check = SABOTAGE[what]
    before = world.everything()
    plant(world, last, tonight, spoil)
    done = world.night()
    assert done.code == 65, done.err
    assert f"the lists of {tonight} are not fit to publish" in done.message
    assert check in done.message
    if what not in ("half the users", "everyone the same list", *STRANGERS, LAST_NIGHT):
        assert f"lists break {check} (such as {USER})" in done.message
    assert (world.live(), world.everything()) == (last, before)
    found = json.loads(world.step(tonight, "inspect", "inspection.json").read_text())
    assert check in found["broken"] or check in found["outside"]
    assert 1 <= len(found["examples"][check]) <= 10


@pytest.mark.parametrize("what", ["a missing user", "an empty list", "everyone the same list"])
def test_what_is_planted_after_the_inspection_is_named_by_postgres(as_scored: tuple[World, str, str], what: str):
    world, last, tonight = as_scored
    assert world.recjobs("inspect", "--batch-id", tonight).code == 0
    plant(world, last, tonight, SABOTAGE[what][0])
    done = world.recjobs("publish", "--batch-id", tonight)
    assert done.code == 65, done.err
    assert f"Postgres holds other lists of {tonight} than were inspected" in done.message
    assert world.live() == last
    shutil.rmtree(world.step(tonight, "inspect", "inspection.json").parent)


def test_the_honest_output_is_published(scored: tuple[World, str, str]):
    world, _, tonight = scored
    done = world.night()
    assert done.code == 0, done.err
    assert world.live() == tonight
    found = json.loads(world.step(tonight, "inspect", "inspection.json").read_text())
    assert (found["broken"], found["outside"]) == ({}, [])
    assert 0.05 < found["values"]["overlap_with_live"] <= 1
