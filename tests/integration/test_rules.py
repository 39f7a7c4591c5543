"""Rules over finished lists hold in the next answer, and lists stay full: looked at from outside, over every user."""

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
from webapp.lists.from_memory import from_memory
from webapp.postgres.connection_pool import connection_pool

pytest_plugins = ["tests.webapp_fixtures"]

CATALOG = "ruled"
SEGMENTS = (None, "gold", "silver & <b>")
BLOCKS = ("block", "expire", "out_of_stock")


@pytest.fixture(scope="module")
def goods() -> Batch:
    """The shop, in three segments, with a popular list that goes on where the lists end."""
    batch = shop_batch(seed=3)
    draw, scores = random.Random(5), [round(1 / rank, 4) for rank in range(1, 101)]
    users = {
        u: (draw.sample(list(batch.items), 100), scores, *one[2:5], SEGMENTS[k % 3])
        for k, (u, one) in enumerate(batch.users.items())
    }
    popular = dict(batch.popular)
    popular["all"] = ([f"item{k}" for k in range(200)], [round(1 / rank, 4) for rank in range(1, 201)])
    reasons = {u: (some, [*places, *[0] * 60]) for u, (some, places) in batch.reasons.items()}
    seen = {u: draw.sample([i for i in batch.items if i not in users[u][0]], 60) for u in batch.seen}
    return replace(batch, users=users, popular=popular, reasons=reasons, seen=seen)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shop(world: World, goods: Batch) -> World:
    """The world with a catalog of our own, in it."""
    world.make_catalog(CATALOG)
    world.publish(CATALOG, goods)
    return world


@pytest.fixture
def add(shop: World) -> Iterator[Any]:
    """Adds a rule; all are removed at the end."""

    def one(**rule: Any) -> int:
        return int(editor(shop, "select add_rule(%s)", json.dumps(rule))[0][0])

    yield one
    editor(shop, "update rules set removed_at = now(), removed_by = 'the test' where removed_at is null")


def editor(world: World, statement: str, *parameters: Any) -> list[Any]:
    return world.sql(statement, *parameters, role="recjobs_editor", catalog=CATALOG)


def reader(world: World, statement: str, *parameters: Any) -> list[Any]:
    return world.sql(statement, *parameters, role="recjobs_reader", catalog=CATALOG)


def served(world: World, user_id: str, n: int = 30) -> list[str]:
    return [row[1] for row in reader(world, "select * from recommend(%s, %s) order by rank", user_id, n)]


def api(client: FlaskClient, user_id: str, n: int = 30) -> list[tuple[Any, ...]]:
    answer = client.get(f"/v1/{CATALOG}/recommendations", query_string={"user_id": user_id, "n": n})
    assert answer.status_code == 200, answer.text
    return [(i["rank"], i["item_id"], pytest.approx(i["score"]), i["source"]) for i in answer.json["items"]]


def test_without_rules_a_list_is_as_the_night_made_it(shop: World, goods: Batch):
    assert served(shop, "u0007") == goods.users["u0007"][0][:30]


@pytest.mark.parametrize("kind", BLOCKS)
def test_what_is_blocked_is_gone_and_the_next_moves_up(shop: World, goods: Batch, add: Any, kind: str):
    before = goods.users["u0001"][0]
    add(kind=kind, item_id=before[4])
    assert served(shop, "u0001") == [*before[:4], *before[5:31]]
    assert before[4] not in {row[0] for row in reader(shop, "select item_id from recommendations")}
    assert before[4] not in {row[0] for row in reader(shop, "select item_id from popular_items")}
    assert before[4] not in {row[0] for row in reader(shop, "select similar_item_id from similar_items")}


def test_a_rule_has_a_beginning_an_end_and_a_way_back(shop: World, goods: Batch, add: Any):
    before = goods.users["u0001"][0]
    add(kind="expire", item_id=before[0], starts_at="2999-01-01")
    add(kind="block", item_id=before[1], starts_at="2020-01-01", ends_at="2021-01-01")
    assert served(shop, "u0001") == before[:30]
    rule = add(kind="block", item_id=before[2], author="ann", note="recalled")
    assert before[2] not in served(shop, "u0001")
    assert editor(shop, "select remove_rule(%s, 'ben')", rule) == [(True,)]
    assert editor(shop, "select remove_rule(%s, 'ben')", rule) == [(False,)]
    assert served(shop, "u0001") == before[:30]
    told = reader(shop, "select author, note, removed_by, in_force from rules where rule_id = %s", rule)
    assert told == [("ann", "recalled", "ben", False)]
    assert editor(shop, "select restore_rule(%s, 'ann')", rule) == [(True,)]
    assert before[2] not in served(shop, "u0001")


def test_rules_are_rows_that_an_editor_writes_by_plain_sql(shop: World, goods: Batch, add: Any):
    before = goods.users["u0001"][0]
    found = editor(shop, "insert into rules (kind, item_id) values ('block', %s) returning rule_id", before[0])
    assert served(shop, "u0001") == before[1:31]
    editor(shop, "update rules set ends_at = now() where rule_id = %s", found[0][0])
    assert served(shop, "u0001") == before[:30]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        editor(shop, "delete from rules")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        reader(shop, "insert into rules (kind, item_id) values ('block', 'x')")


def test_a_pin_has_its_place_in_the_lists_of_its_segment_and_of_guests(shop: World, goods: Batch, add: Any):
    known = {*goods.users["u0001"][0], *goods.seen["u0001"], *goods.users["u0000"][0], *goods.popular["all"][0]}
    stranger = next(i for i in goods.items if i not in known)
    add(kind="pin", item_id=stranger, place=3)
    add(kind="pin", item_id=goods.users["u0001"][0][9], place=3, segment="gold")
    before = goods.users["u0001"][0]  # of segment gold
    both = [before[9], stranger] if before[9] < stranger else [stranger, before[9]]
    assert set(served(shop, "u0001")[2:4]) == set(both)
    rest = [i for i in before if i != before[9]]
    assert [i for i in served(shop, "u0001") if i not in both] == rest[:28]
    assert served(shop, "u0000")[2] == served(shop, "a guest")[2] == stranger
    source = reader(shop, "select score, source from recommend('a guest', 5) where rank = 3")
    assert source == [(pytest.approx(1 / 3), "pinned")]


def test_what_is_pinned_is_neither_sold_out_nor_seen_nor_unknown(shop: World, goods: Batch, add: Any):
    user = "u0003"
    assert user not in goods.seen
    stranger = next(i for i in goods.items if i not in goods.users[user][0])
    add(kind="pin", item_id=stranger, place=1)
    assert served(shop, user)[0] == stranger
    add(kind="pin", item_id="no such item", place=1, allow_unknown=True)
    assert served(shop, user)[0] == stranger
    number = 7
    shop.sql("update item_records set item_idx = %s where item_id = %s", number, stranger, catalog=CATALOG)
    shop.sql("update history_lists set seen = array[%s] where user_id = %s", number, user, catalog=CATALOG)
    assert served(shop, user) == goods.users[user][0][:30]
    shop.sql("update history_lists set seen = null where user_id = %s", user, catalog=CATALOG)
    shop.sql("update item_records set available = false where item_id = %s", stranger, catalog=CATALOG)
    assert served(shop, user) == goods.users[user][0][:30]
    shop.sql("update item_records set available = true where item_id = %s", stranger, catalog=CATALOG)


def test_a_boost_divides_the_place(shop: World, goods: Batch, add: Any):
    before = goods.users["u0001"][0]
    add(kind="boost", item_id=before[29], factor=3)
    assert served(shop, "u0001") == [*before[:9], before[29], *before[9:29]]
    add(kind="boost", item_id=before[0], factor=0.1)
    assert served(shop, "u0001")[9] == before[0]


def test_a_cap_holds_for_a_category_or_for_each(shop: World, goods: Batch, add: Any):
    category = {i: (known[1] or [None])[0] for i, known in goods.items.items()}
    add(kind="cap", category="kind 1", at_most=2)
    assert Counter(category[i] for i in served(shop, "u0001"))["kind 1"] == 2
    add(kind="cap", at_most=4)
    for user in ("u0001", "u0002", "a guest"):
        counted = Counter(category[i] for i in served(shop, user))
        assert counted["kind 1"] == 2
        assert max(counted["kind 0"], counted["kind 2"]) <= 4
        assert sum(counted.values()) == 30


def test_what_rules_empty_is_filled_with_what_is_popular_and_unseen(shop: World, goods: Batch, add: Any):
    before = goods.users["u0005"][0]
    for item in before[:75]:
        add(kind="block", item_id=item)
    known = {*before, *goods.seen["u0005"]}
    left = [i for i in goods.popular["all"][0] if i not in known]
    assert served(shop, "u0005") == [*before[75:], *left[:5]]


def test_a_list_that_is_shorter_than_what_is_served_is_not_filled_but_a_pin_comes_in(
    world: World, goods: Batch, client: FlaskClient
):
    world.make_catalog("short")
    some, scores = [f"item{k}" for k in (1, 3, 4, 5)], [0.9, 0.8, 0.7, 0.6]
    users = {"few": (some, scores, "als", 4, 0), "none": ([], [], "popular", 0, 0)}
    world.publish("short", replace(goods, users=users, reasons={}, seen={}, history={}))  # type: ignore[arg-type]

    def lists(user_id: str) -> list[str]:
        rows = world.sql("select item_id from recommend(%s, 30)", user_id, role="recjobs_reader", catalog="short")
        answer = client.get("/v1/short/recommendations", query_string={"user_id": user_id, "n": 30}).json
        assert [row[0] for row in rows] == [item["item_id"] for item in answer["items"]]
        return [row[0] for row in rows]

    for rule in ({"kind": "block", "item_id": "item3"}, {"kind": "cap", "category": "kind 2", "at_most": 0}):
        world.sql("select add_rule(%s)", json.dumps(rule), role="recjobs_editor", catalog="short")
    assert (lists("few"), lists("none")) == (["item1", "item4"], [])
    rule = {"kind": "pin", "item_id": "item9", "place": 2}
    world.sql("select add_rule(%s)", json.dumps(rule), role="recjobs_editor", catalog="short")
    assert (lists("few"), lists("none")) == (["item1", "item9", "item4"], ["item9"])


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "hide", "item_id": "x"}, {"kind": "block"}, {"kind": "block", "item_id": "x", "category": "y"},
        {"kind": "pin", "item_id": "x"}, {"kind": "pin", "category": "x", "place": 1},
        {"kind": "pin", "item_id": "x", "place": 0},
        {"kind": "boost", "item_id": "x", "factor": -1}, {"kind": "cap", "at_most": 3, "item_id": "x"},
        {"kind": "block", "item_id": "x", "starts_at": "2024-01-02", "ends_at": "2024-01-01"},
        {"kind": "block", "item_id": "x", "starts_at": "soon"}, {"kind": "block", "item_id": "x", "colour": "red"},
        {"kind": "block", "item_id": "x" * 257}, {},
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_in_words(shop: World, rule: dict[str, Any]):
    with pytest.raises(psycopg2.Error) as refused:
        editor(shop, "select add_rule(%s)", json.dumps(rule))
    assert refused.value.pgcode == "RJ064", refused.value
    assert reader(shop, "select count(*) from rules where removed_at is null") == [(0,)]


def test_trying_a_rule_says_what_it_would_do_and_changes_nothing(shop: World, goods: Batch, add: Any):
    item = goods.users["u0001"][0][0]
    before = reader(shop, "select * from served_lists order by user_id")
    told = editor(shop, "select try_rule(%s, 100000)", json.dumps({"kind": "block", "item_id": item}))[0][0]
    with_it = sum(item in one[0][:30] for one in goods.users.values())
    assert told["of"] == told["lists"] == len(goods.users)
    assert (told["touched"], told["short"]) == (with_it, 0)
    first_ten = sum(item in one[0][:10] for one in goods.users.values())
    assert told["losers"] == [{"item_id": item, "before": first_ten, "after": 0}]
    assert sum(w["after"] - w["before"] for w in told["winners"]) <= first_ten
    assert reader(shop, "select * from served_lists order by user_id") == before
    assert reader(shop, "select count(*) from rules where removed_at is null") == [(0,)]


def random_rules(draw: random.Random, goods: Batch, n: int) -> list[dict[str, Any]]:
    items = list(goods.items)
    rules = []
    for _ in range(n):
        kind = draw.choices(("block", "expire", "out_of_stock", "pin", "boost", "cap"), (20, 10, 10, 6, 8, 2))[0]
        rule: dict[str, Any] = {"kind": kind, "segment": draw.choice((None, None, *SEGMENTS[1:]))}
        if kind == "cap":
            rule |= {"category": draw.choice((None, "kind 0", "kind 1")), "at_most": draw.randint(3, 12)}
        else:
            rule["item_id"] = draw.choice(items)
        rule |= {"pin": {"place": draw.randint(1, 35)}, "boost": {"factor": draw.choice((0.5, 2, 5))}}.get(kind, {})
        times = draw.random()
        if times < 0.1:
            rule["starts_at"] = "2999-01-01"
        elif times < 0.2:
            rule |= {"starts_at": "2020-01-01", "ends_at": "2021-01-01"}
        rules.append(rule)
    return rules


@pytest.mark.parametrize("seed", range(3))
def test_two_hundred_random_rules_hold_for_everybody_and_api_and_sql_agree(
    shop: World, goods: Batch, add: Any, seed: int
):
    draw = random.Random(seed)
    rules = random_rules(draw, goods, 200)
    for rule in rules:
        add(**rule)
    client = shop.client()
    category = {i: (known[1] or [None])[0] for i, known in goods.items.items()}
    rows = reader(shop, "select user_id, rank, item_id, score, source from recommendations order by user_id, rank")
    lists: dict[str, list[Any]] = {}
    for user_id, *entry in rows:
        lists.setdefault(user_id, []).append(entry)
    assert set(lists) == set(goods.users)
    guests = [f"guest {k}" for k in range(3)]
    for user_id in guests:
        guest = "select rank, item_id, score, source from recommend(%s, 30)"
        lists[user_id] = [list(row) for row in reader(shop, guest, user_id)]
    for user_id, found in lists.items():
        segment = goods.users[user_id][5] if user_id in goods.users else None  # type: ignore[misc]
        _holds(found, [r for r in rules if _in_force(r, segment)], category, set(goods.seen.get(user_id, ())))
    asked = {user_id: draw.randint(1, 30) for user_id in lists}
    every = """
        select a.user_id, r.rank, r.item_id, r.score, r.source
        from unnest(%s, %s) as a (user_id, n) cross join lateral recommend(a.user_id, a.n) as r order by 1, 2
    """
    by_sql: dict[str, list[Any]] = {}
    for user_id, *entry in reader(shop, every, list(asked), list(asked.values())):
        by_sql.setdefault(user_id, []).append(tuple(entry))
    for user_id, n in asked.items():
        assert by_sql[user_id] == [tuple(entry) for entry in lists[user_id][:n]]
        assert api(client, user_id, n) == by_sql[user_id]
    in_memory = []
    with client.application.app_context():
        for user_id in goods.users:
            with connection_pool().session(CATALOG) as session:  # a session has the time of one request
                in_memory += [user_id] if from_memory(session, CATALOG, user_id, 20, 0) else []
    assert len(in_memory) > 0.9 * len(goods.users), "what is fast is what was compared"


def test_a_rule_that_comes_between_two_statements_and_goes_leaves_nothing_behind(shop: World, add: Any):
    client, expected = shop.client(), served(shop, "a guest", 20)
    with client.application.app_context(), connection_pool().session(CATALOG) as session:

        class Between:
            """The session, before whose second statement somebody blocks an item."""

            cache, rules = session.cache, []

            def row(self, name: str, *parameters: object) -> Any:
                if name == "recommendations":
                    self.rules.append(add(kind="block", item_id=expected[0]))
                return session.row(name, *parameters)

        meanwhile: Any = Between()
        answer = from_memory(meanwhile, CATALOG, "a guest", 20, 0)
    assert answer is not None
    assert expected[0] not in {item["item_id"] for item in answer.to_dict()["items"]}
    assert editor(shop, "select remove_rule(%s, 'ben')", *meanwhile.rules) == [(True,)]
    assert [item_id for _, item_id, _, _ in api(client, "another guest", 20)] == expected


def _in_force(rule: dict[str, Any], segment: str | None) -> bool:
    return rule["segment"] in (None, segment) and "starts_at" not in rule


def _holds(found: list[Any], rules: list[dict[str, Any]], category: dict[str, str | None], seen: set[str]) -> None:
    items = [item for _, item, _, _ in found]
    assert [rank for rank, *_ in found] == list(range(1, 31)), "the list is full"
    assert len(set(items)) == 30
    blocked = {r["item_id"] for r in rules if r["kind"] in BLOCKS}
    assert not blocked & set(items)
    assert not seen & set(items)
    for cap in (r for r in rules if r["kind"] == "cap"):
        counted = Counter(category[i] for i in items)
        for name in [cap["category"]] if cap["category"] else set(category.values()) - {None}:
            assert counted[name] <= cap["at_most"]
    last: dict[str, float] = {}
    for _, _, score, source in found:
        assert score <= last.get(source, score), "scores of one source do not rise"
        last[source] = score
    pins = {r["item_id"]: min(o["place"] for o in rules if o["kind"] == "pin" and o["item_id"] == r["item_id"])
            for r in rules if r["kind"] == "pin" and r["item_id"] not in blocked | seen}  # fmt: skip
    caps = any(r["kind"] == "cap" for r in rules)
    taken = 0
    for item, place in sorted(pins.items(), key=lambda pin: pin[1]):
        taken = max(taken + 1, place)
        if taken <= 30 and not caps:
            assert item in items
        if item in items:
            assert items.index(item) + 1 >= place
            assert found[items.index(item)][3] == "pinned"
