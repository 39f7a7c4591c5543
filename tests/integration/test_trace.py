"""Why an item is in a user's list, or why not: one answer of six, held against files and tables."""

import json
import random
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from recjobs.core.model.fold_in import FoldIn
from recjobs.core.model.npz import read
from recjobs.core.model.stored import StoredModel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from tests.worlds import World

TRACED = """
select p.user_id as whose, p.item_id, t.*
from unnest(%s::text[], %s::text[]) as p (user_id, item_id) cross join lateral trace(p.user_id, p.item_id) as t
"""


def traced(world, pairs):
    users, items = (list(ids) for ids in zip(*pairs, strict=True))
    rows = world.rows(TRACED, users, items)
    assert len(rows) == len(pairs)
    return {(row["whose"], row["item_id"]): row for row in rows}


class Look:
    """What one can know of a pair without asking: from the world's files, the served lists and the stored ones."""

    def __init__(self, world: World) -> None:
        self.live = world.live()
        self.latest = world.goods.sound.groupby(["user", "item"])["at"].max().to_dict()
        items = world.goods.items
        self.sold = {item: sold == "yes" for item, sold in zip(items["id"], items["sold"], strict=True)}
        rows = world.rows("select user_id, item_id, rank, score, source, because from recommendations")
        self.served = {(row.pop("user_id"), row.pop("item_id")): row for row in rows}
        stored = "select user_id, item_ids from top_n where batch_id = %s"
        self.stored = {row["user_id"]: row["item_ids"] for row in world.rows(stored, self.live, role="admin")}
        self.popular = world.value("select item_ids from popular_lists where segment = 'all' and batch_id = %s",
                                   self.live, role="admin")  # fmt: skip

    def at(self, user: str, item: str) -> dict:
        if user not in self.stored:
            if item in self.popular[:10]:
                return {"answer": "listed", "rank": self.popular.index(item) + 1, "source": "popular", "because": None}
        elif (user, item) in self.served:
            return {"answer": "listed", **self.served[user, item]}
        if item not in self.sold:
            return {"answer": "unknown_item"}
        if (user, item) in self.latest:
            return {"answer": "seen", "day": self.latest[user, item].date()}
        if not self.sold[item]:
            return {"answer": "ineligible", "reason": "not available"}
        whole = self.stored.get(user, self.popular)
        return {"answer": "below", "rank": whole.index(item) + 1 if item in whole else None}


@pytest.fixture(scope="module")
def look(published: World) -> Look:
    return Look(published)


def some_pairs(look, n):
    draw = random.Random(3)
    users, items = sorted({*look.stored, "a stranger", "another"}), sorted({*look.sold, "no such item", "0007"})
    pairs = {(draw.choice(users), draw.choice(items)) for _ in range(n)}
    return sorted(pairs | {("everything", "item01"), ("a stranger", "item10"), ("everything", "item10")})


def test_each_pair_has_the_answer_that_an_independent_look_gives(published, look):
    pairs = some_pairs(look, 700)
    found, counts = traced(published, pairs), {}
    for pair in pairs:
        row, expected = found[pair], look.at(*pair)
        day = expected.pop("day", None)
        assert {name: row[name] for name in expected} == expected, pair
        assert row["batch_id"] == look.live
        assert row["is_known_user"] == (pair[0] in look.stored)
        if day is not None and row["seen_at"] is None:  # older than the latest that are stored with a date
            assert row["seen_before"].date() >= day
        elif day is not None:
            assert row["seen_at"].astimezone(UTC).date() == day
        counts[row["answer"]] = counts.get(row["answer"], 0) + 1
    assert set(counts) == {"listed", "unknown_item", "seen", "ineligible", "below"}
    assert min(counts.values()) >= 3


@pytest.fixture
def ruled(rolling: World):
    """Adds rules to a world, and removes them after the test."""
    added = []

    def add(**rule) -> int:
        added.append(rolling.value("select add_rule(%s::jsonb)", json.dumps(rule), role="admin"))
        return added[-1]

    yield add
    for rule_id in added:
        rolling.rows("delete from rule_records where rule_id = %s", rule_id, role="admin")
        rolling.rows("select refresh_rule_items(null)", role="admin")


def test_a_rule_that_takes_an_item_out_is_named_with_its_note(rolling, ruled):
    look = Look(rolling)
    user, first, second = "user001", *look.stored["user001"][:2]
    assert traced(rolling, [(user, first)])[user, first]["rank"] == 1
    rule = ruled(kind="block", item_id=first, note="recalled")
    ruled(kind="block", item_id=first, note="again")
    ruled(kind="block", item_id=second, starts_at="2999-01-01")
    out_of_stock = ruled(kind="out_of_stock", item_id=look.popular[0])
    row = traced(rolling, [(user, first)])[user, first]
    assert (row["answer"], row["rule_id"], row["rule_kind"], row["note"]) == ("blocked", rule, "block", "recalled")
    assert traced(rolling, [(user, second)])[user, second]["rank"] == 1
    assert traced(rolling, [("a stranger", look.popular[0])])["a stranger", look.popular[0]]["rule_id"] == out_of_stock
    seen = next(item for one, item in look.latest if one == user)
    ruled(kind="block", item_id=seen)
    assert traced(rolling, [(user, seen)])[user, seen]["answer"] == "seen"
    done = rolling.recjobs("trace", "--user", user, "--item", first)
    assert done.code == 0, done.err
    assert done.out.strip() == f"{first} is not in the list of user001: rule {rule} (block) takes it out: recalled"


def test_a_cap_is_named_where_it_took_the_item_out_and_ranks_are_those_by_the_rules(rolling, ruled):
    look, user = Look(rolling), "user001"
    category = dict(zip(rolling.goods.items["id"], rolling.goods.items["category"], strict=True))
    stored = look.stored[user]
    own = [item for item in stored if category[item] == "Taste 1"]
    cap = ruled(kind="cap", category="Taste 1", at_most=2, note="two are enough")
    ruled(kind="pin", item_id=stored[-1], place=1)
    rest = [item for item in stored[:-1] if item not in own[2:]]
    found = traced(rolling, [(user, item) for item in stored])
    assert found[user, stored[-1]]["source"] == "pinned"
    for item in own[2:]:
        if item != stored[-1]:
            assert (found[user, item]["answer"], found[user, item]["rule_id"]) == ("blocked", cap)
    for place, item in enumerate(rest, 2):
        assert (found[user, item]["answer"], found[user, item]["rank"]) == ("listed" if place <= 10 else "below", place)


def test_the_command_finds_the_rank_behind_the_stored_list_and_the_day_from_the_nights_artifacts(published, look):
    user = "user002"
    behind = [item for item in look.sold if look.at(user, item) == {"answer": "below", "rank": None}]
    step = lambda name, file: published.step(look.live, name, file)  # noqa: E731
    with step("refit", "model.npz").open("rb") as file:
        model = StoredModel.from_arrays(read(file, "the model"))
    recipe = Recipe(factors=8, alpha=10, regularization=1, iterations=8)
    rows = Interactions.from_table(pq.read_table(step("validate", "interactions.parquet")))
    as_of = datetime.fromisoformat(json.loads(step("begin", "request.json").read_text())["as_of"])
    vectors = FoldIn(model.factors.item_factors, recipe).vectors(rows.confidence(recipe, microseconds(as_of)))
    scores = dict(zip(model.item_ids, model.factors.item_factors @ vectors[model.user_ids.index(user)], strict=True))
    in_order = sorted(behind, key=lambda item: -scores[item])
    assert len(in_order) > 10
    for place in (0, 4, len(in_order) - 1):
        done = published.recjobs("trace", "--user", user, "--item", in_order[place], "--json")
        assert done.code == 0, done.err
        assert (done.json["answer"], done.json["rank"]) == ("below", 31 + place)
        assert done.json["text"].endswith(f"below the cut, at rank {31 + place}")

    oldest = sorted((at, item) for (one, item), at in look.latest.items() if one == "everything")[0]
    assert published.rows("select seen_at from trace('everything', %s)", oldest[1]) == [{"seen_at": None}]
    done = published.recjobs("trace", "--user", "everything", "--item", oldest[1])
    assert done.out.strip() == f"{oldest[1]} is not in the list of everything: seen on {oldest[0]:%Y-%m-%d}"


def test_without_artifacts_the_command_says_what_the_database_knows(published, look, tmp_path):
    behind = next(item for item in look.sold if look.at("user002", item) == {"answer": "below", "rank": None})
    done = published.recjobs("trace", "--user", "user002", "--item", behind, RECJOBS_STATE=str(tmp_path))
    assert done.out.strip() == f"{behind} is not in the list of user002: below the cut, below rank 30"


def test_what_is_listed_comes_with_its_reasons_and_a_stranger_with_the_popular_list(published, look):
    (user, item), served = next(pair for pair in look.served.items() if pair[1]["because"])
    done = published.recjobs("trace", "--user", user, "--item", item)
    rank, because = served["rank"], ", ".join(served["because"])
    assert done.out.startswith(f"{item} is in the list of {user} at rank {rank} with score ")
    assert done.out.strip().endswith(f"(als), because of {because}")
    done = published.recjobs("trace", "--user", "a stranger", "--item", look.popular[0], "--json")
    assert done.json["text"].startswith(
        f"{look.popular[0]} is in the popular list, which a stranger gets as a stranger"
    )
    assert (done.json["answer"], done.json["is_known_user"]) == ("listed", False)


def test_while_nothing_is_published_there_is_nothing_to_trace(make_world):
    world = make_world()
    assert world.recjobs("begin").code == 0
    done = world.recjobs("trace", "--user", "user001", "--item", "item00")
    assert done.code == 64
    assert "nothing is published yet" in done.err
