"""A night, end to end: every accepted user gets a good list, and every count says the same wherever it is read."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from tests.list_contract import broken_lists
from tests.worlds import EARLIER, MakeWorld, World, shop

AFTER_EARLIER = datetime(2025, 6, 19, tzinfo=UTC)


def findings(world: World, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.step(batch_id, "validate", "findings.json").read_text())
    return found


def test_every_list_of_every_batch_keeps_the_contract(published: World):
    for batch in published.rows("select batch_id, n_users from batches"):
        assert broken_lists(published, batch["batch_id"]) == {}


PLANTED = [
    ("user without a list", "delete from top_n"),
    ("list of an unknown user", "update top_n set user_id = '0007'"),
    ("wrong length", "update top_n set item_ids = item_ids[2:], scores = scores[2:]"),
    ("wrong length", "update top_n set scores = scores[2:]"),
    ("item twice", "update top_n set item_ids[1] = item_ids[2]"),
    ("unknown or ineligible item", "update top_n set item_ids[30] = 'item10'"),
    ("seen item", "update top_n set item_ids[1] = (select item_id from accepted where user_id = '007' limit 1)"),
    ("score not finite", "update top_n set scores[30] = 'NaN'"),
    ("rising score", "update top_n set scores[30] = 1e9"),
    ("reason that the user has not taken", "update top_n set reasons[1] = 'item00 '"),
    ("reasons do not match the items", "update top_n set because = because[2:]"),
    ("reasons do not match the items", "update top_n set because[1] = 1023 << 10"),
    ("item of the model without a reason", "update top_n set because[2] = 0"),
]


@pytest.mark.parametrize(("rule", "planted"), PLANTED, ids=[rule for rule, _ in PLANTED])
def test_the_contract_sees_a_planted_defect(published: World, rule: str, planted: str):
    assert (
        broken_lists(published, published.live() or "", f"{planted} where batch_id = %(batch_id)s and user_id = '007'")[
            rule
        ]
        == 1
    )


def test_somebody_who_has_everything_gets_an_empty_list_and_nearly_everything_a_short_one(published: World):
    lengths = "select user_id, cardinality(item_ids) as n from served_lists where user_id like '%%everything'"
    assert {row["user_id"]: row["n"] for row in published.rows(lengths)} == {"everything": 0, "nearly everything": 3}


def test_what_is_served_is_the_head_of_what_is_stored(published: World):
    served = published.rows(
        "select user_id, array_agg(item_id order by rank) as ids, array_agg(rank order by rank) as ranks"
        " from recommendations group by user_id"
    )
    stored = {
        row["user_id"]: row["item_ids"]
        for row in published.rows(
            "select user_id, item_ids from top_n where batch_id = %s", published.live(), role="admin"
        )
    }
    assert len(served) == len([ids for ids in stored.values() if ids])
    for row in served:
        assert row["ids"] == stored[row["user_id"]][:10]
        assert row["ranks"] == list(range(1, len(row["ids"]) + 1))


def test_read_is_excluded_plus_accepted_plus_merged_plus_quarantined(published: World):
    goods = published.goods
    for batch in published.rows("select batch_id, as_of from batches"):
        counts = findings(published, batch["batch_id"])["counts"]
        accepted = goods.before(batch["as_of"])
        late = (pd.concat([goods.sound, goods.sound.head(goods.twice)])["at"] >= batch["as_of"]).sum()
        assert counts["read"] == len(goods.rows())
        assert counts["accepted"] == len(accepted)
        assert counts["excluded"] == goods.of_a_test + late
        assert counts["quarantined"] == len(goods.bad)
        assert counts["read"] == counts["excluded"] + counts["accepted"] + counts["merged"] + counts["quarantined"]
        assert counts["users"] == accepted["user"].nunique()
        assert counts["items"] == accepted["item"].nunique()


def test_every_bad_row_is_quarantined_for_its_reason_with_its_file_and_row(published: World):
    rejected = pd.read_parquet(published.step(published.live() or "", "validate", "rejected.parquet"))
    assert sorted(rejected["reason"]) == sorted(published.goods.bad)
    for row in rejected.itertuples():
        at_its_place = pd.read_parquet(row.source).iloc[row.row - 1]
        column, value = next(iter(published.goods.bad[row.reason].items()))
        assert at_its_place[column] == value or (pd.isna(at_its_place[column]) and pd.isna(value))


def test_no_other_user_of_the_machine_reads_what_a_night_wrote(published: World):
    written = {published.artifacts, *published.artifacts.rglob("*")}
    written -= set(published.artifacts.rglob("mlflow_model.py"))  # a copy of our code, with the mode that it has here
    assert len(written) > 50
    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_counts_agree_in_sql_artifacts_report_and_command(make_world: MakeWorld):
    world = make_world()
    done = world.night("--as-of", EARLIER)
    assert done.code == 0, done.err
    told, batch_id = done.json["steps"], done.json["batch_id"]
    truth = world.goods.before(AFTER_EARLIER)
    expected = {
        "users": truth["user"].nunique(), "items": truth["item"].nunique(), "interactions": len(truth),
    }  # fmt: skip
    batch = world.rows("select n_users, n_items, n_interactions from batches where is_live")[0]
    counts = findings(world, batch_id)["counts"]
    report = world.step(batch_id, "report", "report.html").read_text()
    shown = {k: int(v.replace(",", "")) for k, v in re.findall(r"<dt>([a-z ]+)</dt><dd>([\d,]+)</dd>", report)}

    assert (batch["n_users"], batch["n_items"], batch["n_interactions"]) == tuple(expected.values())
    assert (counts["users"], counts["items"], counts["accepted"]) == tuple(expected.values())
    assert (shown["users with a list"], shown["items"], shown["interactions"]) == tuple(expected.values())
    assert (told["validate"]["users"], told["validate"]["items"], told["validate"]["accepted"]) == tuple(
        expected.values()
    )
    assert told["publish"]["users"] == expected["users"] == world.value("select count(*) from served_lists")
    assert told["gate"]["ndcg_at_20"] == pytest.approx(world.value("select candidate from promotions"), abs=1e-5)
    in_sql = world.rows("select reason, action, column_name, n_rows, example from findings")
    in_file = [{k: f[k] for k in in_sql[0]} for f in findings(world, batch_id)["findings"]]
    assert sorted(in_sql, key=str) == sorted(in_file, key=str)
    assert world.value("select html from reports where batch_id = %s", batch_id) == report


def test_the_same_input_settings_and_seed_give_the_same_lists_byte_for_byte(published: World, make_world: MakeWorld):
    again = make_world(shop())
    again.publish("--as-of", EARLIER)
    first = "select checksum from batches order by as_of limit 1"
    assert again.value(first) == published.value(first)
    hashed = (
        "select md5(string_agg(t.user_id || t.item_ids::text || t.scores::text, '' order by t.user_id)) from top_n as t"
    )
    hashed += " where t.batch_id = (select min(batch_id) from batches)"
    assert again.value(hashed, role="admin") == published.value(hashed, role="admin")


def test_another_seed_gives_other_lists(published: World, make_world: MakeWorld):
    world = make_world(shop(), seed=8)
    world.publish("--as-of", EARLIER)
    first = "select checksum from batches order by as_of limit 1"
    assert world.value(first) != published.value(first)


def test_ids_are_byte_exact_from_file_to_view(published: World):
    served = {row["user_id"] for row in published.rows("select user_id from served_lists")}
    assert served == set(published.goods.sound["user"])
    known = {row["item_id"] for row in published.rows("select item_id from items")}
    assert known == set(published.goods.sound["item"])


def test_what_the_files_say_of_items_is_what_the_view_says(published: World):
    assert published.goods.items is not None
    said = published.goods.items.set_index("id")
    bought_by = published.goods.sound.groupby("item")["user"].nunique()
    for item in published.rows("select item_id, title, categories, price, available, n_users from items"):
        row = said.loc[item["item_id"]]
        assert item["title"] == (None if pd.isna(row["title"]) else row["title"])
        assert item["categories"] == [row["category"]]
        assert item["price"] == row["price"]
        assert item["available"] == (row["sold"] == "yes")
        assert item["n_users"] == bought_by[item["item_id"]]


def test_a_users_history_is_their_latest_items_newest_first(published: World):
    told = published.rows("select item_id, occurred_at from user_history where user_id = '007' order by rank")
    bought = published.goods.sound.query("user == '007'").sort_values("at", ascending=False)
    assert [(row["item_id"], row["occurred_at"]) for row in told] == list(
        zip(bought["item"], bought["at"], strict=True)
    )


def test_popular_items_are_those_that_most_users_took_in_the_last_30_days(published: World):
    as_of = published.value("select as_of from batches where is_live")
    lately = published.goods.sound[published.goods.sound["at"] >= as_of - pd.Timedelta(days=30)]
    n_users = lately.groupby("item")["user"].nunique()
    listed = [
        row["item_id"]
        for row in published.rows("select item_id from popular_items where segment = 'all' order by rank")
    ]
    counts = [int(n_users.get(item, 0)) for item in listed]
    assert len(listed) == 71  # all but item10: at least 200 are stored
    assert counts == sorted(counts, reverse=True)
    assert "item10" not in listed
    assert counts[0] == n_users.drop("item10").max()


def test_lists_follow_the_users_taste(published: World):
    """The answer known by eye: user k's taste is k mod 4, and so is an item's."""
    taste = dict(zip(shop().sound["item"].unique(), range(72), strict=True))
    assert published.goods.items is not None
    taste = {item: k % 4 for k, item in enumerate(published.goods.items["id"])}
    rows = published.rows("select user_id, item_id from recommendations where user_id ~ '^user[0-9]{3}$' and rank <= 3")
    hits = [taste[row["item_id"]] == int(row["user_id"][4:]) % 4 for row in rows]
    assert sum(hits) / len(hits) > 0.9
