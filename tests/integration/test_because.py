"""Why each served item is in its list, from the night's chunks to the view and the API."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.webapp_world import PATIENT
from tests.worlds import World
from webapp import create_app
from webapp.settings import Settings


@pytest.fixture(scope="module")
def taken(published: World) -> dict[str, set[str]]:
    """What each user has taken, from the very rows of the world's files."""
    sound = published.goods.sound
    return {str(user): set(items) for user, items in sound.groupby("user")["item"]}


def test_every_item_that_the_model_put_there_has_up_to_three_reasons_out_of_the_users_history(published, taken):
    rows = published.rows("select user_id, item_id, source, because from recommendations")
    of_model = [row for row in rows if row["source"] in ("als", "foldin")]
    assert len(of_model) > 1000
    for row in of_model:
        assert 1 <= len(set(row["because"])) == len(row["because"]) <= 3
        assert set(row["because"]) <= taken[row["user_id"]]


def test_the_strongest_reason_is_of_the_items_own_taste_where_the_user_has_shown_it(published, taken):
    category = dict(published.goods.items[["id", "category"]].itertuples(index=False))
    rows = published.rows("select user_id, item_id, because from recommendations where because <> '{}'")
    same, by_chance = [], []
    for row in rows:
        history = [category[item] == category[row["item_id"]] for item in taken[row["user_id"]]]
        if any(history) and not all(history):
            same.append(category[row["because"][0]] == category[row["item_id"]])
            by_chance.append(sum(history) / len(history))
    assert len(same) > 500
    assert sum(by_chance) / len(same) < 0.75
    assert sum(same) / len(same) > 0.9


def test_the_stored_columns_hold_reasons_a_little_further_than_lists_are_served(published):
    rows = published.rows(
        "select item_ids, n_model, reasons, because from top_n where batch_id = %s", published.live(), role="admin"
    )
    assert {len(row["because"]) == len(row["item_ids"]) for row in rows if row["because"]} == {True}
    assert all((row["reasons"] is None) == (row["because"] is None) for row in rows)
    assert all(row["reasons"] is None for row in rows if not row["n_model"])
    assert not any(any(row["because"][row["n_model"] :]) for row in rows if row["because"])
    deepest = max(max(k for k, packed in enumerate(row["because"]) if packed) for row in rows if row["because"])
    assert deepest == 19  # 10 are served


def test_the_chunks_of_a_night_say_the_same_as_postgres(published):
    names = ["user_id", "segment", "reasons", "because"]
    stored = pq.read_table(published.step(published.live(), "score", "top_n-00000.parquet"), columns=names).to_pylist()
    rows = published.rows(
        "select user_id, segment, reasons, because from top_n where batch_id = %s", published.live(), role="admin"
    )
    assert sorted(rows, key=lambda row: row["user_id"]) == sorted(stored, key=lambda row: row["user_id"])


def test_what_is_kept_out_of_a_users_list_is_stored_with_the_history_by_number(published, taken):
    numbered = {
        row["item_idx"]: row["item_id"]
        for row in published.rows(
            "select item_idx, item_id from item_records where batch_id = %s", published.live(), role="admin"
        )
    }
    assert sorted(numbered) == list(range(72))
    rows = published.rows("select user_id, seen from history_lists where batch_id = %s", published.live(), role="admin")
    assert {row["user_id"]: {numbered[number] for number in row["seen"]} for row in rows} == taken


def test_the_api_names_reasons_by_title_and_by_id_where_there_is_none(published):
    url = published.postgres.settings["RECJOBS_READER_URL"]
    client = create_app(Settings(database_url=url, request_log=False, **PATIENT)).test_client()
    items = published.goods.items
    title = {item: item if pd.isna(text) else text for item, text in zip(items["id"], items["title"], strict=True)}
    expected, ids, untitled = {}, {}, 0
    for row in published.rows(
        "select user_id, because from recommendations where user_id ~ '^user0[0-4]' order by rank"
    ):
        expected.setdefault(row["user_id"], []).append([title[one] for one in row["because"]])
        ids.setdefault(row["user_id"], []).append(row["because"])
        untitled += sum(title[one] == one for one in row["because"])
    assert untitled
    for user_id, because in expected.items():
        answer = client.get(f"/v1/{published.name}/recommendations", query_string={"user_id": user_id, "n": 10})
        assert [item["because"] for item in answer.json["items"]] == because
        assert [item["because_ids"] for item in answer.json["items"]] == ids[user_id]
