"""GET /v1/<catalog>/trace: the SQL function's answer, for operators only."""

from datetime import datetime

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from tests.webapp_credentials import KEY, KEYS, OPERATORS, SECRET, bearer
from tests.webapp_world import ODD_IDS, World

pytest_plugins = ["tests.webapp_fixtures"]

ADDRESS = "/v1/shop/trace"


@pytest.fixture
def operated(world: World) -> FlaskClient:
    """A client of an app that has operators and keys."""
    return world.client(api_keys=KEYS, operators=OPERATORS)


def reasons_of_the_first(batch, user_id):
    reasons, packed = batch.reasons[user_id]
    return [reasons[place - 1] for place in (packed[0] & 1023, packed[0] >> 10 & 1023, packed[0] >> 20) if place]


def ask(client, user_id, item_id, **more):
    given = {"headers": bearer(SECRET)} | more
    return client.get(ADDRESS, query_string={"user_id": user_id, "item_id": item_id}, **given)


def test_what_is_listed_not_there_and_below_is_told_as_described(operated, batch):
    document = operated.get("/openapi.json").json
    described = document["paths"]["/v1/{catalog}/trace"]["get"]
    assert described["security"] == [{"operator": []}]
    schema = document["components"]["schemas"]["Trace"] | {"components": document["components"]}
    item_ids, scores, *_ = batch.users["u0000"]
    found = {}
    for item_id in (item_ids[0], item_ids[35], "nothing", next(i for i in batch.items if i not in item_ids)):
        response = ask(operated, "u0000", item_id)
        assert response.status_code == 200, response.text
        Draft202012Validator(schema).validate(response.json)
        assert response.json["batch_id"] == batch.batch_id
        assert response.json["title"] == (batch.items[item_id][0] if item_id in batch.items else None)
        known = {"answer", "rank", "score", "source", "because", "because_ids", "reason", "rule_id", "seen_at"}
        found[item_id] = {name: value for name, value in response.json.items() if name in known}
    first, deep, nothing, behind = found.values()
    assert first.pop("because") == [batch.items[i][0] or i for i in reasons_of_the_first(batch, "u0000")]
    assert first.pop("because_ids") == reasons_of_the_first(batch, "u0000")
    assert first == {"answer": "listed", "rank": 1, "score": scores[0], "source": "als"}
    assert deep == {"answer": "below", "rank": 36, "score": pytest.approx(scores[35])}
    assert nothing == {"answer": "unknown_item"}
    assert behind == {"answer": "below"}


def test_a_stranger_is_traced_against_the_popular_list_and_odd_ids_are_ids(operated, batch):
    popular = batch.popular["all"][0]
    answer = ask(operated, "a stranger", popular[3]).json
    assert (answer["answer"], answer["rank"], answer["is_known_user"]) == ("listed", 4, False)
    for odd in ODD_IDS:
        answer = ask(operated, odd, odd).json
        assert (answer["user_id"], answer["item_id"], answer["is_known_user"]) == (odd, odd, True)
        assert answer["answer"] in ("listed", "below", "seen")


def test_reasons_are_titles_and_what_was_seen_has_its_day(world: World, operated, batch):
    user = "u0001"
    item, title = batch.users[user][0][0], batch.items[batch.users[user][0][0]][0]
    part = f"where batch_id = '{batch.batch_id}' and user_id = '{user}'"
    seen = batch.history[user][0][0]
    position = list(batch.items).index(seen)
    for statement in (
        f"update top_n set reasons = '{{item2,item5}}', because = array_fill(2 | (1 << 10), array[40]) {part}",
        f"update history_lists set seen = array[{position}] {part}",
        f"update top_n set item_ids = array_remove(item_ids, '{seen}') {part}",
    ):
        world.sql(statement, catalog="shop")
    try:
        answer = ask(operated, user, item).json
        assert (answer["answer"], answer["title"]) == ("listed", title)
        assert answer["because"] == ["TITLE OF 5", "item2"]  # item2 has no title
        assert answer["because_ids"] == ["item5", "item2"]
        answer = ask(operated, user, seen).json
        assert answer["answer"] == "seen"
        assert datetime.fromisoformat(answer["seen_at"]) == datetime.fromisoformat(batch.history[user][0][1])
    finally:
        world.sql(
            f"update top_n set reasons = null, because = null, item_ids = %s {part}",
            batch.users[user][0],
            catalog="shop",
        )
        world.sql(f"update history_lists set seen = null {part}", catalog="shop")


def test_only_operators_may_ask(world: World, operated):
    assert ask(operated, "u0000", "item1", headers={}).status_code == 401
    assert ask(operated, "u0000", "item1", headers=bearer(KEY)).status_code == 403
    assert ask(world.client(), "u0000", "item1", headers={}).json["error"]["code"] == "no_operators"
    assert ask(operated, "u0000", "item1", headers=bearer("guess")).status_code == 401


def test_what_makes_no_sense_is_refused(operated):
    assert operated.get(ADDRESS, headers=bearer(SECRET)).status_code == 400
    assert ask(operated, "u0000", "x" * 257).status_code == 400
    asked = {"user_id": "u0000", "item_id": "item1", "n": 1}
    assert operated.get(ADDRESS, query_string=asked, headers=bearer(SECRET)).status_code == 400
    nowhere = operated.get("/v1/nowhere/trace?user_id=a&item_id=b", headers=bearer(SECRET))
    empty = operated.get("/v1/empty/trace?user_id=a&item_id=b", headers=bearer(SECRET))
    assert (nowhere.status_code, empty.status_code) == (404, 503)
