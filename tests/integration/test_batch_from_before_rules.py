"""A batch from before there were rules does not say what its users have seen: nothing from outside enters their lists.

Such a batch is made by the migrations of that time, and a newer one by the functions of now; then it is rolled back.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.batches import stage
from tests.checkouts import Checkout
from tests.webapp_world import PATIENT
from tests.worlds import World
from webapp import create_app
from webapp.settings import Settings

BEFORE_RULES = "0008"
ITEMS = [f"i{k}" for k in range(10)]
USERS = [f"u{k}" for k in range(8)]
LISTS = {u: [ITEMS[(k + place) % 10] for place in range(5)] for k, u in enumerate(USERS)}
SEEN = {u: [i for i in ITEMS if i not in LISTS[u]] for u in USERS}
"""Everybody has seen what is not in their list; their history shows the latest two of it."""
PINNED, NEVER_SEEN = "i9", [u for u in USERS if "i9" in LISTS[u]]


def load(world: World, day: int, of_now: bool) -> str:
    """Publish a batch of these lists, as the code of then or of now did."""
    batch_id = stage(world, day)
    popular = ITEMS[::-1]
    kinds = {f"category:kind {kind}": [i for i in popular if int(i[1]) % 2 == kind] for kind in (0, 1)}
    of_kind = {"all": popular, **kinds}
    rows: dict[str, list[tuple[Any, ...]]] = {
        "item_records": [(i, [f"kind {k % 2}"], True, 10 - k, *([k] if of_now else [])) for k, i in enumerate(ITEMS)],
        "top_n": [(u, its, [5.0, 4, 3, 2, 1], "als", 5, 0) for u, its in LISTS.items()],
        "popular_lists": [(segment, its, [1.0] * len(its)) for segment, its in of_kind.items()],
        "similar_lists": [(i, popular, [1.0] * 10) for i in ITEMS],
        "history_lists": [
            (u, its[:2], [datetime(2024, 1, 2, tzinfo=UTC)] * 2, *([[ITEMS.index(i) for i in its]] if of_now else []))
            for u, its in SEEN.items()
        ],
    }
    columns = {
        "item_records": "item_id, categories, available, n_users" + (", item_idx" if of_now else ""),
        "top_n": "user_id, item_ids, scores, source, n_model, n_category",
        "popular_lists": "segment, item_ids, scores",
        "similar_lists": "item_id, item_ids, scores",
        "history_lists": "user_id, item_ids, occurred_at" + (", seen" if of_now else ""),
    }
    for table, its in rows.items():
        part = world.value("select partition_name(%s, %s)", table, batch_id, role="admin")
        insert = f"insert into {part} (batch_id, {columns[table]}) values (%s{', %s' * len(its[0])})"
        for row in its:
            world.rows(insert, batch_id, *row, role="admin")
    world.rows("select seal_batch(%s)", batch_id, role="admin")
    world.rows("select attach_batch(%s, null, false)", batch_id, role="admin")
    assert world.value("select publish_batch(%s, null, false, null)", batch_id, role="admin")
    return batch_id


@pytest.fixture
def client(checkout: Checkout) -> FlaskClient:
    """A client of a web app on a catalog that was rolled back to a batch from before rules, with a pin and blocks."""
    world = checkout.world
    checkout.migrate_by_migrations_alone(BEFORE_RULES)
    older = load(world, 1, of_now=False)
    checkout.migrate()
    load(world, 2, of_now=True)
    for rule in (
        {"kind": "pin", "item_id": PINNED, "place": 1},
        *({"kind": "block", "item_id": item} for item in LISTS["u0"][:3]),  # so that a list has to be filled
    ):
        world.rows("select add_rule(%s)", json.dumps(rule), role="recjobs_editor")
    world.rows("update batch_records set top_n_served = 3, top_n_stored = 5", role="admin")
    assert world.value("select roll_back(null, 'a test')", role="recjobs_editor") == older
    url = world.postgres.cluster.url("recjobs_reader")
    return create_app(Settings(database_url=url, request_log=False, **PATIENT)).test_client()


def test_after_a_roll_back_to_a_batch_from_before_rules_nobody_is_shown_what_they_have_seen(
    client: FlaskClient, checkout: Checkout
):
    world = checkout.world

    def by_api(**query: Any) -> Callable[[str], list[str]]:
        def ask(user_id: str) -> list[str]:
            answer = client.get(f"/v1/{world.name}/recommendations", query_string={"user_id": user_id, **query})
            assert answer.status_code == 200, answer.text
            return [item["item_id"] for item in answer.json["items"]]

        return ask

    def by_sql(statement: str) -> Callable[[str], list[str]]:
        return lambda user_id: [row["item_id"] for row in world.rows(statement, user_id)]

    def of_many(user_id: str) -> list[str]:
        answer = client.post(f"/v1/{world.name}/recommendations:batch", json={"user_ids": [user_id]})
        assert answer.status_code == 200, answer.text
        return [item["item_id"] for item in answer.json["answers"][0]["items"]]

    ways = {
        "API": by_api(n=3),
        "API, without an item": by_api(n=3, exclude="i5"),
        "API, further down": by_api(n=2, offset=1, exclude="i5"),
        "API, of a category": by_api(n=3, category="kind 1"),
        "API, of many": of_many,
        "view": by_sql("select item_id from recommendations where user_id = %s"),
        "function": by_sql("select item_id from recommend(%s, 3)"),
        "narrowed": by_sql("select item_id from recommend_narrowed(%s, 3, 0, '{i5}')"),
    }
    for name, way in ways.items():
        shown = {user_id: way(user_id) for user_id in USERS}
        assert {u: [i for i in its if i in SEEN[u]] for u, its in shown.items()} == {u: [] for u in USERS}, name
        assert any(shown.values()), name
    pinned = [u for u in USERS if ways["API"](u)[:1] == [PINNED]]
    assert pinned == NEVER_SEEN, "in whose list it stands"
    assert ways["API"]("a guest")[0] == ways["function"]("a guest")[0] == PINNED
    assert ways["API"]("u0") == ways["view"]("u0") == LISTS["u0"][3:], "shorter, since what is popular may be seen"

    traced = world.rows("select answer, seen_at from trace('u4', %s)", SEEN["u4"][0])[0]
    assert (traced["answer"], str(traced["seen_at"])[:7]) == ("seen", "2024-01")
