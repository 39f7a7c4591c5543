"""What a verdict does: who is in charge afterwards, and whose factors tonight's lists are made of."""

import json
import re
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from recjobs.core.model.stored import StoredModel
from recjobs.reports.comparison import CHECKS
from tests.list_contract import broken_lists
from tests.worlds import CATALOG, EARLIER, Goods, MakeWorld, World, by_chance, handful

ABSURD = ("--set", "factors=1", "--set", "regularization=1.0e+9", "--set", "alpha=1.0e-3")


def read(world: World, batch_id: str, step: str, name: str) -> Any:
    return json.loads(world.step(batch_id, step, name).read_text())


@pytest.fixture(scope="module")
def refused(make_world: MakeWorld) -> World:
    """The shop after a night that put a champion in charge, and one whose candidate was refused."""
    world = make_world()
    world.publish("--as-of", EARLIER)
    world.publish(*ABSURD)
    return world


def test_a_refused_candidate_is_a_result_and_the_champion_stays(refused: World):
    first, second = refused.rows("select * from batches order by as_of")
    verdict = refused.rows("select * from promotions order by batch_id")[1]
    assert verdict["verdict"] == "refused"
    assert verdict["reason"]
    assert verdict["candidate"] < verdict["champion"]
    assert second["is_live"]
    assert second["model_version"] == second["champion_version"] == first["model_version"]
    assert refused.value("select model_version from champion", role="recjobs_publisher") == first["model_version"]
    assert refused.value("select count(*) from models", role="admin") == 1


def test_its_lists_are_made_fresh_of_the_champions_item_factors(refused: World):
    first, second = (row["batch_id"] for row in refused.rows("select batch_id from batches order by as_of"))
    model = read(refused, second, "refit", "model.json")
    assert model["source"] == "champion"
    assert not refused.step(second, "refit", "model.npz").exists()
    assert broken_lists(refused, second) == {}

    with np.load(refused.step(first, "refit", "model.npz"), allow_pickle=False) as arrays:
        stored = StoredModel.from_arrays(dict(arrays))
    factors = dict(zip(stored.item_ids, stored.factors.item_factors, strict=True))
    similar = refused.rows("select similar_item_id, score from similar_items where item_id = '007' order by rank")
    cosine = [
        factors["007"] @ factors[row["similar_item_id"]]
        / np.linalg.norm(factors["007"]) / np.linalg.norm(factors[row["similar_item_id"]])
        for row in similar
    ]  # fmt: skip
    assert len(similar) == 50
    as_of = refused.value("select max(as_of) from batches")
    rows = refused.goods.before(as_of)
    known = (0.5 ** ((as_of - rows["at"]) / pd.Timedelta(days=14))).groupby(rows["item"]).sum()
    support = [known[row["similar_item_id"]] / (known[row["similar_item_id"]] + 10) for row in similar]
    np.testing.assert_allclose(
        [row["score"] for row in similar], np.multiply(cosine, support), rtol=1e-4, atol=2.0**-16
    )  # scores are rounded


def test_users_that_came_after_the_champion_are_folded_in_and_the_others_are_als(refused: World):
    as_of = refused.value("select min(as_of) from batches")
    known = set(refused.goods.before(as_of)["user"])
    assert len(known) < refused.goods.sound["user"].nunique()
    for row in refused.rows("select user_id, source, cardinality(item_ids) as n from served_lists"):
        if row["n"]:
            assert row["source"] == ("als" if row["user_id"] in known else "foldin"), row


def test_the_report_of_a_refused_night_says_so(refused: World):
    page = refused.value("select html from reports where batch_id = %s", refused.live())
    assert '<section class="verdict refused">' in page
    assert f"model version {refused.value('select min(model_version) from batches')}, the champion" in page


def test_the_report_accounts_for_every_check_and_sets_the_lists_side_by_side(published: World):
    batch_id = published.live() or ""
    page = published.value("select html from reports where batch_id = %s", batch_id)
    verdict = read(published, batch_id, "gate", "verdict.json")
    asked = {check["name"] for check in verdict["checks"]}
    assert {"sound", "popularity", "neighbours", "coverage", "not_worse", "segment_heavy", "coverage_drop"} <= asked
    for check in verdict["checks"]:
        assert check["sentence"].replace("'", "&#39;") in page
        assert check["name"] in CHECKS
    lists = pq.read_table(published.step(batch_id, "evaluate", "lists.parquet"))
    assert lists.column_names == ["user_idx", "taken", "candidate", "champion", "popularity_30d"]
    assert lists.num_rows == verdict["n_users"]
    users = page.split('<details class="user"')[1:]
    assert len(users) == min(20, lists.num_rows)
    assert all(user.count("<li") == 40 for user in users[:1]), "twenty items of each model"
    assert "items shown more" in page
    assert "categories shown less" in page
    assert f"an improvement of {100 * verdict['smallest_rise']:.1f}%" in page
    assert ("An improvement of 5% could not be seen" in page) == (verdict["smallest_rise"] > 0.05)


def test_the_holdout_begins_where_the_champions_knowledge_ends_if_enough_users_came_since(published: World):
    first, second = published.rows("select batch_id, as_of from batches order by as_of")
    rules = [read(published, batch["batch_id"], "split", "cutoff.json")["rule"] for batch in (first, second)]
    cutoffs = [row["cutoff"] for row in published.rows("select cutoff from promotions order by batch_id")]
    assert rules == ["holdout_days", "champion"]
    assert cutoffs == [first["as_of"] - timedelta(days=30), first["as_of"]]


def test_with_too_few_new_users_the_champions_recipe_is_fit_again_before_the_last_days(make_world: MakeWorld):
    world = make_world(min_holdout_users=1000)
    world.publish("--as-of", EARLIER)
    batch_id = world.publish(*ABSURD)
    cutoff = read(world, batch_id, "split", "cutoff.json")
    as_of = world.value("select as_of from batches where is_live")
    assert cutoff["rule"] == "holdout_days"
    assert cutoff["at"] == (as_of - timedelta(days=30)).isoformat()
    assert world.step(batch_id, "train", "champion_recipe.npz").exists()
    models = {
        row["model"]
        for row in world.rows("select model from evaluations where batch_id = %s and metric = 'ndcg_at_20'", batch_id)
    }
    assert models == {"candidate", "champion", "neighbours", "own_frequency", "popularity_30d", "popularity_all"}
    assert world.value("select verdict from promotions where batch_id = %s", batch_id) == "refused"


def test_a_first_night_that_cannot_beat_popularity_publishes_popular_lists_without_a_model(make_world: MakeWorld):
    world = make_world(by_chance())
    batch_id = world.publish()
    batch = world.rows("select * from batches where is_live")[0]
    assert (batch["model_version"], batch["champion_version"]) == (None, None)
    assert world.value("select verdict from promotions") == "refused"
    assert world.value("select count(*) from champion", role="recjobs_publisher") == 0
    assert {row["source"] for row in world.rows("select distinct source from recommendations")} == {"popular"}
    assert broken_lists(world, batch_id) == {}
    assert "every list is the popular one" in world.value("select html from reports")
    assert world.night().json["nothing_new"]


def test_a_look_without_publishing_writes_a_report_and_leaves_the_database_alone(refused: World):
    before = refused.everything()
    done = refused.night("--no-publish", "--as-of", "2025-06-10")
    assert done.code == 0, done.err
    assert set(done.json["steps"]) == {"extract", "validate", "split", "train", "evaluate", "gate", "report"}
    assert refused.everything() == before
    page = refused.step(done.json["batch_id"], "report", "report.html").read_text()
    assert "ran with <code>--no-publish</code>" in page
    cutoff = read(refused, done.json["batch_id"], "split", "cutoff.json")
    assert cutoff["at"] == "2025-05-12T00:00:00+00:00", "as if there were no champion"


def test_lists_outside_the_catalogs_bands_are_exit_65_and_a_reason_forces_them(make_world: MakeWorld):
    world = make_world(inspect={"max_top_item_share": 0.05})
    done = world.night()
    assert done.code == 65
    assert "top_item_share is" in done.message
    assert "inspect.max_top_item_share is 0.05" in done.message
    assert "--force REASON" in done.message
    assert world.live() is None
    forced = world.night("--force", "a small shop")
    assert forced.code == 0, forced.err
    assert world.live()


def test_seen_items_may_be_shown_again_where_the_catalog_says_so(make_world: MakeWorld):
    world = make_world(by_chance(), seen="allow")
    world.publish()
    assert {row["n"] for row in world.rows("select cardinality(item_ids) as n from served_lists")} == {10}
    assert world.rows("select count(distinct item_ids) as n from served_lists") == [{"n": 1}], "all see the same"


def test_seen_items_are_shown_again_after_the_days_the_catalog_says_and_the_deciding_view_agrees(make_world: MakeWorld):
    world = make_world(seen={"after_days": 30}, model={**CATALOG["model"], "blend": 0.3, "frequency_scaling": 0.5})
    batch_id = world.publish()
    as_of = world.value("select as_of from batches where is_live")
    latest = world.goods.before(as_of).groupby(["user", "item"])["at"].max()
    shown = {(row["user_id"], row["item_id"]) for row in world.rows("select user_id, item_id from recommendations")}
    again = [latest[pair] for pair in shown if pair in latest.index]
    assert again
    assert max(again) < as_of - timedelta(days=30)
    views = {row["view"] for row in world.rows("select distinct view from evaluations where model = 'candidate'")}
    assert views == {"discovery", "repeats", "after_days"}
    deciding = world.value(
        "select value from evaluations where view = 'after_days' and segment = 'all' and model = 'candidate' "
        "and metric = 'ndcg_at_20'"
    )
    assert world.value("select candidate from promotions where batch_id = %s", batch_id) == pytest.approx(deciding)
    assert world.step(batch_id, "evaluate", "unfiltered.parquet").exists()
    assert world.step(batch_id, "refit", "neighbours.parquet").exists()


DEGENERATE: dict[str, Goods] = {
    "one row": handful([("u", "i", 3)]),
    "one user": handful([("u", f"i{n}", n) for n in range(60)]),
    "one item": handful([(f"u{n}", "i", n) for n in range(60)]),
    "everyone the same": handful([(f"u{u}", f"i{i}", 10 * i + u / 50) for u in range(40) for i in range(8)]),
    "a bot with everything": handful(
        [("bot", f"i{i}", i) for i in range(60)] + [(f"u{u}", f"i{u % 7}", u) for u in range(60)]
    ),
    "all at one instant": handful([(f"u{u}", f"i{(u * k) % 11}", 5) for u in range(30) for k in (1, 2, 3)]),
    "nothing in the holdout": handful(
        [(f"u{u}", f"i{(u + k) % 9}", u / 9) for u in range(40) for k in (0, 1)] + [("u1", "i1", 100)]
    ),
    # Only one of those asked takes what is popular: without that one the baseline is 0, and the lift has no bound.
    "a lift without bound": handful(
        [(f"b{b}", f"popular{i:02}", 65) for b in range(10) for i in range(25)]
        + [(f"old{c}.{m}", f"{i}{c}", 65) for c in range(20) for m in range(4) for i in "ab"]
        + [(f"new{c}", f"a{c}", 65) for c in range(20)]
        + [(f"new{c}", f"b{c}", 100) for c in range(1, 20)]
        + [("new0", "popular03", 100)]
    ),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_a_degenerate_world_ends_in_a_clear_verdict(make_world: MakeWorld, case: str):
    goods = DEGENERATE[case]
    goods = Goods(goods.sound.drop_duplicates())
    world = make_world(goods, min_holdout_users=1)
    done = world.night()
    assert done.code == 0, done.err
    batch_id = done.json["batch_id"]
    assert world.live() == batch_id
    verdict = world.rows("select verdict, reason, n_users from promotions")[0]
    assert verdict["verdict"] in ("promoted", "refused")
    assert verdict["reason"]
    assert broken_lists(world, batch_id) == {}
    assert world.rows("select n_users from batches")[0]["n_users"] == goods.sound["user"].nunique()
    assert not re.search(r"\bnan\b", world.value("select html from reports"), re.IGNORECASE)
