"""A catalog without times: a random holdout, no recency, two nights to served lists, and no invented date anywhere."""

import json
import os
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recjobs.catalog.file import Catalog
from recjobs.catalog.names import CatalogName
from recjobs.errors import Misuse
from recjobs.night.night import Night
from recjobs.night.study import folds_of, load_past
from recjobs.operations import lineage
from tests.worlds import Goods, MakeWorld, World, shop

SOURCE: dict[str, Any] = {
    "path": "games.csv",
    "columns": {"user_id": "user", "item_id": "item", "weight": "quantity"},
    "time": "none",
}
FIRST, SECOND = 1_500, 1_800
"""Rows of the file on the first and the second night."""


def write(world: World, goods: Goods, n: int) -> None:
    rows = goods.sound.drop(columns="at").drop_duplicates(["user", "item"])
    rows.sample(frac=1, random_state=3).head(n).to_csv(world.data / "games.csv", index=False)


@pytest.fixture(scope="module")
def nights(make_world: MakeWorld) -> tuple[World, list[str]]:
    """Two nights, the second with more rows."""
    goods = shop(n_users=200)
    world = make_world(goods)
    catalog = {"sources": [SOURCE], "items": world.catalog["items"], "min_holdout_users": 20}
    world.write_catalog(catalog | {key: world.catalog[key] for key in ("top_n", "model", "gate")})
    batches = []
    for n in (FIRST, SECOND):
        write(world, goods, n)
        batches.append(world.publish())
    return world, batches


def test_lists_are_made_by_a_model_and_pass_inspection(nights: tuple[World, list[str]]) -> None:
    world, batches = nights
    assert world.live() == batches[1]
    assert world.value("select count(*) from top_n where source = 'als'", role="admin") > 150
    for batch_id in batches:
        assert not json.loads(world.step(batch_id, "inspect", "inspection.json").read_text()).get("broken")


def test_the_holdout_has_the_same_pairs_every_night(nights: tuple[World, list[str]]) -> None:
    world, batches = nights
    first, second = ({part: pairs(world, batch_id, part) for part in ("train", "holdout")} for batch_id in batches)
    assert 0.1 < len(second["holdout"]) / SECOND < 0.25
    assert not second["holdout"] & first["train"] - only_pairs(first["train"])
    assert len(first["holdout"] & second["holdout"]) > 0.9 * len(first["holdout"])


def pairs(world: World, batch_id: str, part: str) -> set[tuple[str, str]]:
    rows = pq.read_table(world.step(batch_id, "split", f"{part}.parquet"))
    ids = [
        pq.read_table(world.step(batch_id, "validate", f"{of}s.parquet"))[f"{of}_id"]
        .take(rows[f"{of}_idx"])
        .to_pylist()
        for of in ("user", "item")
    ]
    return set(zip(*ids, strict=True))


def only_pairs(some: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of users with one pair, which stayed only because there was no other."""
    users = [user for user, _ in some]
    return {(user, item) for user, item in some if users.count(user) == 1}


def test_the_second_night_is_warm_and_judged_against_the_champion(nights: tuple[World, list[str]]) -> None:
    world, batches = nights
    training = [json.loads(world.step(batch, "train", "train.json").read_text()) for batch in batches]
    assert [one["warm"] for one in training] == [False, True]
    verdict = json.loads(world.step(batches[1], "gate", "verdict.json").read_text())
    assert verdict["verdict"] == "promoted"
    assert verdict["champion"] is not None
    integrity = json.loads(world.step(batches[1], "evaluate", "integrity.json").read_text())
    assert integrity["defect"] is None


def test_no_date_is_invented(nights: tuple[World, list[str]]) -> None:
    world, batches = nights
    assert world.value("select count(*) from user_history where occurred_at is not null") == 0
    assert world.value("select count(*) from user_history") > 1000
    assert world.value("select count(*) from inputs where oldest is not null or newest is not null") == 0
    report = world.step(batches[1], "report", "report.html").read_text()
    assert "1990" not in report
    assert "there are no times: a random part (20%) of the pairs" in report
    assert "none counts less for its age" in report
    assert "last 30 days" not in report
    with mock.patch.dict(os.environ, world.settings):
        assert "occurred_at" not in lineage.describe(CatalogName(world.name), batches[1])["columns"]
    user, item = world.rows("select user_id, item_id from user_history limit 1")[0].values()
    assert world.recjobs("trace", "--user", user, "--item", item).out.strip().endswith("seen already")


def test_the_same_input_again_is_nothing_new(nights: tuple[World, list[str]]) -> None:
    world, batches = nights
    assert world.recjobs("begin", "--json").json == {"batch_id": batches[1], "resumed": False, "nothing_new": True}


def test_a_search_sees_nothing_of_the_holdout(nights: tuple[World, list[str]]) -> None:
    world, batches = nights
    with mock.patch.dict(os.environ, world.settings):
        night = Night.open(CatalogName(world.name), batches[1])
        past = load_past(night, night.request.as_of)
        assert len(past) == len(night.train())
        [fold] = folds_of(night.catalog, past, night.request.as_of)
    assert fold.name == "10% of the pairs, at random"


def test_check_says_so(nights: tuple[World, list[str]]) -> None:
    world, _ = nights
    done = world.recjobs("check")
    assert done.code == 0, done.err
    assert "items, no times" in done.out
    assert "holdout: 20% of the pairs, at random, " in done.out
    assert "compared with 2 earlier nights" in done.out
    assert "occurred_at" not in done.out


NEED = [
    ("recency", {"half_life_days": 30}, "recency.half_life_days"),
    ("model", {"own_frequency": 0.5}, "model.own_frequency"),
    ("model", {"own_half_life_days": 30}, "model.own_half_life_days"),
    ("seen", {"after_days": 30}, "seen.after_days"),
    ("active_days", 180, "active_days"),
    ("top_n", {"rotate_after": 7}, "top_n.rotate_after"),
    ("holdout_days", 7, "holdout_days"),
    ("limits", {"freshness": {"max_age_hours": 3}}, "limits.freshness"),
    ("limits", {"drift": {"item_mix": 0.5}}, "limits.drift"),
]


@pytest.mark.parametrize(("key", "value", "name"), NEED, ids=[name for *_, name in NEED])
def test_a_key_that_needs_times_is_refused_by_its_name(key: str, value: object, name: str) -> None:
    tree = {"name": "games", "sources": [SOURCE]}
    assert not Catalog.model_validate(tree).has_times
    with pytest.raises(ValidationError, match=f"says time: none, and {name} needs times"):
        Catalog.model_validate(tree | {key: value})
    with pytest.raises(Misuse, match=name):
        Catalog.model_validate(tree).with_overrides({key: value})


def test_times_are_there_for_all_sources_or_for_none() -> None:
    timed = SOURCE | {"columns": {**SOURCE["columns"], "occurred_at": "at"}, "time": {"unit": "s"}}
    for sources, message in (
        ([SOURCE, timed], "all or none of them need times"),
        ([{**timed, "time": "none"}], "leave one of them out"),
        ([{**SOURCE, "time": {}}], "or say `time: none` if there is none"),
    ):
        with pytest.raises(ValidationError, match=message):
            Catalog.model_validate({"name": "games", "sources": sources})
