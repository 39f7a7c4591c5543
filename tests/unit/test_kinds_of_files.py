"""Files as systems leave them: read whole, or refused by their name; never a part."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recjobs.adapters import sources
from recjobs.core.rows.items import names_of
from recjobs.errors import BadConfiguration, DataRefused

CSV = b"a,b\n1,2\n3,4\n"
TWO = [("1", "2"), ("3", "4")]


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns or {"a": ["1", "3"], "b": ["2", "4"]}), sink)
    return sink.getvalue()


def zipped(*members, **options):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, **options)
    return sink.getvalue()


@pytest.fixture
def put(tmp_path):
    def write(**files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path

    return write


@pytest.fixture
def rows(tmp_path):
    def read(path, columns=("a", "b"), names=None, **place):
        found = []
        for file in sources.find(tmp_path, path, **place):
            for batch in sources.read_rows(file, dict(zip(names or columns, columns, strict=True)), {}):
                found += zip(*(c.to_pylist() for c in batch.columns.values()), strict=True)
        return found

    return read


@pytest.fixture
def refused(rows):
    def read(path, error=DataRefused, **place):
        with pytest.raises(error) as caught:
            rows(path, **place)
        return str(caught.value)

    return read


# --- folders and patterns


def test_a_pattern_that_meets_folders_reads_them_whole_beside_files(put, rows):
    put(**{"s-1.parquet/part-0.parquet": parquet(a=["1"], b=["2"]), "s-1.parquet/_SUCCESS": b""})
    put(**{"s-2.parquet/x/part-0.parquet": parquet(a=["3"], b=["4"]), "s-2.parquet/.part-0.parquet.crc": b"x"})
    put(**{"s-3.parquet": parquet(a=["5"], b=["6"])})
    assert rows("s-*.parquet") == [*TWO, ("5", "6")]
    assert rows("s-?.parquet/") == TWO


@pytest.mark.parametrize("marker", ["_SUCCESS", "_metadata", "_committed_12", "_started_12"])
def test_a_marker_of_a_writer_is_no_table_for_a_pattern_either(put, rows, marker):
    put(**{"in/0000_part_00": CSV, f"in/{marker}": b""})
    assert rows("in/*", format="csv") == TWO


@pytest.mark.parametrize(
    "names", [("0000_part_00", "0001_part_00"), ("000000_0", "000001_0"), ("part-0", "part-1.c000")]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_files_without_a_suffix_are_read_where_the_format_is_said(put, rows, refused, names, zipped):
    ending = ".gz" if zipped else ""
    for name, content in zip(names, (b"a,b\n1,2\n", b"a,b\n3,4\n"), strict=True):
        put(**{f"in/{name}{ending}": gzip.compress(content) if zipped else content})
    put(**{"in/_SUCCESS": b"", "in/manifest": b"{}", "in/README": b"2 files"})
    assert rows("in", format="csv") == TWO
    assert f"it has {names[0]}{ending}, without a suffix: say `format: parquet`" in refused("in")


@pytest.mark.parametrize("name", ["b.orc", "b.csv.zst", "b.csv.bz2", "b.avro", "b.XLSX", "b.tar", "0000_part_00"])
def test_a_folder_is_never_read_in_part(put, rows, refused, name):
    put(**{"in/a.csv": CSV, f"in/{name}": b"?"})
    assert f"in/{name}: " in refused("in")
    assert "format" in refused("in")


def test_what_describes_tables_lies_beside_them_in_peace(put, rows):
    put(**{"in/a.csv": CSV, "in/schema.json": b"{}", "in/README.md": b"x", "in/a.xml": b"<a/>"})
    assert rows("in") == TWO


@pytest.mark.parametrize(
    ("log", "name"),
    [("_delta_log/00.json", "Delta Lake"), ("metadata/v1.metadata.json", "Iceberg"), (".hoodie/x", "Hudi")],
)
@pytest.mark.parametrize("path", ["t", "t*"])
def test_a_table_whose_log_knows_of_deleted_rows_is_refused_by_its_name(put, refused, log, name, path):
    put(**{"t/part-0.parquet": parquet(), f"t/{log}": b"{}"})
    assert f"is a table of {name}: its files also hold rows that were deleted" in refused(path)
    assert ("or say `format: " in refused(path)) == (name != "Hudi")


# --- partitions


@pytest.mark.parametrize("writer", ["csv", "parquet", "jsonl"])
def test_keys_of_folders_are_columns(put, rows, writer):
    content = {"csv": b"a\n1\n", "parquet": parquet(a=["1"]), "jsonl": b'{"a": 1}\n'}[writer]
    put(**{f"in/dt=2024-01-{day:02}/c=d%C3%A9%2F1/p.{writer}": content for day in (1, 2)})
    for path in ("in", "in/*", "in/dt=*/*", f"in/*/*/*.{writer}"):
        assert rows(path, ("dt", "a", "c")) == [("2024-01-01", "1", "dé/1"), ("2024-01-02", "1", "dé/1")]
    assert rows("in/dt=2024-01-02", ("dt",), ["occurred_at"]) == [("2024-01-02",)]


def test_a_key_that_stands_for_null_is_missing_and_a_column_of_the_file_counts_before_a_key(put, rows):
    put(**{"in/dt=__HIVE_DEFAULT_PARTITION__/p.csv": b"a\n1\n", "in/dt=x/a=9/p.csv": b"a\n2\n"})
    assert rows("in", ("a", "dt")) == [("1", None), ("2", "x")]


def test_a_key_that_some_folders_lack_is_missed_by_name(put, refused):
    put(**{"in/p.csv": b"a\n1\n", "in/dt=1/p.csv": b"a\n1\n"})
    assert "in/p.csv: has no column 'dt'" in refused("in", columns=("a", "dt"))


# --- capital letters, zip


@pytest.mark.parametrize("name", ["X.CSV.GZ", "x.Csv.Gz", "X.TXT.GZ", "x.TSV.gz"])
def test_capital_letters_name_the_same_format(put, rows, name):
    put(**{name: gzip.compress(CSV)})
    assert rows(name) == TWO


@pytest.mark.parametrize("name", ["x.csv.zip", "x.zip", "X.CSV.ZIP", "x.Txt.zip"])
def test_a_zip_with_one_file_is_that_file(put, rows, name):
    desktop = [("__MACOSX/._x.csv", b"\0"), (".DS_Store", b"\0"), ("folder/", b"")]
    put(**{name: zipped(*desktop, ("folder/x.csv", CSV)), "y.parquet.zip": zipped(("y.parquet", parquet()))})
    put(**{"in/a.csv.zip": zipped(("a.csv", b"a,b\n5,6\n"))})
    assert rows(name) == TWO
    assert rows("y.parquet.zip") == TWO
    assert rows("in") == [("5", "6")]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "x.csv.zip: no sound zip"),
        ([("empty/", b"")], "holds 0 files (nothing)"),
        ([("a.csv", CSV), ("b.csv", CSV)], "holds 2 files ('a.csv', 'b.csv')"),
        ([("in.zip", zipped(("a.csv", CSV)))], "holds 'in.zip', which is compressed again"),
        ([("a.csv.gz", gzip.compress(CSV))], "which is compressed again"),
        ([("a.csv", b"a,b\n1\n")], "line 2: 1 field where the header has 2"),
        ([("a.csv", b"a,b\n\xff,1\n")], "line 2: the bytes"),
    ],
)
def test_a_zip_that_is_no_single_table_is_refused(put, refused, members, said):
    put(**{"x.csv.zip": zipped(*members)})
    assert said in refused("x.csv.zip")


def test_a_zip_whose_member_is_called_like_a_path_writes_nothing(put, rows, tmp_path):
    folder = put(**{"in/x.csv.zip": zipped(("../../escaped.csv", CSV))})
    assert rows("in/x.csv.zip") == TWO
    assert sorted(p.name for p in folder.rglob("*")) == ["in", "x.csv.zip"]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:35] + b"\xff\xff" + b[37:], lambda b: b"x"]
)
def test_a_damaged_zip_is_refused(put, refused, damage):
    put(**{"x.csv.zip": damage(zipped(("x.csv", CSV * 100)))})
    assert "x.csv.zip: " in refused("x.csv.zip")


# --- what is not read


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.csv.bz2", "is compressed with bzip2, which is not read: decompress it, or write it as .gz"),
        ("x.zst", "is compressed with Zstandard"),
        ("x.xlsx", "is a spreadsheet, which is not read: save it as CSV (UTF-8)"),
        ("x.orc", "is ORC, which is not read: write it as Parquet or CSV"),
        ("x.AVRO", "is Avro"),
        ("x.json", "is JSON, which is not read: say `format: jsonl` if every line is an object"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(put, refused, name, said):
    put(**{name: b"?", f"in/{name}": b"?"})
    assert said in refused(name, BadConfiguration)
    assert said in refused("in")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bz2.compress(CSV), "is compressed with bzip2"),
        (lzma.compress(CSV), "is compressed with xz"),
        (b"\x28\xb5\x2f\xfd\0", "is compressed with Zstandard"),
        (gzip.compress(CSV, mtime=0), "compressed with gzip: let its name end in .gz"),
        (zipped(("x.csv", CSV)), "those of a zip archive"),
        (b"Obj\x01\x04", "is Avro"),
        (b"ORC\x11\0", "is ORC"),
        (b"\xd0\xcf\x11\xe0", "is a spreadsheet of old Excel"),
        (b"<!DOCTYPE html>\n<p>Not found", "is an HTML page"),
        (b"SQLite format 3\0", "is a database of SQLite"),
    ],
)
@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_what_is_not_read_is_recognised_under_another_name(put, refused, content, said, format):
    put(**{f"x.{format}": content})
    assert said in refused(f"x.{format}")


@pytest.mark.parametrize("header", [b"ORC,b\n1,2\n", b"BZh,b\n1,2\n", b"Object,b\n1,2\n", b"<html,b\n"])
def test_a_header_that_begins_like_another_format_is_a_header(put, rows, header):
    put(**{"x.csv": header.replace(b"<html", b"html")})
    assert len(sources.find(put(), "x.csv")) == 1


# --- JSON Lines


def lines(*objects):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects).encode()


@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson.gz", "x.JSONL", "x.json", "x.jsonl.zip"])
def test_json_lines_are_rows_of_text_as_it_stands_there(put, rows, name):
    body = lines({"a": "007", "b": 12345678901234567890}, {"b": "x\ny", "a": "é"}) + b'\n{"a": 1e5, "b": 1.50}\n'
    body += b'{"a": true}\r\n{"a": null, "b": ""}'
    content = gzip.compress(body) if name.endswith(".gz") else body
    put(**{name: zipped(("x.jsonl", body)) if name.endswith(".zip") else content})
    expected = [("007", "12345678901234567890"), ("é", "x\ny"), ("1e5", "1.50"), ("true", None), (None, "")]
    assert rows(name, format="jsonl" if name == "x.json" else None) == expected


def test_a_list_is_read_for_categories_and_an_objects_key_by_its_path(put, rows):
    put(**{"x.jsonl": lines({"i": {"id": 7}, "c": ["A|B", "C"]}, {"i": {"id": "8"}, "c": "A|B"}, {"i": {"id": 9}})})
    found = rows("x.jsonl", ("i.id", "c"), ["item_id", "categories"])
    assert [(i, names_of(c)) for i, c in found] == [("7", ["A|B", "C"]), ("8", ["A", "B"]), ("9", [])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1, "b": 2}\n{"a": 1, "b"\n', 'line 2: \'{"a": 1, "b"\' is no JSON'),
        (b'[{"a": 1, "b": 2}]', 'line 1: \'[{"a": 1, "b": 2}]\' is no object; write an array with one object a line'),
        (b'{"a": 1, "b": 2}\n7\n', "line 2: '7' is no object"),
        (b'{"a": ["x"], "b": 2}\n', "line 1: 'a' holds a list, where one value is needed"),
        (b'{"a": {"x": 1}, "b": 2}\n', "line 1: 'a' holds an object"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 1: objects and lists are nested too deep"),
        (b'{"a": 1, "c": 2}\n', "has no column 'b'; it has 'a', 'c'"),
        (b'{"a": "\\ud800", "b": 2}\n', "is no text"),
        (b'{"a": "\xff", "b": 2}\n', "line 1: the bytes"),
        (b"a,b\n1,2\n", "line 1: 'a,b' is no JSON"),
        (b'{"a": 1, "b": 2}\n{"a":', "line 2: "),
    ],
)
def test_what_is_no_row_of_json_is_refused_with_its_line(put, refused, content, said):
    put(**{"x.jsonl": content})
    assert said in refused("x.jsonl")


def test_json_read_as_csv_names_the_setting(put, refused):
    put(**{"x.csv": lines({"a": 1, "b": 2})})
    assert "begins as JSON does: say `format: jsonl`" in refused("x.csv")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("['Home', 'Light']", ["Home", "Light"]),
        ('["Home","A|B"]', ["Home", "A|B"]),
        ("[]", []),
        ("[1, 2.5]", ["1", "2.5"]),
        ("[Home]", ["[Home]"]),
        ('[["a"], "b"]', ['[["a"], "b"]']),
        ('[["Tools", "Saws"], ["Tools", "Sale"]]', ["Tools", "Saws", "Sale"]),
        ('[{"id": 18, "name": "Drama"}, {"id": 7, "name": "War"}]', ["Drama", "War"]),
        ("[{'id': 18}]", ["[{'id': 18}]"]),
        ("[{'name': ['a']}]", ["[{'name': ['a']}]"]),
        ("[" * 20_000 + "]" * 20_000, ["[" * 20_000 + "]" * 20_000]),
        ("[__import__('os').getcwd()]", ["[__import__('os').getcwd()]"]),
    ],
)
def test_a_list_written_as_json_or_python_is_a_list_of_categories(text, names):
    assert names_of(text) == names


@pytest.mark.parametrize(
    ("value", "separator", "tree", "names"),
    [
        ("Home > Light > Lamps", "|", ">", ["Home", "Home > Light", "Home > Light > Lamps"]),
        ("Home>Light|Home>Sale", "|", ">", ["Home", "Home > Light", "Home > Sale"]),
        ("electronics.audio;toys", ";", ".", ["electronics", "electronics > audio", "toys"]),
        ("/Home//Light/", "|", "/", ["Home", "Home > Light"]),
        ('["Home > Light", "Garden > Light"]', "|", ">", ["Home", "Home > Light", "Garden", "Garden > Light"]),
        ('[["Tools", "Saws"], ["Sale"]]', "|", ">", ["Tools", "Tools > Saws", "Sale"]),
        ([["Tools", "Saws"], None, ["Tools"]], "|", ">", ["Tools", "Tools > Saws"]),
        ([["Tools", "Saws"], ["Sale"]], "|", None, ["Tools", "Saws", "Sale"]),
        ([{"name": "Drama"}, {"name": None}], "|", None, ["Drama"]),
        ("Home > Light", "|", None, ["Home > Light"]),
        (">", "|", ">", []),
        (None, "|", ">", []),
    ],
)
def test_categories_with_levels_are_all_of_their_branches(value, separator, tree, names):
    assert names_of(value, separator, tree) == names
