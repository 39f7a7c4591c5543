"""A basket's list: what goes with all of it together, then what is popular; the same by HTTP and in SQL."""

import random
from collections import defaultdict

import numpy as np
import pytest
from flask.testing import FlaskClient

from tests.webapp_world import ODD_IDS, Batch, World

pytest_plugins = ["tests.webapp_fixtures"]


def get(client: FlaskClient, catalog: str = "shop", **query: object) -> dict:
    response = client.get(f"/v1/{catalog}/basket", query_string=query)
    assert response.status_code == 200, response.text
    return response.json


def expected(batch: Batch, basket: list[str], n: int) -> list[tuple[str, str]]:
    sums: dict[str, float] = defaultdict(float)
    for item_id in sorted(set(basket), key=str.encode):
        for other, score in zip(*batch.similar.get(item_id, ([], [])), strict=True):
            sums[other] += float(np.float32(score))
    alike = sorted(sums, key=lambda item_id: (-sums[item_id], item_id.encode()))
    rest = sorted(batch.items, key=str.encode)
    listed = {item_id: "similar" for item_id in alike if item_id not in basket}
    for item_id in [*batch.popular["all"][0], *rest]:
        if item_id not in basket and item_id not in batch.gone:
            listed.setdefault(item_id, "popular")
    return list(listed.items())[:n]


def shown(answer: dict) -> list[tuple[str, str]]:
    return [(item["item_id"], item["source"]) for item in answer["items"]]


def test_a_basket_of_up_to_twenty_gets_a_full_list_by_the_sum_of_scores_by_http_and_in_sql(
    world: World, client: FlaskClient, batch: Batch
):
    draw = random.Random(4)
    unknown = ["nothing", "item", "ITEM1"]
    for size in [1, 1, 2, 3, 5, 19, 20, 20]:
        basket = draw.sample([*batch.items, *unknown], size)
        for n in (1, 20, 30):
            answer = get(client, item_id=basket, n=n)
            assert shown(answer) == expected(batch, basket, n)
            assert answer["item_ids"] == basket
            assert answer["source"] == "similar"
            rows = world.sql("select * from basket(%s, %s)", basket, n, role="recjobs_reader", catalog="shop")
            batch_id = answer["batch_id"]
            assert rows == [(i["rank"], i["item_id"], i["score"], i["source"], batch_id) for i in answer["items"]]


def test_an_item_that_is_in_the_basket_twice_counts_once(client: FlaskClient):
    once, twice = (get(client, item_id=basket) for basket in (["item5", "item6"], ["item5", "item6", "item5"]))
    assert once["items"] == twice["items"]


def test_every_odd_id_may_lie_in_a_basket(client: FlaskClient, batch: Batch):
    for item_id in ODD_IDS:
        assert shown(get(client, item_id=item_id, n=5)) == expected(batch, [item_id], 5)


def test_a_basket_of_unknown_items_and_one_that_resembles_nothing_get_what_is_popular(
    client: FlaskClient, batch: Batch
):
    for basket in (["nothing"], ["nothing", "nothing else"], ["item299"]):
        answer = get(client, item_id=basket)
        assert answer["source"] == "popular"
        assert [item["item_id"] for item in answer["items"]] == batch.popular["all"][0][:20]
    known = get(client, item_id=["item0", "item299"])
    assert known["items"] == get(client, item_id=["item0", "item299", "nothing"])["items"]


@pytest.fixture(scope="module")
def tiny(world: World) -> Batch:
    """Seven items, one of them sold no more."""
    batch = Batch("20240101T000000Z-1", "2024-01-01", top_n_served=7, top_n_stored=7, gone=frozenset("g"))
    batch.items = {item: (item.upper(), ["odd" if item in "ace" else "even"], None) for item in "abcdefg"}
    batch.similar = {"a": (["b", "c"], [0.5, 0.25]), "d": (["c", "a", "e"], [0.5, 0.25, 0.75])}
    batch.popular = {"all": (list("afbcde"), [6.0 - k for k in range(6)])}
    world.make_catalog("tiny_baskets")
    world.publish("tiny_baskets", batch)
    return batch


def ids(answer: dict) -> str:
    return "".join(item["item_id"] for item in answer["items"])


def test_scores_add_up_and_a_small_catalogue_is_served_whole(client: FlaskClient, tiny: Batch):
    answer = get(client, "tiny_baskets", item_id=["a", "d"], n=7)
    assert [(item["item_id"], item["score"]) for item in answer["items"][:3]] == [("c", 0.75), ("e", 0.75), ("b", 0.5)]
    assert shown(answer)[3:] == [("f", "popular")]
    assert ids(get(client, "tiny_baskets", item_id="d", n=7)) == "ecafb"
    assert ids(get(client, "tiny_baskets", item_id="x", n=7)) == "afbcde"
    assert ids(get(client, "tiny_baskets", item_id=list("abcdef"), n=7)) == ""


def test_a_popular_list_that_is_cut_off_is_not_the_end_of_the_catalogue(world: World, client: FlaskClient):
    batch = Batch("20240101T000000Z-1", "2024-01-01", top_n_served=3, top_n_stored=3, gone=frozenset("a"))
    batch.items = dict.fromkeys("abcdef", (None, None, None))
    batch.popular = {"all": (["f", "e", "d"], [3.0, 2.0, 1.0])}
    world.make_catalog("deep_baskets")
    world.publish("deep_baskets", batch)
    answer = get(client, "deep_baskets", item_id=["f", "d"], n=3)
    assert [(item["item_id"], item["score"]) for item in answer["items"]] == [("e", 2.0), ("b", 0.0), ("c", 0.0)]


def test_what_a_rule_blocks_is_in_no_basket_list(world: World, client: FlaskClient, tiny: Batch):
    for rule in ('{"kind": "block", "item_id": "e"}', '{"kind": "out_of_stock", "category": "odd"}'):
        rule_id = world.sql("select add_rule(%s)", rule, catalog="tiny_baskets")[0][0]
        assert "e" not in ids(get(client, "tiny_baskets", item_id="d", n=7))
        assert "e" not in ids(get(client, "tiny_baskets", item_id="x", n=7))
        world.sql("select remove_rule(%s, 'test')", rule_id, catalog="tiny_baskets")
    assert ids(get(client, "tiny_baskets", item_id="x", n=7)) == "afbcde"


def test_sql_answers_nothing_for_no_items_and_takes_an_empty_basket(world: World):
    def rows(call: str) -> list[tuple]:
        return world.sql(f"select item_id, source from {call}", role="recjobs_reader", catalog="shop")

    assert rows("basket(array['item5'], 0)") == rows("basket(array['item5'], -1)") == []
    assert rows("basket('{}', 5)") == rows("basket(array[null]::text[], 5)") == rows("basket(null, 5)")
    assert {source for _, source in rows("basket('{}', 5)")} == {"popular"}
    assert world.sql("select * from basket(array['x'])", role="recjobs_reader", catalog="empty") == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "missing_parameter"),
        ("n=3", "missing_parameter"),
        ("item_id=", "missing_parameter"),
        ("item_id=a&item_id=", "missing_parameter"),
        ("item_id=a%00", "bad_id"),
        ("item_id=%ff", "bad_encoding"),
        ("item_id=a&n=31", "bad_n"),
        ("item_id=a&n=0", "bad_n"),
        ("item_id=a&user_id=b", "unknown_parameter"),
        ("&".join(f"item_id={k}" for k in range(21)), "repeated_parameter"),
    ],
)
def test_a_basket_that_makes_no_sense_is_400(client: FlaskClient, given: str, code: str):
    response = client.get(f"/v1/shop/basket?{given}")
    assert (response.status_code, response.json["error"]["code"]) == (400, code), response.text


def test_a_catalog_without_a_live_batch_is_503_for_a_basket(client: FlaskClient):
    assert client.get("/v1/empty/basket?item_id=a").json["error"]["code"] == "nothing_published"
    assert client.get("/v1/nowhere/basket?item_id=a").status_code == 404
