"""A night with the settings of lists: goods come in four colours, of which a list has one; it has two goods of a
category at most; and users who have not come for long have none."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.worlds import DAY_0, Goods, MakeWorld, World

COLOURS, PRODUCTS = ("red", "blue", "green", "grey"), 24
KEYS = ("items.variants_by", "top_n.max_per_category", "active_days")


@pytest.fixture(scope="module")
def lanterns(make_world: MakeWorld) -> World:
    """80 users, each of a taste of six products, of which they take colours at random. Three products are of one
    category, so a list of ten can hold two of each at most. The first five users have not come since day 40."""
    rng = np.random.default_rng(3)
    rows = [
        (
            f"u{user:02}",
            f"p{product:02}-{rng.choice(COLOURS)}",
            DAY_0 + pd.Timedelta(days=float(rng.uniform(0, 40 if user < 5 else 100))),
        )
        for user in range(80)
        for product in [*rng.permutation(np.arange(6) * 4 + user % 4), *rng.integers(0, PRODUCTS, 4)] * 2
    ]
    sound = pd.DataFrame(rows, columns=["user", "item", "at"]).drop_duplicates(["user", "item"])
    sound["at"], sound["quantity"] = sound["at"].dt.floor("s"), 1.0
    ids = [f"p{product:02}-{colour}" for product in range(PRODUCTS) for colour in COLOURS]
    items = pd.DataFrame({"id": ids, "product": [id_[:3] for id_ in ids], "title": None, "price": 1, "sold": "yes"})
    items["category"] = [f"c{int(id_[1:3]) // 3}" for id_ in ids]
    columns = {"item_id": "id", "title": "title", "categories": "category", "product_id": "product"}
    world = make_world(
        Goods(sound, items),
        items={"path": "items.csv", "columns": columns, "variants_by": "product_id"},
        top_n={"stored": 20, "served": 10, "max_per_category": 2},
        active_days=45,
    )
    world.publish()
    return world


def active(world: World) -> set[str]:
    last = world.goods.sound.groupby("user")["at"].max()
    return set(last[last >= last.max() - pd.Timedelta(days=45)].index)


def test_users_who_have_not_come_for_long_have_no_list_and_get_the_popular_one(lanterns: World):
    assert len(active(lanterns)) == 75
    assert {row["user_id"] for row in lanterns.rows("select user_id from stored_lists")} == active(lanterns)
    popular = lanterns.rows(
        "select rank, item_id, score, source from popular_items where segment = 'all' and rank <= 10"
    )
    answer = lanterns.rows("select rank, item_id, score, source from recommend('u03', 10)")
    assert answer == sorted(popular, key=lambda row: row["rank"])


def test_no_list_of_users_or_items_or_popular_one_has_two_variants(lanterns: World):
    for view, owner, item in (
        ("kept_recommendations", "user_id", "item_id"),
        ("popular_items", "segment", "item_id"),
        ("similar_items", "item_id", "similar_item_id"),
        ("together_items", "item_id", "together_item_id"),
    ):
        rows = pd.DataFrame(lanterns.rows(f"select {owner} as owner, {item} as item from {view}"))
        assert len(rows) > 40, view
        rows["product"] = rows["item"].str[:3]
        assert not rows.duplicated(["owner", "product"]).any(), view
        if owner == "item_id":
            assert (rows["owner"].str[:3] != rows["product"]).all(), view
    stored = lanterns.rows("select cardinality(item_ids) as n from stored_lists")
    assert {row["n"] for row in stored} == {20}


def test_no_served_list_has_three_goods_of_a_category(lanterns: World):
    """Of eight categories two each are sixteen: ten are served."""
    rows = pd.DataFrame(lanterns.rows("select user_id, rank, item_id from recommendations where rank <= 10"))
    rows["category"] = rows["item_id"].str[1:3].astype(int) // 3
    assert len(rows) == 10 * len(active(lanterns))
    assert rows.groupby(["user_id", "category"]).size().max() == 2
    popular = pd.DataFrame(lanterns.rows("select item_id from popular_items where segment = 'all' and rank <= 10"))
    assert (popular["item_id"].str[1:3].astype(int) // 3).value_counts().max() == 2


def test_the_report_says_what_each_setting_costs(lanterns: World):
    html = lanterns.rows("select html from reports where batch_id = %s", lanterns.live())[0]["html"]
    costs = html.split("<h2>What settings of lists cost</h2>")[1].split("</table>")[0]
    assert [f"<code>{key}</code>" in costs for key in KEYS] == [True] * 3


def test_the_report_shows_what_users_took_beside_their_own_lists(lanterns: World):
    html = lanterns.rows("select html from reports where batch_id = %s", lanterns.live())[0]["html"]
    examples = [part.split("</div></div>")[0] for part in html.split('<div class="pair served"><h3>')[1:]]
    assert len(examples) == 12
    for example in examples:
        user, _, rest = example.partition(" <small>")
        took = re.findall(r"<li>(.*?)</li>", rest.split("</ul>")[0])
        own = lanterns.goods.sound.loc[lanterns.goods.sound["user"] == user, "item"]
        assert len(took) == 8
        assert set(took) <= set(own)
