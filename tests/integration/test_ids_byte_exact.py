"""Ids that something, somewhere, has eaten: from Parquet, CSV and integers to Postgres, SQL and HTTP, byte for byte."""

import csv
import json
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.hostile import HOSTILE
from tests.worlds import DAY_0, Goods, MakeWorld, World
from webapp import create_app
from webapp.settings import Settings

MORE = [
    "\u0301", "e\u0301\u0301", "\u2067abc\u2069", "\u200b", "a\u200bb", "\u00ad", "ﬁ", "fi", "İ", "i̇", "ß", "SS", "ss",
    "\u1e9e", "Å", "Å", "Å", "０７", "٧", "𝟕", "%00", "%2e%2e%2f", "&amp;", "\\0", "\\u0000", "$1", "{0}", "%s",
    "NaN", "Infinity", "-inf", "0x1F", "1_000", "2025-01-01", "00:00", "=1+1", "@x", "#", "||", "\u2028", "\ud7ff",
    "\U0010ffff", "\x7f", "\x01", "a\x1fb", "a\rb", " \t ", "x" * 255 + "y", "9007199254740992",
]  # fmt: skip
INTEGERS = [2**53 + 1, 2**53 - 1, 2**63 - 1, -(2**63), 0, -7, None]


def drawn(n: int) -> list[str]:
    """Ids drawn from all of Unicode, always the same ones."""
    found: dict[str, None] = {}
    letters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")

    @settings(max_examples=2 * n, derandomize=True, database=None, deadline=None)
    @given(st.text(letters, min_size=1, max_size=12))
    def draw(text: str) -> None:
        found[text] = None

    draw()
    return list(found)[:n]


@dataclass
class Shop:
    """What the files say, and the world in which it was published."""

    world: World
    sound: pd.DataFrame
    client: FlaskClient

    def answer(self, kind: str, **parameters: Any) -> Any:
        """One answer of the API."""
        response = self.client.get(f"/v1/{self.world.name}/{kind}", query_string=parameters)
        assert response.status_code == 200, (parameters, response.text)
        return json.loads(response.data)


@pytest.fixture(scope="module")
def odd(make_world: MakeWorld) -> Shop:
    """Some 700 users and as many items with such ids; half of the rows in CSV, half in Parquet, some as integers."""
    ids = list(dict.fromkeys([*HOSTILE, *MORE, *drawn(600)]))
    rng = np.random.default_rng(11)
    rows = [
        (user, ids[item], DAY_0 + timedelta(seconds=int(s)))
        for user in ids
        for item, s in zip(rng.choice(len(ids), 6, replace=False), rng.integers(0, 100 * 86400, 6), strict=True)
    ]
    sound = pd.DataFrame(rows, columns=["user", "item", "at"])
    world = make_world(Goods(sound.head(0).assign(quantity=1.0)))
    text = sound.assign(at=[f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in sound["at"]])
    text.iloc[::2].to_parquet(world.data / "odd.parquet", index=False)
    with (world.data / "odd.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(text.columns)
        writer.writerows(text.iloc[1::2].itertuples(index=False))
    numbers = {
        "user": pa.array(INTEGERS, pa.int64()),
        "item": [2**53 + 1] * len(INTEGERS),
        "at": ["2025-03-02"] * len(INTEGERS),
    }
    pq.write_table(pa.table(numbers), world.data / "numbers.parquet")
    columns = {"user_id": "user", "item_id": "item", "occurred_at": "at"}
    sources = [{"path": name, "columns": columns} for name in ("odd.parquet", "odd.csv", "numbers.parquet")]
    world.write_catalog(
        {key: value for key, value in world.catalog.items() if key != "items"}
        | {"sources": sources, "holdout_days": 20}
    )
    done = world.night()
    assert done.code == 0, done.err
    assert done.json["steps"]["validate"]["quarantined"] == 1  # the integer that is none
    whole = [(str(n), str(2**53 + 1), DAY_0 + timedelta(days=1)) for n in INTEGERS if n is not None]
    sound = pd.concat([sound, pd.DataFrame(whole, columns=["user", "item", "at"])], ignore_index=True)
    patient = {"statement_timeout_ms": 4000, "request_timeout_ms": 5000, "request_log": False}
    app = create_app(Settings(database_url=world.settings["RECJOBS_READER_URL"], **patient))
    return Shop(world, sound.drop_duplicates(["user", "item", "at"]), app.test_client())


def test_there_are_several_hundred_and_pairs_that_only_look_alike(odd: Shop):
    users = set(odd.sound["user"])
    assert len(users) > 600
    assert len({unicodedata.normalize("NFC", user) for user in users}) < len(users)
    assert len({user.strip() for user in users}) < len(users)
    assert len({user.lower() for user in users}) < len(users)


def test_every_id_is_in_postgres_as_it_was_in_the_file_and_none_was_merged(odd: Shop):
    for of, statement in (
        ("user", "select distinct user_id as id from served_lists"),
        ("user", "select distinct user_id as id from user_history"),
        ("item", "select item_id as id from items"),
        ("item", "select item_id as id from similar_items group by item_id"),
    ):
        found = [row["id"] for row in odd.world.rows(statement)]
        if "similar" in statement:
            assert set(found) <= set(odd.sound[of])
            continue
        assert sorted(found) == sorted(set(odd.sound[of])), statement


def test_every_history_is_what_the_file_says(odd: Shop):
    rows = odd.world.rows("select user_id, item_id, occurred_at from user_history")
    found = {(row["user_id"], row["item_id"], row["occurred_at"]) for row in rows}
    latest = odd.sound.groupby(["user", "item"])["at"].max().reset_index()
    assert found == set(latest.itertuples(index=False, name=None))


def test_every_user_gets_their_own_list_by_http_and_by_sql(odd: Shop):
    served = {row["user_id"]: row["item_ids"] for row in odd.world.rows("select user_id, item_ids from served_lists")}
    for user in sorted(set(odd.sound["user"])):
        answer = odd.answer("recommendations", user_id=user, n=10)
        assert answer["user_id"] == user
        assert [item["item_id"] for item in answer["items"]] == served[user]
        assert not set(served[user]) & set(odd.sound[odd.sound["user"] == user]["item"])
    some = sorted(served)[::7]
    by_sql = odd.world.rows(
        "select u.user_id, array_agg(r.item_id order by r.rank) as item_ids from unnest(%s) as u (user_id)"
        " cross join lateral recommend(u.user_id, 10) as r group by 1",
        some,
    )
    assert {row["user_id"]: row["item_ids"] for row in by_sql} == {user: served[user] for user in some}


def test_every_item_is_asked_for_by_its_own_id(odd: Shop):
    similar: dict[str, list[str]] = {}
    for row in odd.world.rows("select item_id, similar_item_id from similar_items order by item_id, rank"):
        similar.setdefault(row["item_id"], []).append(row["similar_item_id"])
    for item in sorted(set(odd.sound["item"])):
        answer = odd.answer("similar", item_id=item, n=10)
        assert [one["item_id"] for one in answer["items"]] == similar.get(item, [])[: len(answer["items"])]
