"""What the live lists were worth: every figure of a night against plain SQL over the raw rows, which shares no code."""

import contextlib
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.commands import ROOT
from tests.worlds import EARLIER, MakeWorld, World

SINCE = datetime.fromisoformat(EARLIER).replace(tzinfo=UTC) + timedelta(days=1)

BY_HAND = """
with taken as materialized (
    select user_id, item_id,
        exists (select from raw as e where e.at < %(since)s and (e.user_id, e.item_id) = (r.user_id, r.item_id)) as had
    from (select distinct user_id, item_id from raw where at >= %(since)s and at < %(until)s) as r
),
earlier as materialized (
    select user_id, item_id, count(*) as n, max(at) as latest from raw
    where at < %(since)s and user_id in (select user_id from taken)
    group by user_id, item_id
),
popular as materialized (
    select e.item_id, e.place
    from popular_lists as p cross join unnest(p.item_ids) with ordinality as e (item_id, place)
    where p.batch_id = %(batch)s and p.segment = 'all'
),
had_of_popular as materialized (
    select e.user_id, p.place from earlier as e join popular as p using (item_id) where %(view)s = 'discovery'
),
own as materialized (
    select user_id, item_id, row_number() over (partition by user_id order by n desc, latest desc, item_id) as place
    from earlier
),
stored as materialized (
    select user_id, case when n_model > 0 then source when n_category > 0 then 'category' else 'popular' end as source,
        item_ids
    from top_n where batch_id = %(batch)s and user_id in (select user_id from taken)
),
judged as materialized (
    select
        t.user_id, t.item_id, coalesce(s.source, 'popular') as source,
        -- who has no list gets the popular one
        case when s.user_id is null then p.place else array_position(s.item_ids, t.item_id) end as live,
        case when p.place is not null then  -- without what the user had before
            p.place - (select count(*) from had_of_popular as h where h.user_id = t.user_id and h.place < p.place)
        end as popular,
        case when o.place <= 20 then o.place end as own_items
    from taken as t
    left join stored as s using (user_id)
    left join popular as p using (item_id)
    left join own as o on (o.user_id, o.item_id) = (t.user_id, t.item_id)
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


@contextlib.contextmanager
def loaded(world: World, rows: pd.DataFrame) -> Iterator[Any]:
    """A session that has the raw rows in a table of its own, beside the catalog's lists."""
    connection = world.postgres.connect("admin", world.name)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute('create temp table raw (user_id text collate "C", item_id text collate "C", at timestamptz)')
        file = io.StringIO()
        rows.to_csv(file, columns=["user", "item", "at"], header=False, index=False)
        file.seek(0)
        cursor.copy_expert("copy raw from stdin (format csv)", file)
        cursor.execute("create index on raw (user_id, item_id)")
        cursor.execute("create index on raw (at)")
        cursor.execute("analyze raw")
        yield cursor


def by_hand(cursor: Any, batch: str, since: datetime, until: datetime, view: str) -> dict[Any, Any]:
    """(segment, list, k) -> (pairs, share), by SQL over the raw rows and the batch's lists as they are stored."""
    cursor.execute(BY_HAND, {"since": since, "until": until, "batch": batch, "view": view})
    return {(segment, name, k): (n, share) for segment, name, k, n, share in cursor.fetchall()}


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

    with loaded(published, published.goods.sound) as cursor:
        expected = by_hand(cursor, first, SINCE, until, view)
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
    with loaded(world, rows) as cursor:
        for k in range(30):
            as_of = datetime(2011, 4, 4, tzinfo=UTC) + timedelta(days=7 * k)
            done = world.start("night", "--json", "--as-of", as_of.isoformat(), **settings).wait(1200)
            assert done.code == 0, done.err
            batch = done.json["batch_id"]
            for view in ("discovery", "repeats") if live else ():
                assert_equal(measured(world, batch, view), by_hand(cursor, *live, as_of, view))
            live = (batch, as_of)
            if k == 10:
                assert world.recjobs("roll-back", "--reason", "a test").code == 0
                batch = world.live()
                live = (batch, world.value("select as_of from batches where batch_id = %s", batch))
            if k == 20:
                assert world.night("--as-of", as_of.isoformat(), "--no-publish", **settings).code == 0
    assert world.value("select count(distinct batch_id) from worth") == 29
