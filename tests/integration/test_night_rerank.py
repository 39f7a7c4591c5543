"""Published nights of a shop of novelties, whose lists a second stage orders anew."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recjobs.core.model.npz import read
from recjobs.core.model.stored import StoredModel
from tests.commands import Kill
from tests.worlds import DAY_0, DAYS, EARLIER, Goods, MakeWorld, World

USERS, ITEMS = 160, 120


def novelties() -> Goods:
    """Four tastes; every item is taken for about three weeks from its launch on, and hardly before or later."""
    rng = np.random.default_rng(3)
    launch, rows = np.linspace(-15, DAYS - 5, ITEMS), []
    for user in range(USERS):
        for day in rng.choice(DAYS, 18, replace=False):
            age = day - launch
            chance = np.where((age >= 0) & (age < 22), 1.0, 0.02) * np.where(np.arange(ITEMS) % 4 == user % 4, 1, 0.1)
            item = rng.choice(ITEMS, p=chance / chance.sum())
            rows.append((f"u{user:03}", f"i{item:03}", DAY_0 + pd.Timedelta(days=int(day), hours=12), 1.0))
    sound = pd.DataFrame(rows, columns=["user", "item", "at", "quantity"]).drop_duplicates(ignore_index=True)
    return Goods(sound)


def stored(world: World, batch_id: str) -> StoredModel:
    with world.step(batch_id, "refit", "model.npz").open("rb") as file:
        return StoredModel.from_arrays(read(file, "the model"))


def lists(world: World) -> dict[str, list[str]]:
    return {row["user_id"]: row["item_ids"] for row in world.rows("select user_id, item_ids from served_lists")}


SETTINGS = {
    "holdout_days": 20,
    "model": {"factors": 6, "alpha": 5, "regularization": 1, "iterations": 4, "rerank": True},
    "gate": {"max_neighbours_drop": 0.9, "max_gini": 1.0},
}


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> World:
    return make_world(novelties(), **SETTINGS)


@pytest.fixture(scope="module")
def nights(world: World) -> tuple[str, str]:
    """A night whose candidate is promoted, and one whose candidate has no second stage and is refused."""
    return world.publish("--as-of", EARLIER), world.publish("--set", "rerank=false")


def test_the_first_night_publishes_a_model_with_its_ranker_and_says_what_it_uses(world, nights):
    first = stored(world, nights[0])
    assert first.ranker is not None
    assert first.ranker.importance()["first_days"] > 0
    page = world.value("select html from reports where batch_id = %s", nights[0])
    assert "The second stage" in page
    assert "first_days" in page


def test_a_champion_is_compared_and_served_with_its_own_ranker(world, nights):
    verdict = world.value("select verdict from promotions where batch_id = %s", nights[1])
    assert verdict == "refused", "a candidate without a second stage does not beat it"
    assert world.live() == nights[1]
    of = "select model_version from batches where batch_id = %s"
    assert world.value(of, nights[0]) == world.value(of, nights[1])
    metrics = {
        row["model"]: row["value"]
        for row in world.rows(
            "select model, value from evaluations where batch_id = %s and segment = 'all' and view = 'discovery' "
            "and metric = 'ndcg_at_20'",
            nights[1],
        )
    }
    assert metrics["champion"] > 1.2 * metrics["candidate"]
    launch = {f"i{item:03}": day for item, day in enumerate(np.linspace(-15, DAYS - 5, ITEMS))}
    ages = [DAYS - launch[item] for items in lists(world).values() for item in items[:5]]
    assert np.median(ages) < 40, "tonight's lists are ordered by what is known tonight"


def trace(world: World, user: str, item: str, **settings: str) -> dict[str, Any]:
    return world.recjobs("trace", "--user", user, "--item", item, "--json", **settings).json


def test_trace_names_the_stage_and_the_features_that_moved_an_item(world, nights, tmp_path):
    user, items = next(iter(lists(world).items()))
    first = trace(world, user, items[0])
    assert first["answer"] == "listed"
    assert first["is_candidate"]
    assert first["first_stage_rank"] >= 1
    strengths = [abs(each["adds"]) for each in first["moved_by"]]
    assert len(strengths) == 5
    assert strengths == sorted(strengths, reverse=True)
    assert sum(each["adds"] for each in first["moved_by"]) > 0, "it stands first"
    said = f"at rank {first['first_stage_rank']} by the first stage; in the second it was moved most by "
    assert said + first["moved_by"][0]["feature"] in first["text"]
    without = trace(world, user, items[0], RECJOBS_STATE=str(tmp_path))
    assert "first_stage_rank" not in without, "the batch's artifacts are away"
    assert without["rank"] == first["rank"]


def test_killed_while_the_second_stage_learns_and_while_it_makes_lists_a_night_ends_as_if_it_had_not_been(
    world, nights, make_world
):
    twin = make_world(novelties(), **SETTINGS)
    for kill in (
        Kill("recjobs.core.search.second_stage:_fit", "after"),
        Kill("recjobs.core.lists.reranking:SecondStage.ordered", "after"),
        Kill("recjobs.adapters.artifacts:StepFiles.checkpoint", "after", ("/score",)),
    ):
        done = twin.night("--as-of", EARLIER, kill=kill)
        assert done.code == -9, f"not killed {kill}: {done.err}"
        assert twin.live() is None
    assert twin.publish("--as-of", EARLIER) == nights[0]
    checksum = "select checksum from batches where batch_id = %s"
    assert twin.value(checksum, nights[0]) == world.value(checksum, nights[0])
    assert stored(twin, nights[0]).ranker == stored(world, nights[0]).ranker


def test_a_search_switches_it_on_where_its_lists_are_better_beyond_doubt(make_world):
    shop = make_world(novelties(), **SETTINGS | {"model": SETTINGS["model"] | {"rerank": False}})
    search = ("tune", "--json", "--as-of", EARLIER, "--trials", "1", "--timeout", "60m")
    done = shop.recjobs(*search)
    assert done.code == 0, done.err
    stages = done.json["second_stage"]
    assert stages["is_better"]
    assert stages["with_it"] > stages["without"] > 0
    assert stages["low"] > 0
    assert done.json["challenger"], "the only fit is the catalog file's, and yet there is something to judge"
    assert "switched on" in done.err
    (row,) = shop.rows("select recipe, base_recipe from challengers")
    mixed = {name: row["recipe"][name] for name in ("blend", "random_walk", "own_frequency")}
    assert row["recipe"] == row["base_recipe"] | mixed | {"rerank": True}
    page = shop.value("select html from reports where batch_id = %s", done.json["study_id"])
    assert "It is better beyond doubt, so the recipe has it." in page
    again = shop.recjobs(*search, kill=Kill("recjobs.core.search.second_stage:train_ranker", "before"))
    assert again.code == 0, "the comparison is stored, and not made again"
    assert again.json == done.json
