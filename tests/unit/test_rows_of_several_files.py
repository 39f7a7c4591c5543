"""Rows whose columns stand in another file, and rows that lie in lists: read whole, or refused with the place."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import ValidationError

from recjobs.adapters import sources
from recjobs.catalog.files import load_catalog
from recjobs.catalog.sources import Source
from recjobs.config import load_settings
from recjobs.core.source_formats import Dialect
from recjobs.errors import DataRefused
from recjobs.night.inputs import files_at
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

COLUMNS = {"user_id": "user", "item_id": "sku", "occurred_at": "at"}
LINES = "order,sku\n1,a\n1,b\n2,a\n3,c\n"
ORDERS = "id,user,at,state\n1,u,2025-01-01,paid\n2,v,2025-01-02,paid\n3,u,2025-01-03,void\n"
JOIN = {"path": "orders.csv", "on": "order", "key": "id", "columns": ["user", "at", "state"]}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Reads lines joined to orders, as tuples of user, item and time."""
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))

    class Shop:
        folder = tmp_path

        def put(self, **files):
            for name, text in files.items():
                (tmp_path / f"{name}.csv").write_text(text)

        def rows(self, path="lines.csv", where=None, **join):
            source = Source.model_validate(
                {"path": path, "columns": COLUMNS, "join": JOIN | join, "where": where or {}}
            )
            found = []
            for file in files_at(source, load_settings()):
                for rows in sources.read_rows(file, source.columns.present, source.where):
                    found += zip(*(column.to_pylist() for column in rows.columns.values()), strict=True)
            return found

    shop = Shop()
    shop.put(lines=LINES, orders=ORDERS)
    return shop


READ = [("u", "a", "2025-01-01"), ("u", "b", "2025-01-01"), ("v", "a", "2025-01-02"), ("u", "c", "2025-01-03")]


def test_each_line_has_its_orders_user_and_time(shop):
    assert shop.rows() == READ
    assert shop.rows(where={"void": {"column": "state", "equals": "void"}}) == READ[:3]


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.string(), pa.large_string()])
def test_a_key_is_its_digits_whatever_its_type(shop, kind):
    ids = pa.array([1, 2, 3]).cast(kind)
    table = pa.table({"id": ids, "user": ["u", "v", "u"], "at": ["2025-01-01", "2025-01-02", "2025-01-03"]})
    pq.write_table(table, shop.folder / "orders.parquet")
    assert shop.rows(columns=["user", "at"]) == READ
    source = Source.model_validate(
        {"path": "lines.csv", "columns": COLUMNS, "join": JOIN | {"path": "orders.parquet", "columns": ["user", "at"]}}
    )
    [file] = files_at(source, load_settings())
    [rows] = sources.read_rows(file, source.columns.present, {})
    assert list(zip(*(column.to_pylist() for column in rows.columns.values()), strict=True)) == READ


def test_an_order_that_is_exported_twice_alike_is_one(shop):
    shop.put(orders=ORDERS + "1,u,2025-01-01,paid\n")
    assert shop.rows() == READ


def test_a_key_in_rows_that_differ_is_refused_by_name(shop):
    shop.put(orders=ORDERS + "1,w,2025-01-01,paid\n")
    with pytest.raises(DataRefused, match=r"orders.csv: id '1' stands in 2 rows that differ in user, at, state"):
        shop.rows()


def test_a_line_without_an_order_has_no_user(shop):
    shop.put(lines=LINES + "9,d\n")
    assert shop.rows()[-1] == (None, "d", None)


def test_keys_of_which_none_is_found_are_refused_with_one_of_each_side(shop):
    shop.put(orders=ORDERS.replace("\n", "\n000", 3))
    with pytest.raises(DataRefused, match=r"no row finds its order in .*: such as '1', where that has '0001'"):
        shop.rows()


@pytest.mark.parametrize(
    ("join", "said"),
    [
        ({"key": "nr"}, "orders.csv: has no column 'nr'"),
        ({"columns": ["user", "at", "shop"]}, "orders.csv: has no column 'shop'"),
        ({"on": "nr"}, "lines.csv: has no column 'nr'"),
        ({"path": "no.csv"}, "no.csv: there is no such file"),
    ],
)
def test_what_a_join_lacks_is_named_with_its_file(shop, join, said):
    with pytest.raises(DataRefused, match=said):
        shop.rows(**join)


@pytest.mark.parametrize(
    "join", [{"columns": []}, {"columns": ["order"]}, {"on": ""}, {"sql": "select 1"}, {"path": None}, {"where": {}}]
)
def test_a_join_that_cannot_be_is_a_mistake_of_the_catalog(join):
    with pytest.raises(ValidationError):
        Source.model_validate({"path": "lines.csv", "columns": COLUMNS, "join": JOIN | join})


def test_a_night_accounts_for_all_rows_and_pins_the_joined_file(shop):
    shop.put(lines=LINES + "9,d\n")
    tree = {"sources": [{"path": "lines.csv", "columns": COLUMNS, "join": JOIN}], "limits": {"max_rejected_share": 0.5}}
    (shop.folder / "shop.yaml").write_text(yaml.safe_dump(tree))
    catalog = load_catalog("shop")
    night = Night.open(catalog, str(begin.run(catalog, publish=False)["batch_id"]))
    assert [f["of"] for f in night.request.input["files"]] == ["sources.0", "sources.0.join"]
    extract.run(night)
    counts = validate.run(night)
    assert (counts["read"], counts["accepted"], counts["quarantined"]) == (5, 4, 1)
    shop.put(orders=ORDERS + "4,x,2025-01-03,paid\n")
    with pytest.raises(DataRefused, match=r"orders.csv: changed while the night was running"):
        extract.run(night)
    later = begin.run(catalog, publish=False)
    assert later["batch_id"] != night.batch_id


# --- rows in lists

EVENTS = [
    {"user": "u", "at": "1", "items": [{"id": "a", "n": 2}, {"id": "b", "n": 1}], "tags": ["x"]},
    {"user": "v", "at": "2", "items": []},
    {"user": "w", "at": "3"},
    {"user": "x", "at": "4", "items": [{"id": "a"}]},
]
OF_EVENTS = [("u", "a", "2"), ("u", "b", "1"), ("x", "a", None)]


def exploded(folder, name, columns=("user", "items.id", "items.n"), explode="items"):
    [file] = sources.find(folder, name, None, ",", Dialect(explode=explode))
    mapping = {str(n): column for n, column in enumerate(columns)}
    found = []
    for rows in sources.read_rows(file, mapping, {}):
        found += zip(*(map(as_text, column.to_pylist()) for column in rows.columns.values()), strict=True)
    return found


def as_text(value):
    return None if value is None else str(value)


def test_each_object_of_a_list_is_a_row_with_its_lines_columns(tmp_path):
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    assert exploded(tmp_path, "x.jsonl") == OF_EVENTS


@pytest.mark.parametrize("shape", ["list", "large list", "a list of elements, as BigQuery writes it"])
def test_parquet_of_every_shape_has_the_same_rows(tmp_path, shape):
    inner = pa.struct({"id": pa.string(), "n": pa.int64()})
    items = [event.get("items") for event in EVENTS]
    if shape == "list":
        column = pa.array(items, pa.list_(inner))
    elif shape == "large list":
        column = pa.array(items, pa.large_list(inner))
    else:
        wrapped = [None if one is None else {"list": [{"element": each} for each in one]} for one in items]
        column = pa.array(wrapped, pa.struct({"list": pa.list_(pa.struct({"element": inner}))}))
    pq.write_table(pa.table({"user": [e["user"] for e in EVENTS], "items": column}), tmp_path / "x.parquet")
    assert exploded(tmp_path, "x.parquet") == OF_EVENTS


def test_a_key_of_a_folder_is_a_column_of_each_row(tmp_path):
    (tmp_path / "day=7").mkdir()
    (tmp_path / "day=7" / "x.jsonl").write_text(json.dumps(EVENTS[0]) + "\n")
    pq.write_table(pa.Table.from_pylist(EVENTS[:1]), tmp_path / "day=7" / "x.parquet")
    for name in ("day=7/x.jsonl", "day=7/x.parquet"):
        assert exploded(tmp_path, name, ("items.id", "day")) == [("a", "7"), ("b", "7")]


@pytest.mark.parametrize(
    ("content", "columns", "said"),
    [
        ('{"user": "u", "items": "a"}', ("user",), "line 1: 'items' holds no list of objects"),
        ('{"user": "u", "items": {"id": 1}}', ("user",), "line 1: 'items' holds no list of objects"),
        ('{"user": "u", "items": [{"id": 1}]}\n{"items": [1]}', ("user",), "line 2: 'items' holds no list"),
        ('{"user": "u", "items": [{"id": 1}]}', ("items.sku",), "has no column 'items.sku'; it has 'user', 'items.id'"),
    ],
)
def test_what_is_no_list_of_objects_is_refused_with_its_line(tmp_path, content, columns, said):
    (tmp_path / "x.jsonl").write_text(content + "\n")
    with pytest.raises(DataRefused, match=said):
        exploded(tmp_path, "x.jsonl", columns)


def test_a_column_of_parquet_that_is_no_list_of_objects_is_refused_with_its_type(tmp_path):
    pq.write_table(pa.table({"user": ["u"], "items": [["a"]]}), tmp_path / "x.parquet")
    with pytest.raises(DataRefused, match=r"column 'items' has type list<.*string>, which is no list of objects"):
        exploded(tmp_path, "x.parquet")
    pq.write_table(pa.table({"user": ["u"], "items": [[{"id": "a"}]]}), tmp_path / "y.parquet")
    with pytest.raises(DataRefused, match=r"y.parquet: has no column 'items.n'; it has 'user', 'items.id'"):
        exploded(tmp_path, "y.parquet")


def test_csv_has_no_lists(tmp_path):
    (tmp_path / "x.csv").write_text("user,items\nu,a\n")
    with pytest.raises(DataRefused, match="a row of CSV holds no lists to explode"):
        exploded(tmp_path, "x.csv", ("user",))
