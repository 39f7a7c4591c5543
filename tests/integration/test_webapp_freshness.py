"""Every list says which batch it is of and how old that is; a client that has it already is told so."""

import json
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import World, shop_batch

pytest_plugins = ["tests.webapp_fixtures"]

LISTS = {
    "/v1/shop/recommendations?user_id=u0001": "private, no-cache",
    "/v1/shop/recommendations?user_id=nobody": "private, no-cache",
    "/v1/shop/users/u0001/recommendations": "private, no-cache",
    "/v1/shop/similar?item_id=item5": "public, no-cache",
    "/v1/shop/popular": "public, no-cache",
}


@pytest.mark.parametrize("address", LISTS)
def test_a_list_names_its_batch_and_model_and_says_how_old_it_is(client: FlaskClient, address: str):
    answer = client.get(address).json

    assert (answer["batch_id"], answer["model_version"]) == ("20240101T000000Z-1", "1")
    assert answer["computed_at"] == "2024-01-02T03:04:05.678000Z"
    age = datetime.now(UTC) - datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert answer["age_seconds"] == pytest.approx(age.total_seconds(), abs=30)


@pytest.mark.parametrize("address", LISTS)
def test_who_has_the_list_already_gets_304_and_no_body(client: FlaskClient, address: str):
    first = client.get(address)
    tag = first.headers["ETag"]
    assert tag == f'"{tag[1:-1]}"'  # strong

    for known in (tag, f'"another", {tag}', f"W/{tag}", "*"):
        again = client.get(address, headers={"If-None-Match": known})
        assert (again.status_code, again.data) == (304, b""), known
        assert again.headers["ETag"] == tag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"] == LISTS[address]
        assert "Content-Type" not in again.headers
    for unknown in ('"another"', "", ","):
        again = client.get(address, headers={"If-None-Match": unknown})
        assert (again.status_code, again.headers["ETag"]) == (200, tag), unknown


def test_each_list_has_a_tag_of_its_own(client: FlaskClient):
    addresses = [*LISTS, "/v1/shop/recommendations?user_id=nobody+else", "/v1/shop/popular?n=3"]
    tags = {client.get(address).headers["ETag"] for address in addresses}
    assert len(tags) == len(addresses) - 1  # the two forms of one address have one answer


def test_the_tag_changes_with_the_batch_and_comes_back_with_it(world: World, client: FlaskClient):
    world.make_catalog("tags")
    address = "/v1/tags/recommendations?user_id=u0004"

    def tag() -> str:
        return client.get(address).headers["ETag"]

    world.publish("tags", shop_batch("20240101T000000Z-1"))
    first = tag()
    assert tag() == first
    world.publish("tags", shop_batch("20240102T000000Z-1"))
    second = tag()
    assert second != first
    assert client.get(address, headers={"If-None-Match": first}).json["batch_id"] == "20240102T000000Z-1"
    world.sql("select roll_back(null, 'test')", role="recjobs_publisher", catalog="tags")
    assert client.get(address, headers={"If-None-Match": first}).status_code == 304


def test_a_list_that_is_younger_than_this_machines_clock_is_0_seconds_old(world: World, client: FlaskClient):
    world.make_catalog("ahead")
    world.publish("ahead", shop_batch())
    world.sql("update ahead.batch_records set computed_at = now() + interval '1 hour'")

    answer = client.get("/v1/ahead/popular")
    assert answer.json["age_seconds"] == 0
    assert json.loads(answer.data) == answer.json
