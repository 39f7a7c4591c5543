"""A list for which nothing is left says so: the user has every item, or rules hide the rest."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from tests.webapp_world import Batch, World
from webapp.lists.from_memory import from_memory
from webapp.postgres.connection_pool import connection_pool

pytest_plugins = ["tests.webapp_fixtures"]

CATALOG = "used_up"
LISTS = f"/v1/{CATALOG}/recommendations"


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Eight items of one category; one user has all of them, another all but two."""
    batch = Batch("20240101T000000Z-1", "2024-01-01", top_n_served=6, top_n_stored=10)
    batch.items = {item: (None, ["goods"], None) for item in "abcdefgh"}
    batch.users = {
        "has everything": ([], [], "als", 0, 0),
        "has much": (["g", "h"], [2.0, 1.0], "als", 2, 0),
        "has little": (list("abcdefg"), [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], "als", 7, 0),
    }
    batch.seen = {"has everything": list("abcdefgh"), "has much": list("abcdef"), "has little": ["h"]}
    scores = [1 / rank for rank in range(1, 9)]
    batch.popular = {"all": (list("abcdefgh"), scores), "category:goods": (list("abcdefgh"), scores)}
    batch.similar = {"a": (["b", "c"], [1.0, 0.5])}
    world.make_catalog(CATALOG)
    world.publish(CATALOG, batch)
    return world


@pytest.fixture(params=["fast path", "Flask"])
def client(shop: World, request: pytest.FixtureRequest) -> FlaskClient:
    return shop.client() if request.param == "fast path" else shop.client(cors_origins="https://shop.example")


@pytest.fixture
def all_blocked(shop: World) -> Iterator[None]:
    block = json.dumps({"kind": "block", "category": "goods"})
    [[rule]] = shop.sql("select add_rule(%s)", block, role="recjobs_editor", catalog=CATALOG)
    yield
    shop.sql("select remove_rule(%s, 'the test')", rule, role="recjobs_editor", catalog=CATALOG)


def told(client: FlaskClient, address: str, kind: str = "Recommendations") -> tuple[str, list[str]]:
    """Source and items of an answer, which is as the document describes it."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    document: Any = client.get("/openapi.json").json
    Draft202012Validator(document["components"]["schemas"][kind] | {"components": document["components"]}).validate(
        answer.json
    )
    return answer.json["source"], [item["item_id"] for item in answer.json["items"]]


EXHAUSTED: tuple[str, list[str]] = ("exhausted", [])


@pytest.mark.parametrize(
    "query",
    [
        "",
        "&n=3",
        "&offset=2",
        "&exclude=a",
        "&category=goods",
        "&prefer=goods",
        "&category=goods&offset=2",
        "&n=1&offset=5",
    ],
)
def test_a_user_who_has_every_item_is_told_so_whatever_is_asked(client: FlaskClient, query: str):
    assert told(client, f"{LISTS}?user_id=has everything{query}") == EXHAUSTED
    assert told(client, f"/v1/{CATALOG}/users/has%20everything/recommendations?{query[1:]}") == EXHAUSTED


def test_so_is_one_whose_rest_is_excluded_and_a_page_behind_a_short_list_is_only_empty(client: FlaskClient):
    assert told(client, f"{LISTS}?user_id=has much") == ("als", ["g", "h"])
    assert told(client, f"{LISTS}?user_id=has much&exclude=g&exclude=h") == EXHAUSTED
    assert told(client, f"{LISTS}?user_id=has much&exclude=g&exclude=h&offset=1") == EXHAUSTED
    assert told(client, f"{LISTS}?user_id=has much&offset=2") == ("als", [])
    assert told(client, f"{LISTS}?user_id=has much&exclude=g&offset=1") == ("als", [])


def test_many_users_are_told_what_each_is_told_alone(client: FlaskClient):
    users = ["has everything", "has much", "a guest"]
    answers = client.post(f"{LISTS}:batch", json={"user_ids": users, "n": 4}).json["answers"]
    assert [(one["source"], len(one["items"])) for one in answers] == [("exhausted", 0), ("als", 2), ("popular", 4)]


def test_where_rules_hide_everything_nobody_gets_an_error_or_a_source_without_items(
    client: FlaskClient, all_blocked: None
):
    for user in ("has everything", "has much", "has little", "a guest"):
        for query in ("", "&n=3", "&exclude=a", "&category=goods", "&prefer=goods"):
            assert told(client, f"{LISTS}?user_id={user}{query}") == EXHAUSTED
    answers = client.post(f"{LISTS}:batch", json={"user_ids": ["has little", "a guest"]}).json["answers"]
    assert [one["source"] for one in answers] == ["exhausted", "exhausted"]
    assert told(client, f"/v1/{CATALOG}/popular", "Popular") == EXHAUSTED
    assert told(client, f"/v1/{CATALOG}/popular?category=goods", "Popular") == EXHAUSTED
    assert told(client, f"/v1/{CATALOG}/basket?item_id=a", "Basket") == EXHAUSTED
    assert told(client, f"/v1/{CATALOG}/similar?item_id=a", "Similar") == ("similar", [])
    assert client.get(f"/v1/{CATALOG}/popular?category=nothing").status_code == 404
    assert client.get(f"{LISTS}?user_id=a guest&category=nothing").status_code == 404
    assert client.get("/readyz").json["live"][CATALOG] == "20240101T000000Z-1"
    for page in (
        f"/?catalog={CATALOG}",
        f"/?catalog={CATALOG}&user_id=has little",
        f"/?catalog={CATALOG}&user_id=guest",
    ):
        answer = client.get(page)
        assert answer.status_code == 200
        assert "nothing left" in answer.text


def test_sql_has_no_row_and_the_view_says_why(shop: World, client: FlaskClient):
    for user in ("has everything", "has much"):
        n = shop.sql("select count(*) from recommend(%s, 6)", user, role="recjobs_reader", catalog=CATALOG)
        source = "select source, cardinality(item_ids) from served_lists where user_id = %s"
        [(said, n_listed)] = shop.sql(source, user, role="recjobs_reader", catalog=CATALOG)
        assert n == [(n_listed,)]
        assert (said, n_listed) == (("exhausted", 0) if user == "has everything" else ("als", 2))
    page = client.get(f"/?catalog={CATALOG}&user_id=has everything").text
    assert "nothing left" in page
    assert "exhausted" in page


def test_memory_answers_it_too(shop: World):
    with shop.client().application.app_context(), connection_pool().session(CATALOG) as session:
        answer = from_memory(session, CATALOG, "has everything", 5, 0)
    assert answer is not None
    assert answer.to_dict()["source"] == "exhausted"
