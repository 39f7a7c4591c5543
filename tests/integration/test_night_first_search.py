"""A first night without a recipe: a short search comes before it, and what it found is trained and judged."""

import json
from typing import Any

import pytest

from tests.commands import Command, Kill
from tests.worlds import CATALOG, EARLIER, MakeWorld, World, shop

TRIALS = {"first_night_minutes": 60, "first_night_trials": 5}
"""The number of trials ends the search, on a machine of any speed."""
NO_MODEL = {key: value for key, value in CATALOG.items() if key != "model"} | {"recency": {"half_life_days": 1}}
"""A recipe that forgets nearly everything, so that a search finds a better one: the fifth has a longer half-life."""


def without_model(make_world: MakeWorld, **tune: Any) -> World:
    world = make_world(shop())
    return world.write_catalog(NO_MODEL | {"tune": TRIALS | tune})


def studies(world: World) -> list[str]:
    folder = world.artifacts / world.name / "_tune"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def trials(world: World, study: str) -> list[dict[str, Any]]:
    folder = world.artifacts / world.name / "_tune" / study
    return [json.loads(path.read_text()) for path in sorted(folder.glob("trial-*.json"))]


def state_of_the_challenger(world: World) -> str:
    return str(world.value("select state from challengers"))


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> World:
    return without_model(make_world)


@pytest.fixture(scope="module")
def first(world: World) -> Any:
    """The first night, whose search was killed in its third trial."""
    killed = world.night(
        "--as-of", EARLIER, kill=Kill("recjobs.adapters.records:Records.save", "before", ("trial-00002",))
    )
    assert killed.code == -9, killed.err
    assert world.rows("select * from challengers") == []
    (study,) = studies(world)
    assert len(trials(world, study)) == 2
    done = world.night("--as-of", EARLIER)
    assert done.code == 0, done.err
    assert f"resuming {study}" in done.err
    return done


def test_a_killed_search_goes_on_and_the_night_trains_what_it_found(world: World, first: Any):
    (study,) = studies(world)
    found = trials(world, study)
    assert len(found) == TRIALS["first_night_trials"]
    (row,) = world.rows("select * from challengers")
    assert row["study_id"] == study
    assert row["state"] in ("promoted", "refused"), "the gate has judged it"
    assert row["recipe"] in [trial["recipe"] for trial in found]
    assert row["decided_batch"] == first.json["batch_id"] == world.live()
    request = json.loads(world.step(first.json["batch_id"], "begin", "request.json").read_text())
    assert request["challenger"]["study_id"] == study
    assert request["catalog"]["model"]["factors"] == row["recipe"]["factors"]
    assert row["data_cutoff"] < row["as_of"], "the search saw nothing of the gate's holdout"


def test_report_and_status_say_where_the_recipe_comes_from(world: World, first: Any):
    (study,) = studies(world)
    page = world.value("select html from reports where batch_id = %s", first.json["batch_id"])
    assert f"study {study}" in page
    assert world.value("select count(*) from reports where batch_id = %s", study) == 1
    status = Command(("status",), world.settings).wait()
    assert f"challenger {study} {state_of_the_challenger(world)}" in status.out


def test_the_same_night_again_is_nothing_new_and_a_search_comes_before_the_next_one_only_if_no_model_is_in_charge(
    world: World, first: Any
):
    again = world.night("--as-of", EARLIER)
    assert (again.code, again.json["nothing_new"]) == (0, True)
    assert len(studies(world)) == 1
    in_charge = bool(world.rows("select * from champions"))
    assert in_charge == (state_of_the_challenger(world) == "promoted")
    stopped = world.night(kill=Kill("recjobs.steps.extract:run", "before"))
    assert stopped.code == -9, stopped.err
    assert ("a search of up to" in stopped.err) != in_charge
    assert (len(studies(world)) == 1) == in_charge


def test_input_without_anything_before_the_holdout_goes_on_without_a_search(make_world: MakeWorld):
    world = make_world(shop()).write_catalog(NO_MODEL | {"tune": TRIALS, "holdout_days": 119.9})
    stopped = world.night(kill=Kill("recjobs.steps.split:run", "before"))
    assert stopped.code == -9, stopped.err
    assert "there is no search before this night: " in stopped.err
    assert "where the gate's holdout begins" in " ".join(stopped.err.split())


def test_what_is_wrong_with_the_input_is_said_by_the_night(make_world: MakeWorld):
    tree = NO_MODEL | {
        "tune": TRIALS,
        "sources": [{"path": "nothing-*.parquet", "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"}}],
    }
    world = make_world(shop()).write_catalog(tree)
    refused = world.night()
    assert refused.code == 65
    assert world.value("select state from begins order by began_at desc limit 1") == "refused"
