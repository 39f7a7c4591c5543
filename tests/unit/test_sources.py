"""Source files: found, identified, and read exactly as they are, or refused with the place and the way out."""

import csv
import gzip
import hashlib
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recjobs.adapters import sample_shop, sources
from recjobs.adapters.sources import csv_files, reading
from recjobs.catalog.sources import Location, RowFilter
from recjobs.core.rows.validation import as_ids
from recjobs.errors import BadConfiguration, DataRefused
from tests.unit.hostile import HOSTILE


def as_csv(rows, header=("user_id", "n")):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return text.getvalue().encode()


def as_parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return tmp_path

    return write


def find(folder, path, **place):
    return sources.find(folder, path, **place)


def rows_of(folder, path, mapping, where=None, file_format=None):
    """Every column of every row, and each row's number."""
    found, numbers = [], []
    for file in find(folder, path, format=file_format):
        for rows in sources.read_rows(file, mapping, where or {}):
            found += zip(*(as_ids(column, name).to_pylist() for name, column in rows.columns.items()), strict=True)
            numbers += rows.row.tolist()
    return found, numbers


PAIR = {"user_id": "user_id", "item_id": "n"}


# --- ids, from file to text


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.parquet.gz"])
def test_hostile_ids_arrive_byte_for_byte(put, name):
    ids = [*HOSTILE, "a\0b"]
    content = (
        as_csv([(i, n) for n, i in enumerate(ids)]) if "csv" in name else as_parquet(user_id=ids, n=range(len(ids)))
    )
    folder = put(name, gzip.compress(content) if name.endswith(".gz") else content)
    found, numbers = rows_of(folder, name, PAIR)
    assert found == [(i, str(n)) for n, i in enumerate(ids)]
    assert numbers == list(range(1, len(ids) + 1))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=8))
def test_any_id_arrives_by_either_format(tmp_path_factory, ids):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.csv").write_bytes(as_csv([(i, "x") for i in ids]))
    (folder / "a.parquet").write_bytes(as_parquet(user_id=pa.array(ids, pa.string())))
    assert [row[0] for row in rows_of(folder, "a.csv", {"user_id": "user_id"})[0]] == ids
    assert [row[0] for row in rows_of(folder, "a.parquet", {"user_id": "user_id"})[0]] == ids


def test_in_csv_numbers_and_words_for_nothing_are_text(put):
    folder = put("a.csv", b"user_id,n\n007,NA\n1e5,null\n,\n")
    assert rows_of(folder, "a.csv", PAIR)[0] == [("007", "NA"), ("1e5", "null"), ("", "")]


def test_a_first_line_with_a_byte_order_mark_is_a_first_line(put):
    assert rows_of(put("a.csv", b"\xef\xbb\xbfuser_id,n\n1,2\n"), "a.csv", PAIR)[0] == [("1", "2")]


def test_lines_may_end_in_any_way_and_the_last_in_none(put):
    for ending in (b"\n", b"\r\n", b"\r"):
        folder = put("a.csv", ending.join([b"user_id,n", b"1,2", b"3,4"]))
        assert rows_of(folder, "a.csv", PAIR)[0] == [("1", "2"), ("3", "4")]


def test_a_large_file_is_read_in_batches_with_row_numbers_that_go_on(put, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 10)
    folder = put("a.parquet", as_parquet(user_id=[str(n) for n in range(35)]))
    [file] = find(folder, "a.parquet")
    batches = list(sources.read_rows(file, {"user_id": "user_id"}, {}))
    assert [batch.n_read for batch in batches] == [10, 10, 10, 5]
    assert np.concatenate([batch.row for batch in batches]).tolist() == list(range(1, 36))


def test_csv_of_many_blocks_is_cut_between_rows_and_never_inside_one(put, monkeypatch):
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 64)
    ids = [f'{n}\n"{n}"\n' for n in range(40)]
    folder = put("a.csv", as_csv([(i, n) for n, i in enumerate(ids)]))
    assert rows_of(folder, "a.csv", PAIR) == ([(i, str(n)) for n, i in enumerate(ids)], list(range(1, 41)))


def test_row_numbers_go_on_behind_a_batch_that_lost_rows_to_a_rule(put, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    folder = put("a.parquet", as_parquet(user_id=["", "b", "", "d", "e"]))
    found = rows_of(folder, "a.parquet", {"user_id": "user_id"}, {"empty": RowFilter(column="user_id", is_empty=True)})
    assert found == ([("b",), ("d",), ("e",)], [2, 4, 5])


def test_parquet_types_stay_and_dictionaries_become_what_they_stand_for(put):
    folder = put("a.parquet", as_parquet(u=pa.array(["7", "007", "7"]).dictionary_encode(), n=pa.array([1, None, 3])))
    [file] = find(folder, "a.parquet")
    [batch] = sources.read(file, ["n", "u"])
    assert batch.schema.names == ["n", "u"]
    assert batch.schema.types == [pa.int64(), pa.string()]
    assert batch.column("u").to_pylist() == ["7", "007", "7"]


# --- rules


def test_a_row_counts_for_the_first_rule_it_meets_and_keeps_its_number_in_the_file(put):
    folder = put("a.csv", b"invoice,user_id,n\n1,u,a\nC2,,b\nC3,u,c\n4,,d\n5,v,e\n")
    [file] = find(folder, "a.csv")
    where = {
        "anonymous": RowFilter(column="user_id", is_empty=True),
        "cancelled": RowFilter(column="invoice", matches="^C"),
    }
    [rows] = sources.read_rows(file, PAIR, where)
    assert rows.excluded == {"anonymous": 2, "cancelled": 1}
    assert rows.columns["item_id"].to_pylist() == ["a", "e"]
    assert list(rows.columns) == ["user_id", "item_id"]
    assert rows.row.tolist() == [1, 5]
    assert rows.n_read == len(rows.row) + sum(rows.excluded.values())


def test_one_column_may_stand_for_two(put):
    folder = put("a.csv", b"sku\nx\n")
    assert rows_of(folder, "a.csv", {"item_id": "sku", "title": "sku"})[0] == [("x", "x")]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (RowFilter(column="at", at_least=1), "holds no numbers"),
        (RowFilter(column="user_id", matches="(?=x)"), "regular expression"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_named(put, rule, said):
    folder = put("a.parquet", as_parquet(user_id=["u"], at=pa.array([0], pa.timestamp("us"))))
    with pytest.raises(BadConfiguration, match=rf"where\.mine: cannot be asked of column '{rule.column}' .*{said}"):
        rows_of(folder, "a.parquet", {"user_id": "user_id"}, {"mine": rule})


# --- what is refused


def refused(folder, path, mapping=PAIR):
    with pytest.raises(DataRefused) as caught:
        rows_of(folder, path, mapping)
    assert str(folder / path) in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_there_says_where_it_was_looked_for(tmp_path):
    assert "RECJOBS_DATA" in refused(tmp_path, "none.csv")
    assert "no such file" in refused(tmp_path, "none-*.csv")


def test_an_empty_file_is_refused(put):
    assert "empty (0 bytes)" in refused(put("a.csv", b""), "a.csv")


def test_a_missing_column_is_named_with_those_that_are_there(put):
    for name, content in (("a.csv", b"user,n\n1,2\n"), ("a.parquet", as_parquet(user=["1"], n=["2"]))):
        said = refused(put(name, content), name)
        assert "has no column 'user_id'; it has 'user', 'n'" in said


def test_a_column_that_is_there_twice_is_refused(put):
    assert "more than one column 'n'" in refused(put("a.csv", b"user_id,n,n\n1,2,3\n"), "a.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("no.parquet", b"user_id,n\n1,2\n"),
        ("cut.parquet", as_parquet(user_id=["1"], n=["2"])[:-9]),
        ("cut.parquet.gz", gzip.compress(as_parquet(user_id=["1"], n=["2"]))[:-9]),
    ],
)
def test_a_damaged_file_is_refused_by_name(put, name, content):
    assert "the file is damaged or of another format" in refused(put(name, content), name)


def test_parquet_with_a_flipped_byte_is_refused_or_at_least_not_taken_for_text(put):
    content = bytearray(as_parquet(user_id=["caf\u00e9"] * 3, n=["1"] * 3))
    content[content.index("é".encode())] = 0xFF
    assert "UTF8" in refused(put("a.parquet", bytes(content)), "a.parquet")


def test_a_file_that_goes_away_before_it_is_read_is_refused(put):
    folder = put("a.csv", b"user_id,n\n1,2\n")
    [file] = find(folder, "a.csv")
    (folder / "a.csv").unlink()
    with pytest.raises(DataRefused, match=r"a\.csv: (cannot be read as csv|there is no such file)"):
        list(sources.read(file, None))


def test_a_file_of_unknown_kind_asks_for_its_format(put):
    folder = put("a.dat", b"user_id,n\n1,2\n")
    with pytest.raises(BadConfiguration, match="say `format: parquet` or `format: csv`"):
        find(folder, "a.dat")
    assert rows_of(folder, "a.dat", PAIR, file_format="csv")[0] == [("1", "2")]


# --- finding


def test_a_pattern_finds_files_in_order_of_name_and_no_folders(put):
    for name in ("day/2.csv", "day/10.csv", "day/1.csv", "day/sub.csv/x"):
        folder = put(name, b"user_id,n\n%b,x\n" % name.encode())
    found = find(folder, "day/*.csv")
    assert [file.path.removeprefix(f"{folder}/") for file in found] == ["day/1.csv", "day/10.csv", "day/2.csv"]


def test_a_folder_means_the_tables_in_it_and_its_folders_and_nothing_unfinished(put):
    names = ["day=2/b.csv", "day=1/a.csv.gz", "c.CSV", ".hidden.csv", "_tmp/d.csv", ".x/e.csv", "_SUCCESS", "notes.md"]
    for name in names:
        content = b"user_id,n\n%b,x\n" % name.encode()
        folder = put(f"in/{name}", gzip.compress(content) if name.endswith(".gz") else content)
    for path in ("in", "in/", str(folder / "in")):
        found = [file.path.removeprefix(f"{folder}/in/") for file in find(folder, path)]
        assert found == ["c.CSV", "day=1/a.csv.gz", "day=2/b.csv"]
    assert rows_of(folder, "in", PAIR)[0] == [("c.CSV", "x"), ("day=1/a.csv.gz", "x"), ("day=2/b.csv", "x")]


def test_a_folder_without_tables_says_so(put):
    assert "no .parquet or .csv file in this folder" in refused(put("in/notes.md", b"x"), "in")


def test_files_of_two_formats_are_not_mixed_unless_the_format_is_said(put):
    put("in/a.csv", b"user_id,n\n1,2\n")
    folder = put("in/b.parquet", as_parquet(user_id=["3"], n=["4"]))
    for path in ("in", "in/*"):
        with pytest.raises(BadConfiguration, match=r"a\.csv is CSV and .*b\.parquet is Parquet; say `format: parquet`"):
            find(folder, path)
    assert rows_of(folder, "in", PAIR, file_format="csv")[0] == [("1", "2")]
    assert rows_of(folder, "in", PAIR, file_format="parquet")[0] == [("3", "4")]


def test_a_file_called_like_a_pattern_is_itself(put):
    folder = put("in[1]/a[1].csv", b"user_id,n\n1,2\n")
    assert [f.path for f in find(folder, "in[1]/a[1].csv")] == [str(folder / "in[1]/a[1].csv")]
    assert len(find(folder / "in[1]", "*.csv")) == 1


def test_an_absolute_path_is_itself(put, tmp_path):
    folder = put("a.csv", b"user_id,n\n1,2\n")
    assert find(tmp_path / "elsewhere", str(folder / "a.csv"))[0].path == str(folder / "a.csv")


def test_a_file_is_identified_by_its_bytes(put):
    content = b"user_id,n\n1,2\n"
    [file] = find(put("a.csv", content), "a.csv")
    assert (file.sha256, file.n_bytes, file.format) == (hashlib.sha256(content).hexdigest(), len(content), "csv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.CSV", "csv"),
        ("a.txt.gz", "csv"),
        ("a.pq", "parquet"),
        ("a.b.parquet", "parquet"),
        ("a.parquet.gz", "parquet"),
        ("2025.01.01/a.csv", "csv"),
    ],
)
def test_the_format_is_read_off_the_name(put, name, expected):
    assert find(put(name, b"x"), name)[0].format == expected


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gs://bucket/a.csv", "from a disk or from s3://"),
        ("https://example.com/a.csv", "from a disk or from s3://"),
        ("s3://", "names no bucket; say s3://bucket/folder/file"),
        ("s3:///a.csv", "names no bucket"),
        ("s3://my bucket/a.csv", "names no bucket"),
        ("s3://Bucket/a.csv", "names no bucket"),
    ],
)
def test_a_place_that_cannot_be_is_a_mistake_of_the_catalog(tmp_path, path, said):
    with pytest.raises(BadConfiguration) as caught:
        find(tmp_path, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_a_path_that_no_disk_can_have_is_refused(tmp_path):
    for path, error in (("x" * 5000, DataRefused), ("a\0b.csv", ValidationError), ("", ValidationError)):
        with pytest.raises(error):
            find(tmp_path, Location(path=path).path)


# --- the sample shop


def shop(name):
    [file] = find(None, f"sample:{name}")
    return pa.Table.from_batches(sources.read(file, None))


def test_the_sample_shop_has_the_same_rows_every_time():
    again = {name: shop(name) for name in ("items", "interactions")}
    sample_shop._items.cache_clear()
    sample_shop._interactions.cache_clear()
    for name, rows in again.items():
        assert shop(name).equals(rows)


def test_the_sample_shop_is_a_shop():
    items, bought = shop("items"), shop("interactions")
    assert items.num_rows == len(set(items["item_id"].to_pylist())) == len(set(items["title"].to_pylist())) == 360
    assert set(bought["item_id"].to_pylist()) <= set(items["item_id"].to_pylist())
    assert len(set(bought["user_id"].to_pylist())) == 1500
    assert bought["occurred_at"].to_pylist() == sorted(bought["occurred_at"].to_pylist())
    assert all(price > 0 for price in items["price"].to_pylist())


def test_the_sample_shop_is_identified_without_being_made():
    [items], [interactions] = (find(None, f"sample:{name}") for name in ("items", "interactions"))
    assert items.format == "sample"
    assert items.sha256 != interactions.sha256
    assert find(None, "sample:items") == [items]


def test_the_sample_shop_says_what_it_has():
    [file] = find(None, "sample:users")
    with pytest.raises(BadConfiguration, match="has only sample:items and sample:interactions"):
        list(sources.read(file, None))
    [file] = find(None, "sample:items")
    with pytest.raises(DataRefused, match="has no column 'sku'"):
        list(sources.read(file, ["sku"]))
