"""Files of interactions without a catalog: ids as they are, times and weights if there are any, bad rows counted."""

import gzip
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recjobs.errors import DataRefused, Misuse
from recjobs.operations import interaction_files

NOW = datetime(2024, 6, 1, tzinfo=UTC)
AT = int(datetime(2024, 5, 31, tzinfo=UTC).timestamp())


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path)
        else:
            raw = content if isinstance(content, bytes) else content.encode()
            path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return str(path)

    return write


def read(path, **options):
    return interaction_files.read(path, NOW, **options)


def rows_of(file):
    found, rows = file.gathered, file.gathered.interactions
    users, items = found.user_ids.to_pylist(), found.item_ids.to_pylist()
    return [(users[u], items[i]) for u, i in zip(rows.user_idx, rows.item_idx, strict=True)]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_ids_of_a_csv_are_kept_byte_for_byte(put, name):
    ids = ["007", "7", "NA", "1e5", " padded ", "🙂"]
    file = read(put(name, "item_id,extra,user_id\n" + "".join(f"i{n},x,{user}\n" for n, user in enumerate(ids))))
    assert sorted(rows_of(file)) == sorted((user, f"i{n}") for n, user in enumerate(ids))
    assert (file.n_read, file.n_bad, file.has_times) == (6, {}, False)


def test_integer_ids_of_parquet_become_digits_and_equal_rows_are_merged(put):
    file = read(put("rows.parquet", {"user_id": [2**53 + 1, 7, 7], "item_id": [1, 2, 2]}))
    assert rows_of(file) == [("7", "2"), ("9007199254740993", "1")]
    assert file.account() == {"read": 3, "bad": {}, "merged": 1, "interactions": 2, "users": 2, "items": 2}


@pytest.mark.parametrize("values", [[AT] * 2, [AT * 1000] * 2, [float(AT)] * 2, [str(AT)] * 2, ["2024-05-31"] * 2])
def test_times_are_understood_however_they_are_written(put, values):
    file = read(put("rows.parquet", {"user_id": ["u", "v"], "item_id": ["i", "i"], "occurred_at": values}))
    assert file.has_times
    assert file.gathered.interactions.occurred_at.tolist() == [AT * 1_000_000] * 2


def test_a_column_that_is_not_asked_for_is_not_looked_at(put):
    path = put("rows.csv", "user_id,item_id,occurred_at,weight\nu,i,never,none\n")
    assert rows_of(read(path, optional=())) == [("u", "i")]


def test_bad_rows_are_left_out_and_counted(put):
    rows = "".join(f"u{n},i,1\n" for n in range(30))
    file = read(put("rows.csv", f"user_id,item_id,weight\n{rows},i,1\nu,,1\nu,i,heavy\n"))
    assert file.n_bad == {"empty_user_id": 1, "empty_item_id": 1, "bad_weight": 1}
    assert (file.n_read, len(file.gathered.interactions)) == (33, 30)


def test_too_many_bad_rows_are_refused_with_the_first_place(put):
    path = put("rows.csv", "user_id,item_id,occurred_at\nu,i,2024-05-31\nv,i,31/05/24\nw,i,31/05/24\n")
    with pytest.raises(DataRefused, match=r"66.7% of the rows are bad: 2 rows bad_time, such as .*rows.csv row 2$"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("rows.csv", "user,item_id\nu,i\n", "has no column 'user_id'; it has 'user', 'item_id'. Rename its columns"),
        ("rows.parquet", {"user_id": ["u"]}, "has no column 'item_id'"),
        ("rows.csv", "", "the file is empty"),
        ("rows.csv", "user_id,item_id\n", "no rows"),
        ("rows.parquet", {"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())}, "no rows"),
        ("rows.csv", "user_id,item_id\nu,i,j\n", "line 2: 3 fields where the header has 2"),
        ("rows.csv", b"user_id,item_id\nu,\xff\n", "line 2: the bytes .* are no UTF-8 text"),
        ("rows.parquet", b"PAR1 and no more", "cannot be read as parquet"),
        ("rows.parquet", {"user_id": [1.5], "item_id": [1]}, "column 'user_id' has type double"),
        ("rows.parquet", {"user_id": ["u"], "item_id": ["i"], "weight": [[1]]}, "column 'weight' has type list"),
    ],
)
def test_what_cannot_be_read_is_refused_and_the_file_is_named(put, name, content, why):
    path = put(name, content)
    with pytest.raises(DataRefused, match=why) as refused:
        read(path)
    assert path in str(refused.value)


def test_a_missing_file_and_one_of_another_format_are_named(put, tmp_path):
    with pytest.raises(DataRefused, match=r"none\.csv: there is no such file"):
        read(str(tmp_path / "none.csv"))
    with pytest.raises(Misuse, match=r"rows\.xlsx: is neither \.parquet nor \.csv"):
        read(put("rows.xlsx", "user_id,item_id\nu,i\n"))


def test_a_folder_of_files_is_read_as_one_and_its_files_must_agree(put, tmp_path):
    put("a.csv", "user_id,item_id,weight\nu,i,1\n")
    put("b.csv", "item_id,user_id,weight\nj,v,1\n")
    assert rows_of(read(str(tmp_path))) == [("u", "i"), ("v", "j")]
    put("c.csv", "item_id,user_id\nj,v\n")
    with pytest.raises(DataRefused, match=r"c\.csv: has no column 'weight'"):
        read(str(tmp_path))
