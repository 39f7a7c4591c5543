"""Drafting a catalog file: good guesses, nothing overwritten, nothing that would be refused."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from jsonschema import Draft202012Validator

from recjobs.catalog.files import load_catalog
from recjobs.errors import DataRefused, Misuse
from recjobs.operations import init


@pytest.fixture
def draft(monkeypatch, tmp_path):
    """Drafts a catalog from a file of this name and content, and reads it as a night would."""
    monkeypatch.setenv("RECJOBS_CATALOGS", str(tmp_path / "catalogs"))

    def run(name, content):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            pq.write_table(content, path)
        return load_catalog(init.run(str(path))["catalog"])

    return run


CSV = (
    b"Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID\n"
    b"1,85048,Cup,2,2011-12-09 12:50:00,1.5,13085\n"
)


def test_a_shops_export_is_understood(draft, tmp_path):
    shop = draft("Purchases 2011.csv.gz", gzip.compress(CSV))
    assert shop.name == "purchases_2011"
    [source] = shop.sources
    assert source.path == str(tmp_path / "Purchases 2011.csv.gz")
    assert source.columns.model_dump(exclude_none=True) == {
        "user_id": "Customer ID",
        "item_id": "StockCode",
        "occurred_at": "InvoiceDate",
        "weight": "Quantity",
    }
    assert source.time.unit == "iso"
    assert shop.items.columns.model_dump(exclude_none=True) == {"title": "Description", "price": "Price"}


def test_an_editor_finds_the_schema_beside_the_draft(draft, tmp_path):
    draft("shop.csv", CSV)
    text = (tmp_path / "catalogs" / "shop.yaml").read_text()
    schema = json.loads((tmp_path / "catalogs" / text.splitlines()[0].partition("$schema=")[2]).read_text())
    Draft202012Validator(schema).validate(yaml.safe_load(text))


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 1_000_000)])
@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_the_unit_of_a_number_is_read_off_its_size(draft, unit, factor, kind):
    table = pa.table({"user": ["u"], "movie": ["m"], "timestamp": pa.array([1_323_435_000 * factor]).cast(kind)})
    assert draft("views.parquet", table).sources[0].time.unit == unit


def test_a_file_with_semicolons_gets_a_catalog_that_says_so(draft):
    [source] = draft("shop.csv", CSV.replace(b",", b";")).sources
    assert source.delimiter == ";"
    assert source.columns.item_id == "StockCode"


def test_a_folder_gets_one_catalog(draft, tmp_path):
    (tmp_path / "orders" / "day=1").mkdir(parents=True)
    (tmp_path / "orders" / "day=1" / "a.csv").write_bytes(CSV)
    assert [source.path for source in draft("orders", None).sources] == [str(tmp_path / "orders")]


def test_a_column_whose_name_has_line_ends_breaks_no_line(draft, tmp_path):
    draft("a.csv", b'"a\nkeep: {}",item\n1,2\n')
    assert "# fill in: one of a keep: {}, item\n" in (tmp_path / "catalogs" / "a.yaml").read_text()


def test_an_existing_catalog_is_never_overwritten(draft, tmp_path):
    draft("shop.csv", CSV)
    before = (tmp_path / "catalogs" / "shop.yaml").read_text()
    with pytest.raises(Misuse, match="is there already"):
        draft("shop.csv", CSV)
    assert (tmp_path / "catalogs" / "shop.yaml").read_text() == before


def test_a_file_whose_name_starts_with_a_digit_gets_one_that_does_not(draft):
    assert draft("2011.csv", CSV).name == "catalog_2011"


@pytest.mark.parametrize("name", ["public.csv", "pg_x.csv", "a" * 60 + ".csv"])
def test_a_name_that_cannot_be_a_catalog_is_refused_and_nothing_written(draft, tmp_path, name):
    with pytest.raises(Misuse, match=r"would be refused: name: .* Rename the data file"):
        draft(name, CSV)
    assert not list(tmp_path.glob("catalogs/*"))


def test_what_no_column_looks_like_is_a_line_to_fill_in_with_candidates(draft, tmp_path):
    [source] = draft("a.csv", b"a,item\n1,2\n").sources
    assert (source.columns.user_id, source.columns.item_id, source.time.unit) == ("?", "item", "none")
    text = (tmp_path / "catalogs" / "a.yaml").read_text()
    assert "user_id: '?'  # fill in: one of a, item\n" in text
    assert "time: none  # no column looks like a time" in text


@pytest.mark.parametrize("content", [b"", b"user,item,time\n"])
def test_a_file_without_rows_is_refused(draft, content):
    with pytest.raises(DataRefused, match=r"no rows|empty"):
        draft("a.csv", content)


def test_a_file_that_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("RECJOBS_CATALOGS", str(tmp_path))
    with pytest.raises(DataRefused, match="no such file"):
        init.run(str(tmp_path / "none.csv"))
