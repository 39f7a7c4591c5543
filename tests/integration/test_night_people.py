"""Users as a source, and kinds that speak against an item, from the files to SQL."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from tests.worlds import COLUMNS, Goods, MakeWorld, World, shop

USERS = pd.DataFrame(
    {
        "id": ["user000", "new1", "new2", "new3", "", "user001"],
        "group": ["trade", "trade", None, "nobody else", "trade", "trade"],
        "likes": [None, "Taste 2", "Taste 1|Taste 3", "no such taste", None, ""],
    }
)


@pytest.fixture(scope="module")
def people(make_world: MakeWorld) -> World:
    """The shop, with what a file says of some of its users and of three who have taken nothing yet."""
    world = make_world()
    USERS.to_csv(world.data / "people.csv", index=False)
    columns = {"user_id": "id", "segment": "group", "prefers": "likes"}
    world.write_catalog(world.catalog | {"users": {"path": "people.csv", "columns": columns}})
    world.publish()
    return world


def listed(world: World, user: str) -> list[dict[str, object]]:
    return world.rows("select item_id, source, score from recommendations where user_id = %s order by rank", user)


def test_users_without_an_interaction_get_a_full_list_too(people: World):
    assert people.value("select n_users from batches where is_live") == people.goods.sound["user"].nunique() + 3
    for user in ("new1", "new2", "new3"):
        assert len(listed(people, user)) == 10
    assert people.value("select count(*) from served_lists where user_id = ''") == 0


def test_the_account_of_the_users_place_is_in_sql_and_in_the_report(people: World):
    places = people.value("select places from inputs")
    counts = {key: places["users"][key] for key in ("read", "kept", "repeated", "without_id")}
    assert counts == {"read": 6, "kept": 5, "repeated": 0, "without_id": 1}
    segments = {"missing": 1, "understood": 4, "not_understood": 0, "examples": []}
    assert places["users"]["columns"]["segment"] == segments
    example = people.value("select example from findings where reason = 'place_rows_without_id'")
    assert "users: 6 rows read = 5 kept + 0 repeated + 1 without an id" in example
    [report] = (people.artifacts / people.name).glob("*/report/report.html")
    assert "The users&#39; own source: 6 rows read = 5 kept" in report.read_text().replace(
        "users' own", "users&#39; own"
    )


def test_their_list_begins_with_the_categories_they_prefer(people: World):
    categories = {row["item_id"]: row["categories"] for row in people.rows("select item_id, categories from items")}
    assert {row["source"] for row in listed(people, "new1")} == {"category"}
    assert all(categories[row["item_id"]] == ["Taste 2"] for row in listed(people, "new1"))
    assert {categories[row["item_id"]][0] for row in listed(people, "new2")} == {"Taste 1", "Taste 3"}


def test_a_preference_that_nothing_belongs_to_leaves_the_popular_list(people: World):
    popular = [
        r["item_id"] for r in people.rows("select item_id from popular_items where segment = 'all' order by rank")
    ]
    assert [row["item_id"] for row in listed(people, "new3")] == popular[:10]
    assert {row["source"] for row in listed(people, "new3")} == {"popular"}


def test_a_segment_has_a_popular_list_of_its_own(people: World):
    segments = {row["segment"] for row in people.rows("select distinct segment from popular_items")}
    assert {"all", "segment:trade", "category:Taste 1"} <= segments
    theirs = people.goods.sound[people.goods.sound["user"].isin(["user000", "user001"])]["item"]
    first = people.rows("select item_id from popular_items where segment = 'segment:trade' order by rank limit 5")
    assert {row["item_id"] for row in first} <= set(theirs)


def with_kinds() -> Goods:
    """The shop where each user gives back the first thing they bought."""
    goods = shop()
    sound = goods.sound.assign(kind="purchase").sort_values("at", ignore_index=True)
    first = sound.groupby("user").head(1)
    back = first.assign(kind="return", at=first["at"] + pd.Timedelta(hours=1))
    return replace(goods, sound=pd.concat([sound, back], ignore_index=True), bad={}, twice=0, of_a_test=0)


def test_what_was_given_back_is_never_shown_even_where_seen_items_may_be(make_world: MakeWorld):
    goods = with_kinds()
    source = {"path": "rows/*.parquet", "columns": COLUMNS | {"kind": "kind"}}
    kinds = {"purchase": 5, "return": -5}
    world = make_world(goods, sources=[source], kinds=kinds, seen="allow", inspect={"max_top_item_share": 1})
    done = world.night()
    assert done.code == 0, done.err
    back = set(goods.sound[goods.sound["kind"] == "return"][["user", "item"]].itertuples(index=False, name=None))
    shown = {(row["user_id"], row["item_id"]) for row in world.rows("select user_id, item_id from recommendations")}
    assert len(back) > 100
    assert not back & shown
    history = {(row["user_id"], row["item_id"]) for row in world.rows("select user_id, item_id from user_history")}
    assert shown & history, "what was kept may be shown again"
    findings = json.loads(world.step(done.json["batch_id"], "validate", "findings.json").read_text())
    assert findings["counts"]["accepted"] == len(goods.sound)
