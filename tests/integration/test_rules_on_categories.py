"""Rules on categories that many items share, and of items in several: they cost by rule, and memory and SQL agree."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from tests.webapp_world import Batch, World, shop_batch
from webapp.lists import catalog_cache
from webapp.lists.from_memory import from_memory
from webapp.postgres.connection_pool import connection_pool
from webapp.postgres.read_session import ReadSession

pytest_plugins = ["tests.webapp_fixtures"]

CATALOG = "categories"
FIRST, SECOND = "20240101T000000Z-1", "20240102T000000Z-1"
SEGMENTS = (None, "gold", "silver")
SHARED = ("everything", "half", "third")
TAGS = tuple(f"tag {k}" for k in range(13))


def goods(batch_id: str, shift: int = 0) -> Batch:
    """The shop in three segments; most items are in two tags and some of SHARED, in other ones by `shift`."""
    batch = shop_batch(batch_id, seed=4)
    draw, scores = random.Random(6), [round(1 / rank, 4) for rank in range(1, 101)]
    items = {}
    for k, (item, known) in enumerate(batch.items.items()):
        n = k + shift
        shared = [name for name, each in zip(SHARED, (1, 2, 3), strict=True) if n % each == 0]
        categories = [f"tag {n % 13}", *shared, f"tag {n % 5}", f"tag {n % 13}"]  # one of them twice
        items[item] = (known[0], categories if n % 10 else None, known[2])
    users = {
        u: (draw.sample(list(items), 100), scores, *one[2:5], SEGMENTS[k % 3])
        for k, (u, one) in enumerate(batch.users.items())
        if k % 4 == 0 or not u.startswith("u")
    }
    popular = {"all": (list(items)[:300], [round(1 / rank, 5) for rank in range(1, 301)])}
    seen = {u: draw.sample([i for i in items if i not in users[u][0]], 40) for u in list(users)[::2]}
    return replace(batch, items=items, users=users, popular=popular, seen=seen, reasons={}, top_n_stored=300)  # type: ignore[arg-type]


def in_categories(batch: Batch) -> dict[str, set[str]]:
    return {item: set(known[1] or ()) for item, known in batch.items.items()}


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    world.make_catalog(CATALOG)
    world.publish(CATALOG, goods(FIRST))
    return world


@pytest.fixture
def add(shop: World) -> Iterator[Any]:
    """Adds rules; all are removed at the end, and the first batch is live again."""

    def some(*rules: dict[str, Any]) -> None:
        every = "select add_rule(r) from jsonb_array_elements(%s) as r"
        shop.sql(
            every,
            json.dumps([rule | {"allow_unknown": True} for rule in rules]),
            role="recjobs_editor",
            catalog=CATALOG,
        )

    yield some
    remove_all = "update rules set removed_at = now(), removed_by = 'the test' where removed_at is null"
    shop.sql(remove_all, role="recjobs_editor", catalog=CATALOG)


def recommended(world: World, asked: dict[str, int]) -> dict[str, list[tuple[Any, ...]]]:
    """What the SQL function recommends to each user, as many as asked."""
    every = """
        select a.user_id, r.rank, r.item_id, r.score, r.source
        from unnest(%s, %s) as a (user_id, n) cross join lateral recommend(a.user_id, a.n) as r order by 1, 2
    """
    lists: dict[str, list[tuple[Any, ...]]] = {user_id: [] for user_id in asked}
    for user_id, *entry in world.sql(every, list(asked), list(asked.values()), role="recjobs_reader", catalog=CATALOG):
        lists[user_id].append(tuple(entry))
    return lists


def api(client: FlaskClient, user_id: str, n: int = 30) -> list[tuple[Any, ...]]:
    answer = client.get(f"/v1/{CATALOG}/recommendations", query_string={"user_id": user_id, "n": n})
    assert answer.status_code == 200, answer.text
    return [(i["rank"], i["item_id"], pytest.approx(i["score"]), i["source"]) for i in answer.json["items"]]


def random_rules(draw: random.Random, batch: Batch, n: int) -> list[dict[str, Any]]:
    rules = []
    for _ in range(n):
        kind = draw.choices(("block", "out_of_stock", "pin", "boost", "cap"), (3, 2, 3, 6, 6))[0]
        rule: dict[str, Any] = {"kind": kind, "segment": draw.choice(SEGMENTS)}
        category = draw.choice(TAGS if kind in ("block", "out_of_stock") else (*TAGS, *SHARED, "of no item"))
        if kind == "cap":
            rule["category"] = draw.choice((None, category))
            rule["at_most"] = draw.randint(2, 25)
        elif kind == "pin" or draw.random() < 0.2:
            rule["item_id"] = draw.choice(list(batch.items))
        else:
            rule["category"] = category
        rule |= {"pin": {"place": draw.randint(1, 35)}, "boost": {"factor": draw.choice((0.5, 2, 5))}}.get(kind, {})
        rule |= draw.choice(
            ({}, {}, {}, {"starts_at": "2999-01-01"}, {"starts_at": "2020-01-01", "ends_at": "2021-01-01"})
        )
        rules.append(rule)
    return rules


@pytest.mark.parametrize("seed", range(3))
def test_random_rules_on_shared_categories_hold_and_memory_and_sql_agree(shop: World, add: Any, seed: int):
    draw, batch = random.Random(seed), goods(FIRST)
    rules = random_rules(draw, batch, 25)
    add(*rules)
    asked = {user_id: draw.randint(1, 30) for user_id in [*draw.sample(list(batch.users), 40), "a guest", "another"]}
    expected, client, categories = recommended(shop, asked), shop.client(), in_categories(batch)
    for user_id, n in asked.items():
        assert api(client, user_id, n) == expected[user_id], user_id
    for user_id, entries in recommended(shop, dict.fromkeys(asked, 30)).items():
        assert entries[: asked[user_id]] == expected[user_id]
        segment = batch.users[user_id][5] if user_id in batch.users else None  # type: ignore[misc]
        active = [r for r in rules if r["segment"] in (None, segment) and "starts_at" not in r]
        items = [item_id for _, item_id, _, _ in entries]
        assert len(set(items)) == len(items)
        counted = Counter(name for item_id in items for name in categories[item_id])
        for rule in active:
            if rule["kind"] in ("block", "out_of_stock"):
                assert rule.get("item_id") not in items
                assert not counted[rule.get("category")]
            if rule["kind"] == "cap":
                for name in [rule["category"]] if rule["category"] else [*TAGS, *SHARED]:
                    assert counted[name] <= rule["at_most"], rule
    with client.application.app_context(), connection_pool().session(CATALOG) as session:
        in_memory = [user_id for user_id in asked if from_memory(session, CATALOG, user_id, 20, 0)]
    assert len(in_memory) == len(asked), (
        "what is fast is what was compared, lists that rules leave too short among them"
    )


def test_web_apps_of_the_release_before_read_each_item_of_a_rule(shop: World, add: Any):
    batch = goods(FIRST)
    add(
        {"kind": "block", "category": "tag 3"},
        {"kind": "cap", "at_most": 9},
        {"kind": "boost", "category": "half", "factor": 2},
        {"kind": "block", "item_id": "item7"},
        {"kind": "block", "category": "half", "starts_at": "2020-01-01", "ends_at": "2021-01-01"},
    )
    written = shop.sql("select kind, item_id, category from written_rules", role="recjobs_reader", catalog=CATALOG)
    expected = {("block", "item7", "")}
    for item_id, names in in_categories(batch).items():
        expected |= {("cap", item_id, name) for name in names}
        expected |= {(kind, item_id, name) for kind, name in (("block", "tag 3"), ("boost", "half")) if name in names}
    assert sorted(written) == sorted(expected)
    versions = """
        select count(distinct w.version), max(w.version) = l.rules_version
        from written_rules as w, live_state as l
        group by l.rules_version
    """
    assert shop.sql(versions, role="recjobs_reader", catalog=CATALOG) == [(1, True)]


def test_similar_items_and_a_narrowed_list_keep_to_rules_on_categories(shop: World, add: Any):
    batch, client = goods(FIRST), shop.client()
    categories = in_categories(batch)
    add({"kind": "block", "category": "third"}, {"kind": "out_of_stock", "item_id": "item7"})
    hidden = {item_id for item_id, names in categories.items() if "third" in names} | {"item7"}
    found = shop.sql(
        "select item_id, array_agg(similar_item_id order by rank) from similar_items group by 1", catalog=CATALOG
    )
    assert dict(found) == {
        item_id: left
        for item_id, (similar, _) in batch.similar.items()
        if (left := [other for other in similar if other not in hidden])
    }
    some = next(iter(batch.users))
    for query in ({"user_id": "a guest", "exclude": "item1"}, {"user_id": some, "category": "half"}):
        answer = client.get(f"/v1/{CATALOG}/recommendations", query_string={"n": 30, **query})
        items = {item["item_id"] for item in answer.json["items"]}
        assert items
        assert not items & hidden
    whys = shop.sql("select answer, rule_kind from trace('a guest', 'item3')", role="recjobs_reader", catalog=CATALOG)
    assert ("third" in categories["item3"]) == (whys == [("blocked", "block")])


@pytest.fixture(params=[1_000, pytest.param(20_000, marks=pytest.mark.soak)])
def large(request: pytest.FixtureRequest, world: World) -> tuple[World, str]:
    """A catalog of many items, each in ten of a hundred categories, with a rule on each of these."""
    catalog = f"large_{request.param}"
    world.make_catalog(catalog)
    batch = Batch(FIRST, "2024-01-01", top_n_served=10, top_n_stored=100)
    batch.items = {f"i{k}": (None, [f"c{(k * 7 + j) % 100}" for j in range(10)], None) for k in range(request.param)}
    scores = [round(1 / rank, 4) for rank in range(1, 101)]
    batch.users = {"u": ([f"i{k * 9}" for k in range(100)], scores, "als", 100, 0)}
    batch.popular = {"all": (list(batch.items)[:100], scores)}
    world.publish(catalog, batch)
    rules = [{"kind": "boost", "category": f"c{k}", "factor": 1 + k % 3} for k in range(100)]
    every = "select count(add_rule(r)) from jsonb_array_elements(%s) as r"
    world.sql(every, json.dumps(rules), role="recjobs_editor", catalog=catalog)
    return world, catalog


def test_a_rule_on_a_category_costs_the_web_app_and_a_pointer_move_nothing_for_each_item(
    large: tuple[World, str], monkeypatch: pytest.MonkeyPatch
):
    world, catalog = large
    rows, read = Counter[str](), ReadSession.rows

    def counted(session: ReadSession, name: str, *parameters: object) -> list[Any]:
        found = read(session, name, *parameters)
        rows[name] += len(found)
        return found

    monkeypatch.setattr(ReadSession, "rows", counted)
    answer = world.client().get(f"/v1/{catalog}/recommendations?user_id=u&n=10")
    assert answer.status_code == 200
    by_sql = "select array_agg(item_id order by rank) from recommend('u', 10)"
    assert [item["item_id"] for item in answer.json["items"]] == world.sql(by_sql, catalog=catalog)[0][0]
    assert "stored" in rows
    assert sum(rows.values()) < 150, rows

    connection = psycopg2.connect(world.url(), options=f"-c search_path={catalog},pg_temp")
    with connection.cursor() as cursor:
        cursor.execute("update live_batch set batch_id = batch_id")
        cursor.execute("select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_xact_user_tables")
        assert cursor.fetchone()[0] < 5  # type: ignore[index]
        cursor.execute('select add_rule(\'{"kind": "cap", "at_most": 3}\')')
        cursor.execute("select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_xact_user_tables")
        assert cursor.fetchone()[0] < 10  # type: ignore[index]
    connection.close()


def test_rules_that_memory_cannot_have_are_applied_by_sql(shop: World, add: Any, monkeypatch: pytest.MonkeyPatch):
    users = list(goods(FIRST).users)[:5]
    add({"kind": "block", "category": "tag 3"}, {"kind": "block", "category": "tag 4"})
    expected = recommended(shop, dict.fromkeys(users, 30))

    def in_memory(client: FlaskClient) -> int:
        for user_id in users:
            assert api(client, user_id) == expected[user_id]
        with client.application.app_context(), connection_pool().session(CATALOG) as session:
            return sum(from_memory(session, CATALOG, user_id, 30, 0) is not None for user_id in users)

    assert in_memory(shop.client()) > 0
    with monkeypatch.context() as patch:
        patch.setattr(catalog_cache, "MAX_RULES", 1)
        assert in_memory(shop.client()) == 0

    client, read, tries = shop.client(), ReadSession.rows, []

    def cancelled(session: ReadSession, name: str, *parameters: object) -> list[Any]:
        if name != "served_rules":
            return read(session, name, *parameters)
        tries.append(name)
        raise catalog_cache.Unavailable("database_unavailable", "Canceled by the statement timeout")

    with monkeypatch.context() as patch:
        patch.setattr(ReadSession, "rows", cancelled)
        assert in_memory(client) == 0
    assert len(tries) == 1, "and each request does not try again"
    monkeypatch.setattr(catalog_cache, "RETRY_SECONDS", 0.0)
    client.application.extensions["connection_pool"].session(CATALOG).cache._not_loaded = (-1, 0.0)
    assert in_memory(client) > 0


def test_rules_and_memory_follow_the_pointer_also_past_an_editor_who_is_not_done(shop: World, add: Any):
    """The editor's transaction is open while the batch is published, and neither waits for the other."""
    client, user_id = shop.client(), "u0004"
    add({"kind": "cap", "category": "tag 1", "at_most": 1})
    assert api(client, user_id) == recommended(shop, {user_id: 30})[user_id]
    connection = psycopg2.connect(shop.url("recjobs_editor"), options=f"-c search_path={CATALOG},pg_temp")
    with connection, connection.cursor() as cursor:
        cursor.execute("""select add_rule('{"kind": "block", "category": "tag 2"}')""")
        shop.publish(CATALOG, goods(SECOND, shift=1))
        assert api(client, user_id) == recommended(shop, {user_id: 30})[user_id]
    connection.close()
    try:
        now = in_categories(goods(SECOND, shift=1))
        for answer in (api(client, user_id), recommended(shop, {user_id: 30})[user_id]):
            counted = Counter(name for _, item_id, _, _ in answer for name in now[item_id])
            assert (counted["tag 1"], counted["tag 2"]) == (1, 0)
        assert api(client, user_id) == recommended(shop, {user_id: 30})[user_id]
        every = shop.sql("select distinct item_id from recommendations", catalog=CATALOG)
        assert not [item_id for (item_id,) in every if "tag 2" in now[item_id]]
        shop.sql("select roll_back(null, 'back')", role="recjobs_editor", catalog=CATALOG)
        assert api(client, user_id) == recommended(shop, {user_id: 30})[user_id]
    finally:
        shop.sql("select roll_back(%s, 'the test')", FIRST, role="recjobs_editor", catalog=CATALOG)
