"""A client that asks for a list page by page stays within one batch, or is told that another one is live."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from tests.webapp_world import World, shop_batch

pytest_plugins = ["tests.webapp_fixtures"]

CATALOG = "paged"
FIRST, SECOND = "20240101T000000Z-1", "20240102T000000Z-1"
LISTS = f"/v1/{CATALOG}/recommendations"
ASKED = [
    "user_id=u0001", "user_id=nobody", "user_id=u0001&exclude=item1", "user_id=u0001&category=kind 1",
    "user_id=nobody&prefer=kind 2", "user_id=nobody&category=kind 2&exclude=item5",
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Two nights of the shop, of which the second is live."""
    world.make_catalog(CATALOG)
    for seed, batch_id in enumerate((FIRST, SECOND), 1):
        world.publish(CATALOG, shop_batch(batch_id, seed=seed))
    return world


@pytest.fixture
def first_live(shop: World) -> Iterator[None]:
    """The first batch is live, as if the second were not there yet."""
    move(shop, FIRST)
    yield
    move(shop, SECOND)


@pytest.fixture(params=["fast path", "Flask"])
def client(shop: World, request: pytest.FixtureRequest) -> FlaskClient:
    return shop.client() if request.param == "fast path" else shop.client(cors_origins="https://shop.example")


def move(shop: World, batch_id: str) -> None:
    shop.sql("select roll_back(%s, 'the test')", batch_id, role="recjobs_editor", catalog=CATALOG)


def refusal(client: FlaskClient, address: str) -> tuple[int, dict[str, str]]:
    answer = client.get(address)
    document: Any = client.get("/openapi.json").json
    schema = document["components"]["schemas"]["Error"] | {"components": document["components"]}
    Draft202012Validator(schema).validate(answer.json)
    return answer.status_code, answer.json["error"]


@pytest.mark.parametrize("query", ASKED)
def test_page_two_after_a_publish_is_refused_with_the_new_batch_which_has_no_item_twice(
    shop: World, client: FlaskClient, first_live: None, query: str
):
    page = client.get(f"{LISTS}?{query}&n=4").json
    assert page["batch_id"] == FIRST
    second = client.get(f"{LISTS}?{query}&n=4&offset=4&batch_id={FIRST}")
    assert second.status_code == 200
    assert second.json["batch_id"] == FIRST

    move(shop, SECOND)
    for _ in range(2):  # the second time from memory
        status, error = refusal(client, f"{LISTS}?{query}&n=4&offset=4&batch_id={FIRST}")
        assert (status, error["code"], error["batch_id"]) == (409, "batch_moved", SECOND)
        assert SECOND in error["message"]
    pages = [
        client.get(f"{LISTS}?{query}&n=4&offset={offset}&batch_id={error['batch_id']}").json for offset in (0, 4, 8)
    ]
    assert {one["batch_id"] for one in pages} == {SECOND}
    items = [item["item_id"] for one in pages for item in one["items"]]
    assert len(set(items)) == len(items) > 4

    move(shop, FIRST)
    assert client.get(f"{LISTS}?{query}&n=4&offset=4&batch_id={FIRST}").json == second.json | {
        "age_seconds": pytest.approx(second.json["age_seconds"], abs=600)
    }


def test_the_short_form_is_told_the_same(client: FlaskClient):
    path = f"/v1/{CATALOG}/users/u0001/recommendations"
    assert client.get(f"{path}?batch_id={SECOND}&n=5&offset=5").json["items"][0]["rank"] == 6
    status, error = refusal(client, f"{path}?batch_id={FIRST}")
    assert (status, error["batch_id"]) == (409, SECOND)


def test_a_batch_that_never_was_is_not_live_either_and_the_batch_is_looked_at_before_the_rest(client: FlaskClient):
    for batch in ("20990101T000000Z-1", "20240102T000000Z-2"):
        assert refusal(client, f"{LISTS}?user_id=u0001&batch_id={batch}")[0] == 409
    assert refusal(client, f"{LISTS}?user_id=u0001&batch_id={FIRST}&n=29&offset=29")[0] == 409
    assert refusal(client, f"{LISTS}?user_id=u0001&batch_id={FIRST}&category=nothing")[0] == 409
    assert refusal(client, f"{LISTS}?user_id=u0001&batch_id={SECOND}&n=29&offset=29")[0] == 400
    assert refusal(client, f"/v1/empty/recommendations?user_id=u0001&batch_id={FIRST}")[0] == 503


@pytest.mark.parametrize(
    "batch", ["", "x", "20240102", f"{SECOND} ", f"{SECOND}%0A", "%D9%A20240102T000000Z-1", "x" * 300]
)
def test_what_is_no_id_of_a_batch_is_400(client: FlaskClient, batch: str):
    status, error = refusal(client, f"{LISTS}?user_id=u0001&batch_id={batch}")
    assert (status, error["code"]) == (400, "bad_batch_id")
