"""The lists of many users at once are their single lists."""

import json
import random
import time

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import Batch, World, shop_batch

pytest_plugins = ["tests.webapp_fixtures"]

PATH = "/v1/shop/recommendations:batch"


def without_age(answer: dict) -> dict:
    return answer | {"age_seconds": 0}


def test_each_answer_is_the_single_one_for_hundreds_of_users_known_and_unknown(client: FlaskClient, batch: Batch):
    draw = random.Random(5)
    known = draw.sample(list(batch.users), 300)
    user_ids = [*known, *(f"nobody {k}" for k in range(40)), *known[:40], "nobody 1"]
    draw.shuffle(user_ids)
    for n, asked in ((None, {}), (3, {"n": 3}), (30, {"n": 30})):
        response = client.post(PATH, json={"user_ids": user_ids, **asked})
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
        answers = response.json["answers"]
        assert [answer["user_id"] for answer in answers] == user_ids
        alone = {}
        for user_id in dict.fromkeys(user_ids):
            query = {"user_id": user_id} if n is None else {"user_id": user_id, "n": n}
            alone[user_id] = without_age(client.get("/v1/shop/recommendations", query_string=query).json)
        assert [without_age(answer) for answer in answers] == [alone[user_id] for user_id in user_ids]
        assert all(answer["age_seconds"] > 0 for answer in answers)
    assert any(item["because"] for answer in answers for item in answer["items"])


def test_a_thousand_known_or_unknown_users_are_answered_and_one_more_is_not(client: FlaskClient, batch: Batch):
    known = list(batch.users)[:500] * 2
    for user_ids in (known, [f"{k}" * 60 for k in range(1000)]):
        answers = client.post(PATH, json={"user_ids": user_ids, "n": 1}).json["answers"]
        assert [answer["user_id"] for answer in answers] == user_ids
        assert all(len(answer["items"]) == 1 for answer in answers)
    refused = client.post(PATH, json={"user_ids": ["u"] * 1001})
    assert refused.json["error"] == {"code": "bad_user_ids", "message": "user_ids must be 1 to 1000 ids, not 1001"}


def test_the_longest_ids_there_can_be_fit_into_a_body_however_they_are_escaped(client: FlaskClient):
    body = json.dumps({"user_ids": ["\x01" * 256] * 1000, "n": 1}, indent=4)
    assert len(body) > 1_540_000
    response = client.post(PATH, data=body, content_type="application/json; charset=utf-8")
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "bad_body"),
        ("{", "bad_body"),
        ("null", "bad_body"),
        ("[]", "bad_body"),
        ('["u1"]', "bad_body"),
        ("{}", "bad_body"),
        ('{"n": 3}', "bad_body"),
        ('{"user_ids": ["u"], "limit": 3}', "bad_body"),
        ('{"user_ids": ["u"]} x', "bad_body"),
        ('{"user_ids": ["\\ud800"]}', "bad_body"),
        (b'{"user_ids": ["\xff"]}', "bad_body"),
        ('{"user_ids": ' + "[" * 100_000, "bad_body"),
        ('{"user_ids": "u"}', "bad_user_ids"),
        ('{"user_ids": {"0": "u"}}', "bad_user_ids"),
        ('{"user_ids": []}', "bad_user_ids"),
        ('{"user_ids": [7]}', "bad_user_ids"),
        ('{"user_ids": ["u", null]}', "bad_user_ids"),
        ('{"user_ids": ["u", ""]}', "bad_user_ids"),
        ('{"user_ids": ["a\\u0000"]}', "bad_id"),
        ('{"user_ids": ["' + "é" * 129 + '"]}', "bad_id"),
        ('{"user_ids": ["u"], "n": 0}', "bad_n"),
        ('{"user_ids": ["u"], "n": 31}', "bad_n"),
        ('{"user_ids": ["u"], "n": 99999999999999999999}', "bad_n"),
        ('{"user_ids": ["u"], "n": "3"}', "bad_n"),
        ('{"user_ids": ["u"], "n": 3.0}', "bad_n"),
        ('{"user_ids": ["u"], "n": true}', "bad_n"),
        ('{"user_ids": ["u"], "n": null}', "bad_n"),
        ('{"user_ids": ["u"], "n": NaN}', "bad_body"),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_400(client: FlaskClient, body: str | bytes, code: str):
    response = client.post(PATH, data=body, content_type="application/json")
    assert (response.status_code, response.json["error"]["code"]) == (400, code), response.text


def test_a_body_that_is_no_json_by_its_own_word_is_400(client: FlaskClient):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = client.post(PATH, data='{"user_ids": ["u"]}', content_type=kind)
        assert (response.status_code, response.json["error"]["code"]) == (400, "bad_body")
        assert "application/json" in response.json["error"]["message"]


def test_a_body_that_is_too_large_is_413_before_it_is_read(client: FlaskClient):
    response = client.post(PATH, data=b" " * (2 * 1024 * 1024 + 1), content_type="application/json")
    assert (response.status_code, response.json["error"]["code"]) == (413, "request_entity_too_large")


def test_many_at_once_is_a_post_without_parameters(client: FlaskClient):
    assert client.get(PATH).status_code == 405
    response = client.post(PATH + "?n=3", json={"user_ids": ["u"]})
    assert (response.status_code, response.json["error"]["code"]) == (400, "unknown_parameter")
    assert client.post("/v1/nowhere/recommendations:batch", json={"user_ids": ["u"]}).status_code == 404
    empty = client.post("/v1/empty/recommendations:batch", json={"user_ids": ["u"]})
    assert (empty.status_code, empty.json["error"]["code"]) == (503, "nothing_published")


def test_all_answers_are_of_the_batch_that_is_live(world: World, client: FlaskClient):
    world.make_catalog("many_flips")
    user_ids = ["u0001", "u0002", "nobody"]
    for batch_id in ("20240101T000000Z-1", "20240102T000000Z-1"):
        world.publish("many_flips", shop_batch(batch_id))
        answers = client.post("/v1/many_flips/recommendations:batch", json={"user_ids": user_ids}).json["answers"]
        assert {answer["batch_id"] for answer in answers} == {batch_id}


def test_it_may_take_longer_than_a_single_list_and_leaves_no_trace_of_that(world: World):
    client = world.client(statement_timeout_ms=15, request_timeout_ms=5000, page_timeout_ms=5000)
    users = [f"u{k:04}" for k in range(600)]
    assert any(client.get("/v1/shop/popular").status_code == 200 for _ in range(50))
    assert client.post(PATH, json={"user_ids": users, "n": 30}).status_code == 200
    pool = client.application.extensions["connection_pool"]
    with pool.session("shop") as session:
        connection, _ = session._pool.take(time.monotonic() + 5)
        assert connection._run("show statement_timeout", None, time.monotonic() + 5) == [("15ms",)]
