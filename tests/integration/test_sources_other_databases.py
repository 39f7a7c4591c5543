"""Queries of a database other than Postgres: the rows of SQLite and DuckDB, read right or refused with the place."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from recjobs.adapters.sources import other_databases
from recjobs.catalog.files import load_catalog
from recjobs.errors import BadConfiguration, DataRefused
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

QUERY = "select user_id, sku, at, n from orders where state = 'paid'"
COLUMNS = {"user_id": "user_id", "item_id": "sku", "occurred_at": "at", "weight": "n"}
ROWS = [(n % 5, f"{n % 7:03}", f"2025-01-{n % 28 + 1:02} 10:00:00", n % 3 + 0.5, "paid") for n in range(40)]


class Shop:
    """A file of SQLite, and a catalog whose source is a query of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "shop of 2025.db"
        with sqlite3.connect(self.file) as session:
            session.execute("create table orders (user_id integer, sku text, at text, n real, state text, blob blob)")
        self.insert(*ROWS, (9, "009", "2025-01-01", 1, "void"))

    def insert(self, *rows: tuple[Any, ...]) -> None:
        with sqlite3.connect(self.file) as session:
            session.executemany("insert into orders (user_id, sku, at, n, state) values (?, ?, ?, ?, ?)", rows)

    def begun(self, sql: str = QUERY, columns: dict[str, str] | None = None) -> Night:
        tree = {"sources": [{"sql": sql, "connection": "shop", "columns": columns or COLUMNS}]}
        (self.folder / "shop.yaml").write_text(yaml.safe_dump(tree))
        return Night.open(load_catalog("shop"), str(begin.run(load_catalog("shop"), publish=False)["batch_id"]))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    made = Shop(tmp_path)
    monkeypatch.setenv("RECJOBS_CONNECTION_SHOP", f"sqlite:///{made.file}")
    return made


def test_rows_and_values_are_those_of_the_query(shop: Shop) -> None:
    night = shop.begun()
    extract.run(night)
    validate.run(night)
    rows, users, items = night.interactions(), night.ids("users"), night.ids("items")
    read = {(users[u], items[i], w) for u, i, w in zip(rows.user_idx, rows.item_idx, rows.weight.tolist(), strict=True)}
    assert read == {(str(user), sku, n) for user, sku, _, n, _ in ROWS}
    assert night.input_account().counts["read"] == len(ROWS)


def test_equal_results_are_equal_inputs_in_whatever_order_they_were_stored(shop: Shop) -> None:
    before = shop.begun()
    with sqlite3.connect(shop.file) as session:
        session.execute("delete from orders")
    shop.insert(*reversed(ROWS))
    after = shop.begun()
    assert (after.batch_id, after.request.input["hash"]) == (before.batch_id, before.request.input["hash"])
    shop.insert((1, "000", "2025-01-28 11:00:00", 1, "paid"))
    assert shop.begun().request.input["hash"] != before.request.input["hash"]


def test_the_night_reads_what_it_pinned_although_the_database_goes_on(shop: Shop) -> None:
    night = shop.begun()
    shop.insert((1, "000", "2025-01-28 11:00:00", 1, "paid"))
    assert extract.run(night)["read"] == len(ROWS)


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("select user_id, sku, at from orders", DataRefused, "has no column 'n'; it has 'user_id', 'sku', 'at'"),
        ("select user_id + 0.5 as user_id, sku, at, n from orders", DataRefused, "column 'user_id' is float, which"),
        ("select x'ff00' as user_id, sku, at, n from orders", DataRefused, "holds bytes that are no UTF-8 text"),
        ("select * from customers", BadConfiguration, "the database says: no such table: customers"),
        ("select 1; drop table orders", BadConfiguration, "holds several statements"),
        ("delete from orders returning *", BadConfiguration, "begins with delete"),
        ("with x as (select 1) insert into orders (sku) values ('x') returning *", BadConfiguration, "syntax error"),
    ],
)
def test_what_is_no_query_for_rows_is_refused_by_its_place(shop: Shop, sql: str, error: Any, said: str) -> None:
    with pytest.raises(error, match=r"sources.0.sql: ") as caught:
        shop.begun(sql)
    assert said in str(caught.value)
    with sqlite3.connect(shop.file) as session:
        assert session.execute("select count(*) from orders").fetchone() == (len(ROWS) + 1,)


def test_the_file_is_opened_for_reading_alone(shop: Shop) -> None:
    with (
        other_databases._connected(f"sqlite:///{shop.file}", "RECJOBS_CONNECTION_SHOP") as session,
        pytest.raises(Exception, match="readonly database"),
    ):
        session.exec_driver_sql("delete from orders")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/shop.db", "RECJOBS_CONNECTION_SHOP: there is no file /nowhere/shop.db"),
        ("sqlite://", "RECJOBS_CONNECTION_SHOP: there is no file"),
        ("snowfake://u:s3cret@host/x", "RECJOBS_CONNECTION_SHOP is no URL such as postgresql://"),
        ("mysql://u:s3cret@host:port/x", "RECJOBS_CONNECTION_SHOP is no URL such as postgresql://"),
    ],
)
def test_a_connection_that_leads_nowhere_names_its_setting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("RECJOBS_CONNECTION_SHOP", url)
    with pytest.raises(BadConfiguration) as caught:
        shop.begun()
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "is_other"),
    [
        ("postgresql://u@h/d", False),
        ("postgres://u@h/d", False),
        ("host=h dbname=d", False),
        ("sqlite:///x.db", True),
        ("mysql+pymysql://u@h/d", True),
    ],
)
def test_postgres_is_read_as_before(url: str, is_other: bool) -> None:
    assert other_databases.is_other(url) == is_other


# --- DuckDB


@pytest.fixture
def ducks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The same shop with a database of DuckDB, in DuckDB's types."""
    try:
        import duckdb
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("the package duckdb is missing: .ci/run installs EXTRAS=databases")
        pytest.skip("needs duckdb")
    file = shop.folder / "shop.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute(
            "create table orders (user_id bigint, sku varchar, placed timestamptz, n decimal(9, 2), id uuid, "
            "tags varchar[])"
        )
        rows = [
            (user, sku, f"{at}+00", n, f"00000000-0000-0000-0000-{user:012}", ["a"]) for user, sku, at, n, _ in ROWS
        ]
        session.executemany("insert into orders values (?, ?, ?, ?, ?, ?)", rows)
    monkeypatch.setenv("RECJOBS_CONNECTION_SHOP", f"duckdb:///{file}")
    return shop


OF_DUCKS = COLUMNS | {"occurred_at": "placed"}


@pytest.mark.parametrize("user", ["user_id", "id"])
def test_rows_of_duckdb_are_read_in_its_types(ducks: Shop, user: str) -> None:
    night = ducks.begun(f"select {user}, sku, placed, n from orders", OF_DUCKS | {"user_id": user})
    extract.run(night)
    validate.run(night)
    rows, users, items = night.interactions(), night.ids("users"), night.ids("items")
    read = {(users[u], items[i], w) for u, i, w in zip(rows.user_idx, rows.item_idx, rows.weight.tolist(), strict=True)}
    as_text = "00000000-0000-0000-0000-{:012}" if user == "id" else "{}"
    assert read == {(as_text.format(one), sku, n) for one, sku, _, n, _ in ROWS}
    days = {datetime.fromtimestamp(at / 1e6, UTC).isoformat(sep=" ")[:19] for at in rows.occurred_at.tolist()}
    assert days == {at for _, _, at, _, _ in ROWS}


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("select user_id::double as user_id, sku, placed, n from orders", DataRefused, "column 'user_id' is float"),
        ("select user_id + 0.5 as user_id, sku, placed, n from orders", DataRefused, "column 'user_id' is decimal"),
        ("select placed::date as user_id, sku, placed, n from orders", DataRefused, "column 'user_id' is date"),
        ("select tags as user_id, sku, placed, n from orders", DataRefused, "holds lists or objects"),
        ("select * from read_csv('/etc/passwd')", BadConfiguration, "disabled by configuration"),
        ("select n from nothing", BadConfiguration, "the database says: Catalog Error"),
    ],
)
def test_a_query_of_duckdb_is_refused_by_its_place(ducks: Shop, sql: str, error: Any, said: str) -> None:
    with pytest.raises(error, match=r"sources.0.sql: ") as caught:
        ducks.begun(sql, OF_DUCKS)
    assert said in str(caught.value)
