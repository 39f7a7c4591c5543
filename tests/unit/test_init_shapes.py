"""`recjobs init` on small files in the shapes that people bring: each file's part, and a catalog that reads it."""

import csv
import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.operations import check, init

Rows = Iterable[Iterable[object]]
N_USERS, N_ITEMS, N_ROWS = 60, 25, 900
DAY = 86_400
START = 1_600_000_000


class Folder:
    """A data folder, where `init` finds files and leaves a catalog."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def csv(self, name: str, header: str | None, rows: Rows, delimiter: str = ",") -> None:
        with (self.path / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=delimiter)
            if header:
                writer.writerow(header.split(","))
            writer.writerows(rows)

    def lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        (self.path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def init(self, *names: str) -> dict[str, Any]:
        """The drafted file; a night would run on it, and all rows are accounted for."""
        result = init.run(*(str(self.path / name) for name in names), name="shop")
        self.notes = "\n".join(result["notes"])
        tree: dict[str, Any] = yaml.safe_load((self.path / "shop.yaml").read_text())
        self.checked = check.run(load_catalog("shop"))
        assert self.checked.error is None, self.checked.error
        return tree

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = self.checked.result["counts"]
        return found

    @property
    def row(self) -> dict[str, Any]:
        """One interaction as it was understood."""
        found: dict[str, Any] = self.checked.result["rows"][2]
        return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    for key in ("STATE", "CATALOGS", "DATA", "ARTIFACTS"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    return Folder(tmp_path)


def taken() -> Iterable[tuple[int, int, int, int]]:
    """(number, user, item, seconds since 1970), every pair at most a few times."""
    for n in range(N_ROWS):
        yield n, n * 7 % N_USERS, (n * n + n // 60) % N_ITEMS, START + n * DAY // 9


def instants(seconds: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def movielens(folder: Folder) -> None:
    folder.csv(
        "ratings.csv",
        "userId,movieId,rating,timestamp",
        ((u + 1, i * 11 + 1, n % 10 / 2 + 0.5, t) for n, u, i, t in taken()),
    )
    folder.csv(
        "movies.csv",
        "movieId,title,genres",
        ((i * 11 + 1, f"Night {i}, The (1999)", "Drama|War") for i in range(N_ITEMS)),
    )
    folder.csv(
        "tags.csv", "userId,movieId,tag,timestamp", ((u + 1, i * 11 + 1, "dark", t) for n, u, i, t in taken() if n < 90)
    )


def test_movielens(folder: Folder) -> None:
    movielens(folder)
    tree = folder.init("movies.csv", "tags.csv", "ratings.csv")
    [source] = tree["sources"]
    assert source["path"] == "ratings.csv"
    assert source["columns"] == {
        "user_id": "userId",
        "item_id": "movieId",
        "occurred_at": "timestamp",
        "weight": "rating",
    }
    assert source["time"] == {"unit": "s"}
    assert source["rating_to_weight"] == {3.5: 1.0, 4.5: 2.0}
    assert tree["items"] == {
        "path": "movies.csv",
        "columns": {"item_id": "movieId", "title": "title", "categories": "genres"},
    }
    assert folder.row["title"].startswith("Night ")
    assert folder.row["categories"] == ["Drama", "War"]
    assert "tags.csv: not used: further interactions" in folder.notes


def test_retailrocket(folder: Folder) -> None:
    events = ["view", "view", "view", "addtocart", "transaction"]
    folder.csv(
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid",
        ((t * 1000, 900_000 + u, events[n % 5], 70_000 + i, n if n % 5 == 4 else "") for n, u, i, t in taken()),
    )
    folder.csv("category_tree.csv", "categoryid,parentid", ((n, n // 3) for n in range(90)))
    tree = folder.init("events.csv", "category_tree.csv")
    [source] = tree["sources"]
    assert source["columns"] == {
        "user_id": "visitorid",
        "item_id": "itemid",
        "occurred_at": "timestamp",
        "kind": "event",
    }
    assert source["time"] == {"unit": "ms"}
    assert tree["kinds"] == {"addtocart": 3, "transaction": 5, "view": 1}
    assert "items" not in tree
    assert folder.counts["accepted"] == N_ROWS


def test_hm(folder: Folder) -> None:
    rows = [(instants(t)[:10], f"{u:064x}", f"0{100000 + i}", 0.05, 2) for _, u, i, t in taken()]
    folder.csv("transactions_train.csv", "t_dat,customer_id,article_id,price,sales_channel_id", rows + rows[:200])
    folder.csv(
        "articles.csv",
        "article_id,product_code,prod_name,product_type_name,product_group_name,detail_desc",
        (
            (f"0{100000 + i}", 100 + i // 3, f"Strap top {i}", "Vest top", "Garment Upper body", "Jersey")
            for i in range(N_ITEMS)
        ),
    )
    folder.csv(
        "customers.csv",
        "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code",
        ((f"{u:064x}", "", "", ("ACTIVE", "PRE-CREATE")[u % 2], "NONE", 20 + u % 50, f"{u:x}") for u in range(N_USERS)),
    )
    tree = folder.init("transactions_train.csv", "articles.csv", "customers.csv")
    [source] = tree["sources"]
    assert source["columns"] == {"user_id": "customer_id", "item_id": "article_id", "occurred_at": "t_dat"}
    assert source["repeats"] == "sum"
    assert folder.counts["merged"] >= 200
    assert tree["items"]["columns"]["title"] == "prod_name"
    assert tree["items"]["columns"]["categories"] in ("product_type_name", "product_group_name")
    assert tree["users"]["columns"] == {"user_id": "customer_id", "segment": "club_member_status"}
    assert folder.row["item_id"].startswith("0")


def test_rees46(folder: Folder) -> None:
    events = ["view", "view", "cart", "purchase", "remove_from_cart"]
    folder.csv(
        "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        (
            (
                f"{instants(t)} UTC",
                events[n % 5],
                1000 + i,
                2053 + i % 4,
                f"electronics.kind{i % 4}",
                "acme",
                9.5,
                5_000 + u,
                f"{n:x}-s",
            )
            for n, u, i, t in taken()
        ),
    )
    tree = folder.init("2019-Oct.csv")
    [source] = tree["sources"]
    assert source["columns"] == {
        "user_id": "user_id",
        "item_id": "product_id",
        "occurred_at": "event_time",
        "kind": "event_type",
    }
    assert tree["kinds"] == {"cart": 3, "purchase": 5, "view": 1}
    assert tree["items"]["columns"] == {"categories": "category_code", "price": "price"}
    assert folder.counts["excluded"] == N_ROWS // 5
    assert "left out: remove_from_cart" in (folder.path / "shop.yaml").read_text()


def test_lastfm(folder: Folder) -> None:
    plays = {(u, i): 1 + (n % 7) ** 6 for n, u, i, _ in taken()}
    folder.csv("user_artists.dat", "userID,artistID,weight", ((u + 2, i + 50, w) for (u, i), w in plays.items()), "\t")
    folder.csv(
        "artists.dat",
        "id,name,url,pictureURL",
        (
            (i + 50, f"The Band {i}", f"http://www.example.com/{i}", f"http://img.example.com/{i}.jpg")
            for i in range(N_ITEMS)
        ),
        "\t",
    )
    tree = folder.init("user_artists.dat", "artists.dat")
    [source] = tree["sources"]
    assert source["columns"] == {"user_id": "userID", "item_id": "artistID", "weight": "weight"}
    assert (source["time"], source["format"], source["delimiter"]) == ("none", "csv", "\t")
    assert tree["model"] == {"weight_scale": "log"}
    assert tree["items"]["columns"] == {"item_id": "id", "title": "name", "url": "url", "image": "pictureURL"}
    assert folder.row["title"].startswith("The Band")


def test_amazon_reviews_as_json_lines(folder: Folder) -> None:
    folder.lines(
        "reviews.json",
        (
            {"reviewerID": f"A{u:013}", "asin": f"B{i:09}", "reviewerName": f"Jane {u}", "helpful": [0, 1],
             "reviewText": "Good",
             "overall": float(n % 5 + 1), "summary": "Five", "unixReviewTime": t, "reviewTime": "09 13, 2009"}
            for n, u, i, t in taken()
        ),
    )  # fmt: skip
    folder.lines(
        "meta.jsonl",
        (
            {"asin": f"B{i:09}", "title": f"Cable {i}", "price": 3.5, "category": ["Cables", "Home"]}
            for i in range(N_ITEMS)
        ),
    )
    tree = folder.init("reviews.json", "meta.jsonl")
    [source] = tree["sources"]
    assert source["columns"] == {
        "user_id": "reviewerID",
        "item_id": "asin",
        "occurred_at": "unixReviewTime",
        "weight": "overall",
    }
    assert source["rating_to_weight"] == {4.0: 1.0, 5.0: 2.0}
    assert tree["items"]["columns"]["title"] == "title"
    assert folder.row["categories"] == ["Cables", "Home"]


def test_amazon_reviews_of_2023_whose_title_is_the_reviews(folder: Folder) -> None:
    folder.lines(
        "Books.jsonl",
        (
            {"rating": float(n % 5 + 1), "title": f"Liked it {n}", "text": "Good", "images": [], "asin": f"B{i:09}",
             "parent_asin": f"B{i:09}", "user_id": f"A{u:013}", "timestamp": t * 1000, "helpful_vote": 0,
             "verified_purchase": True}
            for n, u, i, t in taken()
        ),
    )  # fmt: skip
    folder.lines(
        "meta_Books.jsonl",
        ({"main_category": "Books", "title": f"Novel {i}", "parent_asin": f"B{i:09}"} for i in range(N_ITEMS)),
    )
    tree = folder.init("Books.jsonl", "meta_Books.jsonl")
    assert tree["sources"][0]["columns"]["item_id"] == "parent_asin"
    assert tree["sources"][0]["time"] == {"unit": "ms"}
    assert tree["items"]["columns"] == {"item_id": "parent_asin", "title": "title", "categories": "main_category"}


def test_amazon_ratings_without_a_header(folder: Folder) -> None:
    folder.csv("ratings_Books.csv", None, ((f"A{u:013}", f"B{i:09}", float(n % 5 + 1), t) for n, u, i, t in taken()))
    tree = folder.init("ratings_Books.csv")
    [source] = tree["sources"]
    assert source["names"] == ["user", "item", "rating", "timestamp"]
    assert folder.counts["read"] == N_ROWS
    assert folder.row["user_id"].startswith("A")


def shopify(folder: Folder, with_sku: bool) -> None:
    header = (
        "Name,Email,Financial Status,Paid at,Currency,Subtotal,Created at,Lineitem quantity,Lineitem name,"
        "Lineitem price,Lineitem sku,Billing Name,Shipping Name,Shipping City,Id"
    )
    folder.csv(
        "orders_export.csv",
        header,
        (
            (f"#{1000 + n}", f"u{u}@example.com", "paid", f"{instants(t)} +0100", "EUR", 12.5, f"{instants(t)} +0100",
             n % 4 + 1,
             f"Mug {i} - Blue", 12.5, f"MUG-{i:03}" if with_sku else "", f"Jane Doe {u}", f"Jane Doe {u}",
             "Bern", 88_000 + n)
            for n, u, i, t in taken()
        ),
    )  # fmt: skip


@pytest.mark.parametrize("with_sku", [True, False])
def test_shopify(folder: Folder, with_sku: bool) -> None:
    shopify(folder, with_sku)
    tree = folder.init("orders_export.csv")
    item = "Lineitem sku" if with_sku else "Lineitem name"
    assert tree["sources"][0]["columns"] == {
        "user_id": "Email",
        "item_id": item,
        "occurred_at": "Created at",
        "weight": "Lineitem quantity",
    }
    assert tree["items"]["columns"] == {"title": "Lineitem name", "price": "Lineitem price"}
    assert folder.row["title"].startswith("Mug ")


def test_woocommerce(folder: Folder) -> None:
    folder.csv(
        "woo.csv",
        "Order Number,Order Status,Order Date,Customer Note,First Name (Billing),Last Name (Billing),Email (Billing),"
        "SKU,Item #,Item Name,Quantity (- Refund),Item Cost",
        (
            (
                500 + n,
                "completed",
                instants(t),
                "",
                f"Jane{u}",
                f"Doe{u}",
                f"u{u}@example.com",
                f"T{i:03}",
                1,
                f"Tee {i}",
                n % 3 + 1,
                9.0,
            )
            for n, u, i, t in taken()
        ),
    )
    tree = folder.init("woo.csv")
    assert tree["sources"][0]["columns"] == {
        "user_id": "Email (Billing)",
        "item_id": "SKU",
        "occurred_at": "Order Date",
        "weight": "Quantity (- Refund)",
    }
    assert tree["items"]["columns"]["title"] == "Item Name"


def test_ga4_of_bigquery(folder: Folder) -> None:
    events = ["view_item", "add_to_cart", "purchase", "session_start", "page_view"]
    folder.csv(
        "events_20201101.csv",
        "event_date,event_timestamp,event_name,user_pseudo_id,item_id,item_name,item_category,price,quantity",
        (
            (instants(t)[:10].replace("-", ""), t * 1_000_000 + n, events[n % 5], f"{u}.777",
             *((f"SKU{i:03}", f"Cap {i}", "Apparel", 15.0, 1) if n % 5 < 3 else ("", "", "", "", "")))
            for n, u, i, t in taken()
        ),
    )  # fmt: skip
    tree = folder.init("events_20201101.csv")
    columns = tree["sources"][0]["columns"]
    assert (columns["user_id"], columns["item_id"]) == ("user_pseudo_id", "item_id")
    assert (columns["occurred_at"], columns["kind"]) == ("event_timestamp", "event_name")
    assert tree["sources"][0]["time"] == {"unit": "us"}
    assert tree["kinds"] == {"add_to_cart": 3, "purchase": 5, "view_item": 1}
    assert tree["items"]["columns"]["title"] == "item_name"
    assert folder.counts["excluded"] == 2 * N_ROWS // 5
    assert folder.counts["quarantined"] == 0


def instacart(folder: Folder) -> None:
    """Orders that several users placed, and the lines of those orders: neither file has both user and product."""
    orders, lines = [], []
    for n, u, i, _ in taken():
        order = 7919 * (n + 1) % 99_991
        orders.append((order, u + 1, "prior", n // N_USERS + 1, n % 7, f"{n % 24:02}", "" if n < N_USERS else 7.0))
        lines += [(order, 300 + (i + k * 3) % N_ITEMS, k + 1, int(n > 400)) for k in range(2)]
    folder.csv(
        "orders.csv",
        "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order",
        sorted(orders, key=lambda row: row[1]),
    )
    folder.csv("order_products__prior.csv", "order_id,product_id,add_to_cart_order,reordered", sorted(lines))
    folder.csv(
        "products.csv",
        "product_id,product_name,aisle_id,department_id",
        ((300 + i, f"Oat Biscuit No. {i}", i % 5, i % 3) for i in range(N_ITEMS)),
    )
    folder.csv("aisles.csv", "aisle_id,aisle", ((n, f"aisle {n}") for n in range(5)))


def test_instacart_whose_users_stand_with_the_orders(folder: Folder) -> None:
    instacart(folder)
    tree = folder.init("orders.csv", "aisles.csv", "products.csv", "order_products__prior.csv")
    [source] = tree["sources"]
    assert source["path"] == "order_products__prior.csv"
    assert source["columns"] == {"user_id": "user_id", "item_id": "product_id"}
    assert source["join"] == {"path": "orders.csv", "on": "order_id", "columns": ["user_id"]}
    assert (source["time"], source["repeats"]) == ("none", "sum")
    assert tree["items"]["columns"]["title"] == "product_name"
    assert (folder.counts["read"], folder.counts["quarantined"], folder.counts["users"]) == (2 * N_ROWS, 0, N_USERS)
    assert folder.row["title"].startswith("Oat Biscuit")
    assert "orders.csv: joined on order_id" in folder.notes


def test_orders_whose_key_has_another_name_and_the_time(folder: Folder) -> None:
    folder.csv("orders.csv", "id,customer_id,created_at", ((9000 + n, u, instants(t)) for n, u, _, t in taken()))
    folder.csv("lines.csv", "order_id,sku,quantity", ((9000 + n, f"S{i:03}", n % 3 + 1) for n, _, i, _ in taken()))
    tree = folder.init("lines.csv", "orders.csv")
    [source] = tree["sources"]
    assert source["join"] == {
        "path": "orders.csv",
        "on": "order_id",
        "key": "id",
        "columns": ["customer_id", "created_at"],
    }
    assert source["columns"] == {
        "user_id": "customer_id",
        "item_id": "sku",
        "occurred_at": "created_at",
        "weight": "quantity",
    }
    assert (folder.counts["accepted"], folder.counts["quarantined"]) == (N_ROWS, 0)


def nested_events() -> Iterable[dict[str, Any]]:
    """Events as BigQuery exports GA4's to JSON: one object an event, with its items and parameters in lists."""
    events = ["view_item", "add_to_cart", "purchase", "session_start", "page_view"]
    for n, u, i, t in taken():
        items = [
            {"item_id": f"SKU{(i + k) % N_ITEMS:03}", "item_name": f"Cap {(i + k) % N_ITEMS}", "item_brand": "Acme",
             "item_category": "Apparel", "price": 15.0, "quantity": "1"}
            for k in range(1 + (n % 5 == 2))
        ]  # fmt: skip
        yield {
            "event_date": instants(t)[:10].replace("-", ""),
            "event_timestamp": str(t * 1_000_000 + n),
            "event_name": events[n % 5],
            "event_params": [{"key": "page_location", "value": {"string_value": "https://shop.example/"}}],
            "user_pseudo_id": f"{u}.777",
            "device": {"category": "mobile"},
            "items": items if n % 5 < 3 else [],
        }


N_EXPLODED = N_ROWS // 5 * 4
"""Three events of five have items, and every purchase two."""


def test_ga4_as_bigquery_exports_it_with_items_in_a_list(folder: Folder) -> None:
    folder.lines("events_20201101.json", nested_events())
    tree = folder.init("events_20201101.json")
    [source] = tree["sources"]
    assert (source["format"], source["explode"], source["time"]) == ("jsonl", "items", {"unit": "us"})
    assert source["columns"] == {
        "user_id": "user_pseudo_id",
        "item_id": "items.item_id",
        "occurred_at": "event_timestamp",
        "kind": "event_name",
        "weight": "items.quantity",
    }
    assert tree["kinds"] == {"add_to_cart": 3, "purchase": 5, "view_item": 1}
    assert tree["items"]["columns"] == {
        "title": "items.item_name",
        "categories": "items.item_category",
        "price": "items.price",
    }
    assert (folder.counts["read"], folder.counts["quarantined"]) == (N_EXPLODED, 0)
    assert folder.row["title"].startswith("Cap ")


def test_ga4_as_bigquery_exports_it_to_parquet(folder: Folder) -> None:
    pq.write_table(pa.Table.from_pylist(list(nested_events())), folder.path / "events.parquet")
    tree = folder.init("events.parquet")
    assert tree["sources"][0]["explode"] == "items"
    assert (folder.counts["read"], folder.counts["quarantined"]) == (N_EXPLODED, 0)


def test_a_file_a_month_is_one_table(folder: Folder) -> None:
    header = "event_time,event_type,product_id,user_id"
    rows = [(instants(t), "view", 1000 + i, 5_000 + u) for n, u, i, t in taken()]
    folder.csv("2019-Oct.csv", header, rows[:500])
    folder.csv("2019-Nov.csv", header, rows[500:])
    tree = folder.init("2019-Nov.csv", "2019-Oct.csv")
    assert [source["path"] for source in tree["sources"]] == ["2019-*.csv"]
    assert (folder.counts["read"], tree["verb"]) == (N_ROWS, "viewed")
    assert "2019-*.csv: interactions" in folder.notes


def test_files_of_one_shape_that_no_pattern_tells_from_another_are_not_taken_for_one_table(folder: Folder) -> None:
    header = "event_time,event_type,product_id,user_id"
    rows = [(instants(t), "view", 1000 + i, 5_000 + u) for n, u, i, t in taken()]
    for month, part in (("Oct", rows[:300]), ("Nov", rows[300:500]), ("Dec", rows[500:])):
        folder.csv(f"2019-{month}.csv", header, part)
    tree = folder.init("2019-Nov.csv", "2019-Dec.csv")
    assert tree["sources"][0]["path"] == "2019-Dec.csv"
    assert folder.counts["read"] == N_ROWS - 500
    assert "2019-Nov.csv: not used: further interactions" in folder.notes


def test_a_day_without_items_is_a_part_of_an_export_all_the_same(folder: Folder) -> None:
    events = list(nested_events())
    days = {"20200913": events[:500], "20200914": events[500:], "20200101": [e | {"items": []} for e in events[:9]]}
    for day, of_day in days.items():
        folder.lines(f"events_{day}.json", of_day)
    tree = folder.init(*(f"events_{day}.json" for day in sorted(days)))
    assert (tree["sources"][0]["path"], tree["sources"][0]["explode"]) == ("events_*.json", "items")
    assert (folder.counts["read"], folder.counts["quarantined"]) == (N_EXPLODED, 0)


def test_a_pattern_of_nothing_but_a_suffix_names_no_catalog(folder: Folder) -> None:
    rows = [(5_000 + u, 1000 + i, instants(t)) for _, u, i, t in taken()]
    folder.csv("a.csv", "user_id,product_id,event_time", rows[:500])
    folder.csv("b.csv", "user_id,product_id,event_time", rows[500:])
    assert init.run(*(str(folder.path / name) for name in ("a.csv", "b.csv")))["catalog"] == "catalog"


def test_json_lines_that_are_gzipped_and_called_json_are_read_by_a_night_too(folder: Folder) -> None:
    lines = (json.dumps({"reviewerID": f"A{u}", "asin": f"B{i}", "unixReviewTime": t}) for _, u, i, t in taken())
    (folder.path / "reviews.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert folder.init("reviews.json.gz")["sources"][0]["format"] == "jsonl"


def test_ids_of_categories_of_nineteen_digits_are_no_defect(folder: Folder) -> None:
    rows = [(instants(t), 1000 + i, 2053013555631882655 + i, 5_000 + u) for _, u, i, t in taken()]
    folder.csv("events.csv", "event_time,product_id,category_id,user_id", rows)
    assert folder.init("events.csv")["items"]["columns"]["categories"] == "category_id"
    assert folder.row["categories"][0].startswith("20530135556318826")


def test_a_folder_that_is_a_table_of_delta_lake_or_iceberg_is_read_as_one(folder: Folder) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("deltalake")
        pytest.importorskip("pyiceberg")
    from deltalake import write_deltalake

    rows = pa.table({
        "user_id": [f"u{u}" for _, u, _, _ in taken()],
        "product_id": [f"p{i}" for _, _, i, _ in taken()],
        "event_time": pa.array([t for _, _, _, t in taken()], pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC")),
    })  # fmt: skip
    write_deltalake(folder.path / "lake", rows)
    tree = folder.init("lake")
    assert (tree["sources"][0]["path"], tree["sources"][0]["format"]) == ("lake", "delta")
    assert folder.counts["accepted"] == N_ROWS
    (folder.path / "shop.yaml").unlink()
    write_iceberg(folder.path / "berg", rows)
    tree = folder.init("berg/shop/rows")
    assert (tree["sources"][0]["path"], tree["sources"][0]["format"]) == ("berg/shop/rows", "iceberg")
    assert folder.counts["accepted"] == N_ROWS


def write_iceberg(warehouse: Path, rows: pa.Table) -> None:
    from pyiceberg.catalog.memory import InMemoryCatalog

    catalog = InMemoryCatalog("tests", warehouse=str(warehouse))
    catalog.create_namespace("shop")
    catalog.create_table("shop.rows", schema=rows.schema).append(rows)


def test_breadcrumbs_are_categories_with_levels(folder: Folder) -> None:
    folder.csv("orders.csv", "customer_id,product_id,created_at", ((u, i, instants(t)) for _, u, i, t in taken()))
    products = ((i, f"Lamp {i}", f"Home > Light > Kind {i % 4}") for i in range(N_ITEMS))
    folder.csv("products.csv", "product_id,title,category", products)
    tree = folder.init("orders.csv", "products.csv")
    assert (tree["items"]["tree"], tree["items"].get("separator")) == (">", None)
    assert folder.row["categories"][:2] == ["Home", "Home > Light"]


PLAIN = ("customer_id", "product_id", "created_at", "price", "title")


def orders() -> list[tuple[str, str, str, str, str]]:
    return [
        (f"c{u}", f"p{i}", instants(t), f"{1000 * (i % 2) + i + 0.5:.2f}", f"Caf\u00e9 no. {i}")
        for _, u, i, t in taken()
    ]


def german(row: tuple[str, ...]) -> tuple[str, ...]:
    number = f"{float(row[3]):,.2f}".translate(str.maketrans(".,", ",."))
    return (*row[:3], number, row[4])


def text_of(rows: Iterable[Iterable[str]], sign: str = ",") -> str:
    return "".join(f"{sign.join(row)}\n" for row in [PLAIN, *rows])


BACKSLASHES = [(*row[:4], row[4].replace("Caf\u00e9", '"The \\"Caf\u00e9\\"') + '"') for row in orders()]
WRITTEN: dict[str, tuple[bytes, dict[str, Any]]] = {
    "comments": (("# Export\n# of today\n\n" + text_of(orders())).encode(), {"comment": "#"}),
    "percent signs": (("% Export, of today\n" + text_of(orders())).encode(), {"comment": "%"}),
    "a header behind a sign": (text_of(orders()).replace("customer_id", "#customer_id", 1).encode(), {}),
    "lines before the header": (("Orders of a shop\n\n2020\n" + text_of(orders())).encode(), {"skip_lines": 3}),
    "lines before semicolons": (("Orders\n" + text_of(orders(), ";")).encode(), {"skip_lines": 1, "delimiter": ";"}),
    "cp1252": (text_of(orders(), ";").encode("cp1252"), {"encoding": "cp1252", "delimiter": ";"}),
    "cp1252, once more": (text_of(orders(), ";").encode("cp1252") + b"\n", {"encoding": "cp1252", "delimiter": ";"}),
    "UTF-16": (text_of(orders(), "\t").encode("utf-16"), {"encoding": "utf-16", "delimiter": "\t"}),
    "UTF-16 without a mark": (text_of(orders(), "\t").encode("utf-16-le"), {"encoding": "utf-16", "delimiter": "\t"}),
    "decimal commas": (text_of(map(german, orders()), ";").encode(), {"delimiter": ";", "decimal": ","}),
    "decimal commas behind sep=": (("sep=;\n" + text_of(map(german, orders()), ";")).encode(), {"decimal": ","}),
    "escaped quotes": (text_of(BACKSLASHES).encode(), {"escape": "\\"}),
    "quotes written twice": (text_of(BACKSLASHES).replace('\\"', '""').encode(), {}),
}  # fmt: skip
DIALECT = ("encoding", "delimiter", "decimal", "comment", "skip_lines", "escape", "quote")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_dialect_is_written_into_the_draft(folder: Folder, name: str) -> None:
    content, expected = WRITTEN[name]
    (folder.path / "orders.csv").write_bytes(content)
    tree = folder.init("orders.csv")
    [source] = tree["sources"]
    assert {key: source[key] for key in DIALECT if key in source} == expected
    assert (folder.counts["read"], folder.counts["quarantined"]) == (N_ROWS, 0)
    assert tree["items"]["columns"] == {"title": "title", "price": "price"}
    assert "Caf\u00e9" in folder.row["title"]
    assert folder.row["price"] % 1 == 0.5


def test_the_key_of_folders_is_the_time_where_nothing_else_is(folder: Folder) -> None:
    days: dict[str, list[tuple[object, ...]]] = {}
    for _, u, i, t in taken():
        days.setdefault(instants(t)[:10], []).append((f"u{u}", f"p{i}"))
    for day, rows in days.items():
        (folder.path / "events" / "country=de" / f"dt={day}").mkdir(parents=True)
        folder.csv(f"events/country=de/dt={day}/part.csv", "user_id,product_id", rows)
    tree = folder.init("events")
    [source] = tree["sources"]
    assert (source["path"], source["columns"]["occurred_at"], source["time"]["unit"]) == ("events", "dt", "iso")
    assert folder.counts["read"] == N_ROWS


def test_a_folder_of_json_lines_called_json_is_drafted_with_its_format(folder: Folder) -> None:
    (folder.path / "spark").mkdir()
    rows = [{"user_id": f"u{u}", "product_id": f"p{i}", "event_time": instants(t)} for _, u, i, t in taken()]
    folder.lines("spark/part-00000-e533.c000.json", rows[:400])
    (folder.path / "spark" / "part-00001-e533.c000.json.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, rows[400:])).encode())
    )
    (folder.path / "spark" / "_SUCCESS").touch()
    assert folder.init("spark")["sources"][0]["format"] == "jsonl"
    assert folder.counts["read"] == N_ROWS


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_a_folder_of_files_without_a_suffix_is_drafted_with_its_format(folder: Folder, format: str) -> None:
    (folder.path / "unload").mkdir()
    rows = [{"user_id": f"u{u}", "product_id": f"p{i}", "event_time": instants(t)} for _, u, i, t in taken()]
    if format == "csv":
        folder.csv("unload/0000_part_00", ",".join(rows[0]), (row.values() for row in rows))
    elif format == "jsonl":
        folder.lines("unload/0000_part_00", rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), folder.path / "unload" / "0000_part_00")
    assert folder.init("unload")["sources"][0]["format"] == format
    assert folder.counts["read"] == N_ROWS


def test_movielens_of_100k_whose_files_have_no_header_and_signs_of_their_own(folder: Folder) -> None:
    folder.csv("u.data", None, ((u + 1, i + 1, n % 5 + 1, t) for n, u, i, t in taken()), "\t")
    films = (
        f"{i + 1}|Caf\u00e9 {i}, The (1995)|01-Jan-1995||http://www.example.com/{i}|0|1|0\n" for i in range(N_ITEMS)
    )
    (folder.path / "u.item").write_bytes("".join(films).encode("latin-1"))
    (folder.path / "u.user").write_text("".join(f"{u + 1}|{20 + u % 50}|M|writer|85711\n" for u in range(N_USERS)))
    tree = folder.init("u.data", "u.item", "u.user")
    assert (tree["sources"][0]["path"], tree["sources"][0]["columns"]["weight"]) == ("u.data", "rating")
    assert (tree["items"]["path"], tree["items"]["delimiter"], tree["items"]["encoding"]) == ("u.item", "|", "cp1252")
    assert tree["items"]["columns"] == {"item_id": "id", "title": "title"}
    assert folder.row["title"].startswith("Caf\u00e9 ")


def test_movielens_of_a_million_with_two_colons(folder: Folder) -> None:
    (folder.path / "ratings.dat").write_text("".join(f"{u + 1}::{i + 1}::{n % 5 + 1}::{t}\n" for n, u, i, t in taken()))
    films = (f"{i + 1}::Night {i}, The (1995)::Animation|Children's\n" for i in range(N_ITEMS))
    (folder.path / "movies.dat").write_text("".join(films))
    tree = folder.init("ratings.dat", "movies.dat")
    assert (tree["items"]["path"], tree["items"]["delimiter"]) == ("movies.dat", "::")
    assert (folder.row["title"][:6], folder.row["categories"]) == ("Night ", ["Animation", "Children's"])


def test_plays_without_a_header_are_weights(folder: Folder) -> None:
    rows = ((f"{u:040x}", f"{i:08x}-0000", f"the band {i}", 1 + (n % 7) ** 6) for n, u, i, _ in taken())
    folder.csv("plays.tsv", None, rows, "\t")
    tree = folder.init("plays.tsv")
    assert tree["sources"][0]["columns"] == {"user_id": "user", "item_id": "item", "weight": "count"}
    assert (tree["items"]["columns"], tree["model"]) == ({"title": "title"}, {"weight_scale": "log"})


def test_kinds_without_a_header_have_weights(folder: Folder) -> None:
    kinds = ("purchase", "play")
    rows = ((151_600_000 + u, f"Game, The {i}", kinds[n % 2], n % 2 * 3.5 + 1.0, 0) for n, u, i, _ in taken())
    folder.csv("steam-200k.csv", None, rows)
    tree = folder.init("steam-200k.csv")
    assert tree["sources"][0]["columns"]["kind"] == "event"
    assert tree["kinds"] == {"play": 1, "purchase": 5}
