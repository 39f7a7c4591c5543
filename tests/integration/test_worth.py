"""What the live lists were worth: every figure of a night against plain SQL over the raw rows, which shares no code."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2.extras
import pytest
import yaml

from tests.commands import ROOT
from tests.worlds import EARLIER, MakeWorld, World

SINCE = datetime.fromisoformat(EARLIER).replace(tzinfo=UTC) + timedelta(days=1)

BY_HAND = """
with taken as (
    select user_id, item_id, min(at) as first_at,
        exists (select from raw as e where e.at < %(since)s and (e.user_id, e.item_id) = (r.user_id, r.item_id)) as had
    from raw as r
    where at >= %(since)s and at < %(until)s
    group by user_id, item_id
),
popular as (
    select p.item_ids from popular_lists as p where p.batch_id = %(batch)s and p.segment = 'all'
),
own as (
    select o.user_id, (array_agg(o.item_id order by o.n desc, o.latest desc, o.item_id))[1:20] as item_ids
    from (
        select user_id, item_id, count(*) as n, max(at) as latest from raw
        where at < %(since)s group by user_id, item_id
    ) as o
    group by o.user_id
),
judged as (
    select
        t.user_id, t.item_id, t.had,
        case when l.n_model > 0 then l.source when l.n_category > 0 then 'category' else 'popular' end as source,
        array_position(coalesce(l.item_ids, p.item_ids), t.item_id) as live,
        array_position(
            (
                select array_agg(e.item_id order by e.place)
                from unnest(p.item_ids) with ordinality as e (item_id, place)
                where %(view)s = 'repeats'
                    or not exists (
                        select from raw where at < %(since)s and (user_id, raw.item_id) = (t.user_id, e.item_id)
                    )
            ),
            t.item_id
        ) as popular,
        array_position(o.item_ids, t.item_id) as own_items
    from taken as t
    cross join popular as p
    left join top_n as l on l.batch_id = %(batch)s and l.user_id = t.user_id
    left join own as o on o.user_id = t.user_id
    where %(view)s = 'repeats' or not t.had
)
select g.segment, s.list, k, count(*) as n_pairs, avg((coalesce(s.place, 1000) <= k)::integer)::float8 as share
from judged as j
cross join lateral (values ('all'), ('source:' || j.source)) as g (segment)
cross join lateral (values ('live', j.live), ('popular', j.popular), ('own_items', j.own_items)) as s (list, place)
cross join (values (5), (10), (20)) as ks (k)
where s.list <> 'own_items' or %(view)s = 'repeats'
group by g.segment, s.list, k
"""


def by_hand(
    world: World, rows: pd.DataFrame, batch: str, since: datetime, until: datetime, view: str
) -> dict[Any, Any]:
    """(segment, list, k) -> (pairs, share), by SQL over the raw rows and the batch's lists as they are stored."""
    connection = world.postgres.connect("admin", world.name)
    try:
        with connection.cursor() as cursor:
            cursor.execute('create temp table raw (user_id text collate "C", item_id text collate "C", at timestamptz)')
            psycopg2.extras.execute_values(
                cursor,
                "insert into raw values %s",
                list(rows[["user", "item", "at"]].itertuples(index=False, name=None)),
            )
            cursor.execute("create index on raw (user_id, item_id); analyze raw")
            cursor.execute(BY_HAND, {"since": since, "until": until, "batch": batch, "view": view})
            return {(segment, name, k): (n, share) for segment, name, k, n, share in cursor.fetchall()}
    finally:
        connection.close()


def measured(world: World, batch: str, view: str) -> dict[Any, Any]:
    """The same of the view `worth`."""
    rows = world.rows(
        "select segment, list, k, n_pairs, share from worth where batch_id = %s and view = %s", batch, view
    )
    return {(row["segment"], row["list"], row["k"]): (row["n_pairs"], row["share"]) for row in rows}


def assert_equal(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, (n_pairs, share) in expected.items():
        assert found[key] == (n_pairs, pytest.approx(share, abs=1e-9)), key


@pytest.mark.parametrize("view", ["discovery", "repeats"])
def test_a_night_measures_the_batch_that_was_live_by_what_was_taken_since(published: World, view: str):
    first, second = (row["batch_id"] for row in published.rows("select batch_id from batches order by as_of"))
    until = published.value("select as_of from batches where batch_id = %s", second)
    assert published.rows("select distinct live_batch_id, since from worth") == [
        {"live_batch_id": first, "since": SINCE}
    ]
    assert not measured(published, first, view), "nothing was live before the first night"

    expected = by_hand(published, published.goods.sound, first, SINCE, until, view)
    assert expected[("all", "live", 20)][0] > 50
    assert_equal(measured(published, second, view), expected)


def test_every_share_has_an_interval_around_it_and_stands_in_the_report(published: World):
    newest = published.live()
    rows = published.rows("select * from worth where batch_id = %s and segment = 'all' order by view, list, k", newest)
    assert rows
    assert all(0 <= row["low"] <= row["share"] <= row["high"] <= 1 for row in rows)
    page = published.value("select html from reports where batch_id = %s", newest)
    assert "What the live lists were worth" in page
    live = next(row for row in rows if (row["view"], row["list"], row["k"]) == ("discovery", "live", 20))
    assert f"{100 * live['share']:.1f}%" in page
    assert "no experiment" in page


SHARED = Path(os.environ.get("RECJOBS_DATA", ROOT.parent / "shared" / "data"))
CATALOG = ROOT / "catalogs" / "online_retail.yaml"


def raw_rows() -> pd.DataFrame:
    """The interactions of the file as it is, by pandas alone: user, item, at; a duplicate row counts once."""
    rows = pd.read_parquet(SHARED / "online_retail_II" / "transactions.parquet").astype(
        {"Invoice": str, "StockCode": str}
    )
    goods = rows["StockCode"].str.match("[0-9]{5}") & ~rows["Invoice"].str.match("[Cc]") & rows["Customer ID"].notna()
    rows = rows[goods & (rows["Quantity"] > 0)]
    user = rows["Customer ID"].astype(str).str.removesuffix(".0")
    at = pd.to_datetime(rows["InvoiceDate"]).dt.tz_localize(
        "Europe/London", ambiguous=True, nonexistent="shift_forward"
    )
    frame = pd.DataFrame({"user": user, "item": rows["StockCode"], "at": at.dt.tz_convert("UTC")})
    return frame.assign(quantity=rows["Quantity"]).drop_duplicates()


@pytest.mark.soak
@pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="thirty nights of real data: `make soak`")
def test_thirty_nights_of_a_real_shop_are_measured_right(make_world: MakeWorld):
    """With a roll-back, a night that publishes nothing, and rows that arrive late."""
    world, rows = make_world(), raw_rows()
    tree = yaml.safe_load(CATALOG.read_text())
    tree |= {"model": {"factors": 16, "alpha": 5, "regularization": 20, "iterations": 3}, "min_holdout_users": 100}
    world.write_catalog(tree)
    settings = {"RECJOBS_DATA": str(SHARED), "RECJOBS_THREADS": "2"}
    live: tuple[str, datetime] | None = None
    for k in range(30):
        as_of = datetime(2011, 4, 4, tzinfo=UTC) + timedelta(days=7 * k)
        done = world.start("night", "--json", "--as-of", as_of.isoformat(), **settings).wait(1200)
        assert done.code == 0, done.err
        batch = done.json["batch_id"]
        for view in ("discovery", "repeats") if live else ():
            assert_equal(measured(world, batch, view), by_hand(world, rows, *live, as_of, view))
        live = (batch, as_of)
        if k == 10:
            assert world.recjobs("roll-back", "--reason", "a test").code == 0
            batch = world.live()
            live = (batch, world.value("select as_of from batches where batch_id = %s", batch))
        if k == 20:
            assert world.night("--as-of", as_of.isoformat(), "--no-publish", **settings).code == 0
    assert world.value("select count(distinct batch_id) from worth") == 29
