"""The kinds of input that people bring: for each, the test of the suite that reads it, with three variants beside."""

import datetime as dt
import gzip
import importlib
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.errors import DataRefused
from recjobs.operations import check, init
from tests.source_rows import COLUMNS, instants, understood

HERE, DIALECTS, KINDS = "test_cases_of_input", "test_dialects", "test_kinds_of_files"
CASES = {
    "1 no header": (DIALECTS, "test_columns_may_be_named_by_position"),
    "2 a delimiter of two signs": (HERE, "test_a_delimiter_of_several_signs_is_taken_literally"),
    "3 times with UTC behind them": ("test_times", "test_a_time_that_says_utc_is_utc"),
    "4 decimals as ids": ("test_column_types", "test_an_id_is_its_text_or_its_digits_whatever_its_type"),
    "5 UUIDs": (HERE, "test_a_uuid_is_its_text_wherever_it_stands"),
    "6 folders by a pattern": (HERE, "test_a_pattern_that_meets_folders_reads_all_that_is_in_them"),
    "7 times beyond 2262": (HERE, "test_a_time_beyond_2262_lies_in_the_future_whatever_its_type"),
    "8 the key of a folder is the time": (HERE, "test_the_key_of_a_folder_is_a_time_in_every_writing"),
    "9 files without a suffix": (KINDS, "test_files_without_a_suffix_are_read_where_the_format_is_said"),
    "10 capital letters": (KINDS, "test_capital_letters_name_the_same_format"),
    "11 JSON Lines": (KINDS, "test_json_lines_are_rows_of_text_as_it_stands_there"),
    "11 zip": (KINDS, "test_a_zip_with_one_file_is_that_file"),
    "11 what is not read": (KINDS, "test_what_is_not_read_is_called_by_its_name"),
    "12 Excel's first line": (DIALECTS, "test_excels_line_names_the_delimiter_and_is_no_row"),
    "13 prices that are no numbers": (
        "test_attribute_values",
        "test_prices_that_are_no_numbers_are_counted_and_shown",
    ),
    "15 categories in other writing": (
        "test_attribute_values",
        "test_categories_that_seem_to_be_several_are_named_with_the_sign_between_them",
    ),
    "16 items that do not fit": (
        "test_attribute_values",
        "test_ids_in_another_writing_are_found_with_their_cause_however_many_fit",
    ),
    "18 guests called nan": ("test_attribute_values", "test_ids_that_mean_nobody_are_found_with_their_rows"),
    "19 backslashes": (DIALECTS, "test_an_escape_takes_the_meaning_from_the_sign_behind_it"),
    "19 other encodings": (DIALECTS, "test_text_is_decoded_as_the_catalog_says"),
    "21 a feed of active items": (HERE, "test_items_that_the_feed_lacks_are_what_the_catalog_says"),
    "22 comments": (DIALECTS, "test_comment_lines_are_no_rows_wherever_they_stand"),
    "22 lines before the header": (DIALECTS, "test_lines_before_the_rows_are_skipped"),
    "23 no time": (HERE, "test_rows_without_times_are_read_where_the_catalog_says_so"),
    "27 repeated rows are quantities": (HERE, "test_equal_rows_are_a_quantity_in_every_format"),
    "28 ids that a spreadsheet rounded": (
        "test_attribute_values",
        "test_ids_that_a_spreadsheet_rounded_are_known_by_their_look",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_input_has_a_test_with_three_variants(case):
    module, name = CASES[case]
    test = getattr(importlib.import_module(f"tests.unit.{module}"), name)
    sizes = [len(mark.args[1]) for mark in test.pytestmark if mark.name == "parametrize"]
    assert math.prod(sizes) >= 4


ROWS = [(f"u{n % 9}", f"i{n % 7}", f"2024-05-{n % 28 + 1:02}") for n in range(63)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    return tmp_path


def table(rows=ROWS):
    return pa.table(dict(zip(COLUMNS.values(), map(list, zip(*rows, strict=True)), strict=True)))


# --- 2


@pytest.mark.parametrize(
    ("sign", "settings"),
    [
        ("::", {}),
        ("::", {"header": False, "names": ["user", "item", "at"]}),
        ("||", {"encoding": "cp1252"}),
        ("~|~", {"quote": "none"}),
        (", ", {"skip_lines": 2}),
        (".*", {}),
        ("\\s+", {}),
        ("[a-z]", {"comment": "#"}),
        ("\t\t", {}),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_delimiter_of_several_signs_is_taken_literally(folder, sign, settings, ending):
    lines = ([] if "names" in settings else [("user", "item", "at")]) + ROWS
    before = "x\ny\n" * (settings.get("skip_lines", 0) // 2) + "# by me\n" * ("comment" in settings)
    text = before + "".join(sign.join(line) + "\n" for line in lines)
    (folder / f"x.csv{ending}").write_bytes(gzip.compress(text.encode()) if ending else text.encode())
    assert understood(path=f"x.csv{ending}", delimiter=sign, **settings) == (instants(ROWS), [])


def test_a_delimiter_of_several_signs_inside_quotes_is_text(folder):
    (folder / "x.csv").write_text('user::"item::no"::at\n"u::1"::"i::::2"::2024-05-01\nu:2::i:3::2024-05-01\n')
    rows, _ = understood(path="x.csv", delimiter="::", columns=COLUMNS | {"item_id": "item::no"})
    assert [row[:2] for row in rows] == [("u::1", "i::::2"), ("u:2", "i:3")]


def test_the_sign_that_stands_for_the_delimiter_is_refused_with_its_line(folder):
    (folder / "x.csv").write_text("user::item::at\nu::i\x1f::2024-05-01\n")
    with pytest.raises(DataRefused, match=r"line 2: holds the character U\+001F, which stands for `delimiter: '::'`"):
        understood(path="x.csv", delimiter="::")
    (folder / "y.csv").write_text("user,item,at\nu,i\x1f,2024-05-01\n")
    assert understood(path="y.csv")[0][0][:2] == ("u", "i\x1f")


def test_two_colons_are_found_by_who_guesses_and_named_by_who_refuses(folder):
    lines = (f"{n % 9 + 1}::{n % 7 + 500}::{n % 5 + 1}::{978300760 + n}\n" for n in range(90))
    (folder / "ratings.dat").write_text("".join(lines))
    init.run(str(folder / "ratings.dat"), name="films")
    [source] = load_catalog("films").sources
    assert (source.delimiter, source.header, source.time.unit) == ("::", False, "s")
    (folder / "x.csv").write_text("user::item::at\nu::i::2024-05-01\n")
    with pytest.raises(DataRefused, match="separated by two colons: say `delimiter: '::'`"):
        understood(path="x.csv")


# --- 5, 6


@pytest.mark.parametrize("shape", ["uuid", "dictionary", "text", "with a missing one"])
def test_a_uuid_is_its_text_wherever_it_stands(folder, shape):
    texts = [f"00000000-0000-0000-0000-{n:012}" for n in range(9)]
    stored = pa.array([bytes.fromhex(text.replace("-", "")) for text in texts], pa.binary(16))
    ids = pa.ExtensionArray.from_storage(pa.uuid(), stored)
    if shape in ("dictionary", "text"):
        ids = pa.array(texts).dictionary_encode() if shape == "dictionary" else pa.array(texts)
    elif shape == "with a missing one":
        ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([*stored.to_pylist()[:-1], None], pa.binary(16)))
    pq.write_table(pa.table({"user": ids, "item": ids, "at": ["2024-05-01"] * 9}), folder / "x.parquet")
    rows, reasons = understood(path="x.parquet")
    assert [row[0] for row in rows] == texts[: 9 - len(reasons)]
    assert reasons == (["empty_user_id"] if shape == "with a missing one" else [])


@pytest.mark.parametrize("path", ["s-*.parquet", "s-*", "s-2024-0[12].parquet", "s-????-??.parquet", "*"])
def test_a_pattern_that_meets_folders_reads_all_that_is_in_them(folder, path):
    for n, name in enumerate(("s-2024-01.parquet/part-0", "s-2024-01.parquet/part-1", "s-2024-02.parquet/deep/part-0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table(ROWS[n::3]), folder / f"{name}.c000.snappy.parquet")
    (folder / "s-2024-01.parquet" / "_SUCCESS").touch()
    assert sorted(understood(path=path)[0]) == sorted(instants(ROWS))


# --- 7, 8


@pytest.mark.parametrize("year", [2263, 2592, 2600, 9999])
@pytest.mark.parametrize("kind", ["INT96", "timestamp", "date", "text"])
def test_a_time_beyond_2262_lies_in_the_future_whatever_its_type(folder, year, kind):
    moments = [dt.datetime(2024, 5, 1), dt.datetime(year, 12, 31)]  # noqa: DTZ001 - as files have it, without a zone
    at = pa.array(moments, pa.timestamp("us"))
    at = {"date": lambda: at.cast(pa.date32()), "text": lambda: pa.array([f"{m:%Y-%m-%d}" for m in moments])}.get(
        kind, lambda: at
    )()
    found = pa.table({"user": ["u", "v"], "item": ["i", "j"], "at": at})
    pq.write_table(found, folder / "x.parquet", use_deprecated_int96_timestamps=kind == "INT96")
    assert understood(path="x.parquet") == (instants([("u", "i", "2024-05-01")]), ["time_in_future"])


@pytest.mark.parametrize(
    ("key", "time"),
    [
        ("2024-05-{:02}", {}),
        ("2024-05-{:02}%2000%3A00%3A00", {}),
        ("202405{:02}", {"format": "%Y%m%d"}),
        ("{:02}.05.2024", {"format": "%d.%m.%Y"}),
    ],
)
@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_the_key_of_a_folder_is_a_time_in_every_writing(folder, key, time, format):
    for user, item, at in ROWS[:28]:
        place = folder / "in" / f"dt={key.format(int(at[-2:]))}"
        place.mkdir(parents=True, exist_ok=True)
        content = {"csv": f"user,item\n{user},{item}\n", "jsonl": json.dumps({"user": user, "item": item}) + "\n"}
        if format == "parquet":
            pq.write_table(pa.table({"user": [user], "item": [item]}), place / "part-0.parquet")
        else:
            (place / f"part-0.{format}").write_text(content[format])
    rows, reasons = understood(path="in", columns=COLUMNS | {"occurred_at": "dt"}, time=time)
    assert (sorted(rows), reasons) == (sorted(instants(ROWS[:28])), [])


# --- 21, 23, 27: what a night would do


def put(folder, name, rows, columns):
    """Write rows in the format of the name."""
    if name.endswith(".csv"):
        (folder / name).write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    elif name.endswith(".jsonl"):
        (folder / name).write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    else:
        pq.write_table(pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))), folder / name)
    return name


def checked(folder, tree):
    (folder / "shop.yaml").write_text(yaml.safe_dump(tree))
    return check.run(load_catalog("shop"))


@pytest.mark.parametrize("unknown", ["accept", "train_only", "quarantine", "refuse"])
def test_items_that_the_feed_lacks_are_what_the_catalog_says(folder, unknown):
    place = {"path": put(folder, "items.csv", [(f"i{n}", "T") for n in range(5)], ("id", "title")), "unknown": unknown}
    tree = {
        "sources": [{"path": put(folder, "rows.csv", ROWS, COLUMNS.values()), "columns": COLUMNS}],
        "items": {**place, "columns": {"item_id": "id", "title": "title"}},
        "limits": {"max_rejected_share": 0.5},
    }
    found = checked(folder, tree)
    n_unknown = sum(item in ("i5", "i6") for _, item, _ in ROWS)
    n_set_aside = n_unknown if unknown in ("quarantine", "refuse") else 0
    counts = found.result["counts"]
    assert (counts["accepted"], counts["quarantined"]) == (len(ROWS) - n_set_aside, n_set_aside)
    assert (found.error is not None) == (unknown == "refuse")
    assert found.result["places"]["items"] == "5 rows read = 5 kept + 0 repeated + 0 without an id"


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.jsonl", "x.csv with ratings"])
def test_rows_without_times_are_read_where_the_catalog_says_so(folder, name):
    rows = sorted({(user, item, n % 5 + 1) for n, (user, item, _) in enumerate(ROWS)})
    columns = {"user_id": "user", "item_id": "game", "weight": "hours"}
    source = {"path": put(folder, name.split()[0], rows, columns.values()), "columns": columns, "time": "none"}
    if "ratings" in name:
        source["rating_to_weight"] = {3: 1, 5: 2}
    found = checked(folder, {"sources": [source]})
    assert found.error is None
    n_low = sum(row[2] < 3 for row in rows) if "ratings" in name else 0
    counts = found.result["counts"]
    assert (counts["read"], counts["accepted"], counts["excluded"]) == (len(rows), len(rows) - n_low, n_low)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.jsonl", "x.csv twice"])
@pytest.mark.parametrize("repeats", ["sum", "merge"])
def test_equal_rows_are_a_quantity_in_every_format(folder, name, repeats):
    rows = [row for row in ROWS[:20] for _ in range(3)]
    first, _, twice = name.partition(" ")
    put(folder, first, rows[: 30 if twice else 60], COLUMNS.values())
    if twice:
        put(folder, "x2.csv", rows[30:], COLUMNS.values())
    source = {"path": "x*.csv" if twice else first, "columns": COLUMNS, "repeats": repeats}
    counts = checked(folder, {"sources": [source]}).result["counts"]
    assert (counts["read"], counts["accepted"], counts["merged"]) == (60, 20, 40)
    assert {row["weight"] for row in check.run(load_catalog("shop")).result["rows"]} == {
        "3" if repeats == "sum" else "1"
    }
