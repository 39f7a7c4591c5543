"""The lists over HTTP are the lists in the database, for any id there can be."""

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import INERT_TITLE, ODD_IDS, Batch, World, shop_batch

pytest_plugins = ["tests.webapp_fixtures"]


def get(client: FlaskClient, path: str, **query: object):
    response = client.get(path, query_string=query)
    assert response.status_code == 200, response.text
    assert response.content_type == "application/json"
    return response.json


def same(one: dict, other: dict) -> bool:
    return one | {"age_seconds": 0} == other | {"age_seconds": 0}


def sources_of(n_items: int, source: str, n_model: int, n_category: int) -> list[str]:
    return ([source] * n_model + ["category"] * n_category + ["popular"] * n_items)[:n_items]


def test_a_known_user_gets_their_own_list_with_titles_and_sources(client: FlaskClient, batch: Batch):
    answer = get(client, "/v1/shop/recommendations", user_id="u0001")

    item_ids, scores, source, n_model, n_category = batch.users["u0001"]
    assert {name: value for name, value in answer.items() if name not in ("items", "age_seconds")} == {
        "user_id": "u0001",
        "catalog": "shop",
        "batch_id": "20240101T000000Z-1",
        "model_version": "1",
        "computed_at": "2024-01-02T03:04:05.678000Z",
        "source": "foldin",
    }
    assert [item["rank"] for item in answer["items"]] == list(range(1, 21))
    assert [item["item_id"] for item in answer["items"]] == item_ids[:20]
    assert [item["title"] for item in answer["items"]] == [batch.items[i][0] for i in item_ids[:20]]
    assert [item["score"] for item in answer["items"]] == pytest.approx(scores[:20])
    assert [item["source"] for item in answer["items"]] == sources_of(20, source, n_model, n_category)
    assert all(item["because"] == [] for item in answer["items"])


@pytest.mark.parametrize("user_id", ["nobody", "u000", "U0001", "u0001 ", "08", "cafe", "\\n"])
def test_an_unknown_user_gets_the_popular_list_and_the_answer_says_so(client: FlaskClient, batch: Batch, user_id: str):
    answer = get(client, "/v1/shop/recommendations", user_id=user_id)

    assert answer["user_id"] == user_id
    assert answer["source"] == "popular"
    assert [item["item_id"] for item in answer["items"]] == batch.popular["all"][0][:20]
    assert {item["source"] for item in answer["items"]} == {"popular"}


def test_every_odd_id_comes_back_byte_for_byte_and_gets_its_own_list(client: FlaskClient, batch: Batch):
    for user_id in ODD_IDS:
        answer = get(client, "/v1/shop/recommendations", user_id=user_id, n=30)
        assert answer["user_id"] == user_id
        assert [item["item_id"] for item in answer["items"]] == batch.users[user_id][0][:30]


def test_every_odd_item_id_has_its_own_similar_items(client: FlaskClient, batch: Batch):
    for item_id in ODD_IDS:
        answer = get(client, "/v1/shop/similar", item_id=item_id, n=5)
        assert answer["item_id"] == item_id
        assert [item["item_id"] for item in answer["items"]] == batch.similar[item_id][0][:5]


def test_the_path_form_answers_as_the_query_form_does_for_ids_without_slashes_and_dot_segments(client: FlaskClient):
    plain = [one for one in ODD_IDS if "/" not in one and one not in (".", "..")]
    for one in [*plain, "nobody"]:
        escaped = quote(one, safe="")
        by_path = client.get(f"/v1/shop/users/{escaped}/recommendations?n=3")
        assert same(by_path.json, get(client, "/v1/shop/recommendations", user_id=one, n=3))
    for one in plain:
        by_path = client.get(f"/v1/shop/items/{quote(one, safe='')}/similar?n=3")
        assert same(by_path.json, get(client, "/v1/shop/similar", item_id=one, n=3))


def test_recommend_in_sql_equals_the_answer_item_for_item(world: World, client: FlaskClient, batch: Batch):
    for user_id in [*list(batch.users)[::25], *ODD_IDS, "nobody"]:
        for n in (1, 20, 30):
            rows = world.sql("select * from recommend(%s, %s)", user_id, n, role="recjobs_reader", catalog="shop")
            answer = get(client, "/v1/shop/recommendations", user_id=user_id, n=n)
            served = [(i["rank"], i["item_id"], i["score"], i["source"], answer["batch_id"]) for i in answer["items"]]
            assert served == rows


def test_n_is_what_was_asked_up_to_what_the_catalog_serves(client: FlaskClient):
    for path, query in [
        ("/v1/shop/recommendations", {"user_id": "u0001"}),
        ("/v1/shop/recommendations", {"user_id": "nobody"}),
        ("/v1/shop/similar", {"item_id": "item5"}),
        ("/v1/shop/popular", {}),
    ]:
        assert len(get(client, path, **query)["items"]) == 20
        assert len(get(client, path, **query, n=1)["items"]) == 1
        assert len(get(client, path, **query, n=30)["items"]) == 30
        refused = client.get(path, query_string=query | {"n": 31})
        assert refused.status_code == 400
        assert refused.json["error"] == {"code": "bad_n", "message": "n must be a whole number from 1 to 30"}


def test_without_n_a_catalog_that_serves_fewer_than_twenty_gives_those(world: World, client: FlaskClient):
    world.make_catalog("few")
    batch = shop_batch()
    batch.top_n_served = 4
    world.publish("few", batch)

    assert len(get(client, "/v1/few/recommendations", user_id="u0001")["items"]) == 4
    assert len(get(client, "/v1/few/recommendations", user_id="nobody")["items"]) == 4
    assert len(get(client, "/v1/few/popular")["items"]) == 4
    assert len(get(client, "/v1/few/similar", item_id="item5")["items"]) == 4


def test_popular_is_overall_or_by_category(client: FlaskClient, batch: Batch):
    overall = get(client, "/v1/shop/popular")
    assert overall["category"] is None
    assert [item["item_id"] for item in overall["items"]] == batch.popular["all"][0][:20]
    assert overall["items"][1]["title"] == INERT_TITLE
    assert overall["items"][2]["title"] is None

    tea = get(client, "/v1/shop/popular", category="Tea & <cake>")
    assert tea["category"] == "Tea & <cake>"
    assert [item["item_id"] for item in tea["items"]] == batch.popular["category:Tea & <cake>"][0]


def test_every_odd_item_id_has_what_is_bought_together_with_it(client: FlaskClient, batch: Batch):
    for item_id in ODD_IDS:
        answer = get(client, "/v1/shop/together", item_id=item_id, n=5)
        assert (answer["source"], answer["item_id"]) == ("together", item_id)
        assert [item["item_id"] for item in answer["items"]] == batch.together[item_id][0][:5]


def test_an_item_on_too_few_orders_has_nothing_that_is_bought_with_it(client: FlaskClient):
    assert get(client, "/v1/shop/together", item_id="item298")["items"] == []


def test_a_user_has_what_they_need_again_and_an_unknown_one_nothing(client: FlaskClient, batch: Batch):
    for user_id in ("u0001", *[user for user in ODD_IDS if user in batch.again]):
        answer = get(client, "/v1/shop/again", user_id=user_id, n=5)
        assert (answer["source"], answer["user_id"]) == ("again", user_id)
        assert [item["item_id"] for item in answer["items"]] == batch.again[user_id][0][:5]
    assert get(client, "/v1/shop/again", user_id="nobody")["items"] == []


def test_an_item_too_new_to_resemble_any_has_no_similar_ones(client: FlaskClient):
    answer = get(client, "/v1/shop/similar", item_id="item299")
    assert (answer["title"], answer["items"]) == ("TITLE OF 299", [])


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/v1/shop/similar?item_id=nothing", "unknown_item"),
        ("/v1/shop/popular?category=nothing", "unknown_category"),
        ("/v1/shop/popular?category=all", "unknown_category"),
        ("/v1/nowhere/recommendations?user_id=u0001", "unknown_catalog"),
        ("/v1/pg_catalog/recommendations?user_id=u0001", "unknown_catalog"),
        ("/v1/public/popular", "unknown_catalog"),
        ("/v1/Shop/popular", "unknown_catalog"),
        ("/v1/shop;x/popular", "unknown_catalog"),
        ("/v1/shop,pg_temp/popular", "unknown_catalog"),
        ("/v1/%20/popular", "unknown_catalog"),
    ],
)
def test_what_does_not_exist_is_404_and_says_what(client: FlaskClient, address: str, code: str):
    response = client.get(address)
    assert (response.status_code, response.json["error"]["code"]) == (404, code)


def test_a_catalog_without_a_live_batch_is_503_never_an_empty_list(client: FlaskClient):
    for path in ("recommendations?user_id=u0001", "similar?item_id=item1", "popular", "popular?category=x"):
        response = client.get(f"/v1/empty/{path}")
        assert (response.status_code, response.json["error"]["code"]) == (503, "nothing_published")
        assert response.headers["Retry-After"] == "1"


def test_the_next_answer_after_a_publish_or_a_rollback_is_wholly_of_the_other_batch(world: World, client: FlaskClient):
    world.make_catalog("flips")
    first, second = shop_batch("20240101T000000Z-1", seed=1), shop_batch("20240102T000000Z-1", seed=2)
    second.model_version = "2"
    second.items = {i: (f"NEW {title}", categories, price) for i, (title, categories, price) in second.items.items()}

    def assert_served(batch: Batch) -> None:
        answer = get(client, "/v1/flips/recommendations", user_id="u0004", n=10)
        assert (answer["batch_id"], answer["model_version"]) == (batch.batch_id, batch.model_version)
        expected = batch.users["u0004"][0][:10]
        assert [(i["item_id"], i["title"]) for i in answer["items"]] == [(i, batch.items[i][0]) for i in expected]

    world.publish("flips", first)
    assert_served(first)
    world.publish("flips", second)
    assert_served(second)
    world.sql("select roll_back(null, 'test')", role="recjobs_publisher", catalog="flips")
    assert_served(first)
