"""Items that only the items' own file knows: listed on their first night, by what it says of them."""

from dataclasses import replace

import pandas as pd
import pytest

from tests.list_contract import broken_lists
from tests.worlds import MakeWorld, World, shop

NEW = pd.DataFrame(
    [
        {"id": "0-new", "title": "Thing no. 200", "category": "Taste 2", "price": 5.0, "sold": "yes"},
        {"id": "sold out", "title": "Thing no. 201", "category": "Taste 2", "price": 5.0, "sold": "no"},
        {"id": "silent", "title": None, "category": None, "price": 5.0, "sold": "yes"},
    ]
)


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> World:
    """The shop, with three items that nobody took yet; one is sold out, of one nothing is said."""
    goods = shop()
    world = make_world(replace(goods, items=pd.concat([goods.items, NEW])))
    world.publish()
    return world


def test_a_new_item_is_listed_for_those_whose_taste_it_is(world: World):
    k_of = {user: k for k, user in enumerate(world.goods.sound["user"].drop_duplicates())}
    listed = {row["user_id"] for row in world.rows("select user_id from recommendations where item_id = '0-new'")}
    theirs = {user for user, k in k_of.items() if k % 4 == 2}
    others = set(k_of) - theirs - {"everything", "nearly everything"}
    assert len(listed & theirs) > 0.7 * len(theirs)
    assert len(listed & others) < 0.1 * len(others)
    sources = {
        row["source"] for row in world.rows("select distinct source from recommendations where item_id = '0-new'")
    }
    assert sources <= {"als", "popular"}


def test_its_similar_items_are_of_its_taste_and_it_is_not_the_first_of_theirs(world: World):
    mine = world.rows("select similar_item_id as id from similar_items where item_id = '0-new' order by rank limit 8")
    categories = {row["item_id"]: row["categories"] for row in world.rows("select item_id, categories from items")}
    assert [categories[row["id"]] for row in mine] == [["Taste 2"]] * 8
    first = world.rows("select item_id from similar_items where similar_item_id = '0-new' and rank = 1")
    assert len(first) <= 2


def test_the_lists_keep_the_contract_with_it(world: World):
    assert broken_lists(world, world.live() or "") == {}


def test_what_is_sold_out_or_not_described_waits(world: World):
    known = {row["item_id"]: row["n_users"] for row in world.rows("select item_id, n_users from items")}
    assert known["0-new"] == 0
    assert not {"sold out", "silent"} & set(known)
    assert world.value("select n_items from batches where is_live") == len(known) == 73


def test_new_items_wait_where_the_catalog_says_so(world: World):
    batch_id = world.recjobs("begin", "--json", "--set", "items.new=wait").json["batch_id"]
    for step in ("extract", "validate"):
        assert world.recjobs(step, "--batch-id", batch_id).code == 0
    assert len(pd.read_parquet(world.step(batch_id, "validate", "items.parquet"))) == 72


def test_new_items_have_no_more_places_than_the_catalog_grants(world: World):
    world.publish("--set", "items.max_new_share=0")
    assert world.value("select n_items from batches where is_live") == 73
    listed = world.rows("select user_id from recommendations where item_id = '0-new' and rank <= 5")
    assert {row["user_id"] for row in listed} <= {"everything", "nearly everything"}  # there is hardly anything else
