"""What other programs write, in every place: read as it was written, row by row, or refused with column and setting."""

import csv
import json
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.errors import DataRefused
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

Table = dict[str, list[Any]]
USERS = ["007", "7", "NA", "null", "1e5", "caf\u00e9", "a b", "9223372036854775808"]
ITEMS = [f"item {n}" for n in range(6)] + ["x;y", "x,y", "it's", "\\N2", 'a "q"', "tab\there"]
TITLES = [f"Thing, no. {n}; {'new' if n % 2 else 'old'}" for n in range(len(ITEMS) - 2)] + ['5" pipe', "two\nlines"]
ROWS = [(USERS[n % 8], ITEMS[n % 12], f"2025-01-{n % 28 + 1:02} 10:00:00", n % 4 + 1) for n in range(120)]


def interactions() -> Table:
    return dict(zip(("user", "item", "at", "n"), map(list, zip(*ROWS, strict=True)), strict=True))


def items() -> Table:
    return {"item": list(ITEMS), "title": list(TITLES), "price": [n + 0.5 for n in range(12)]}


def users() -> Table:
    return {"user": list(USERS), "segment": [f"s{n % 3}" for n in range(8)]}


class Shop:
    """A catalog of three places, each written by one writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def validated(self, suffix: str, settings: dict[str, Any], write: Callable[[Table, Path], None]) -> Night:
        tables = {"rows": interactions(), "items": items(), "users": users()}
        for name, table in tables.items():
            write(table, self.folder / f"{name}{suffix}")

        def place(name: str, columns: dict[str, str]) -> dict[str, Any]:
            names = {"names": list(tables[name])} if settings.get("header") is False else {}
            return {"path": f"{name}{suffix}", "columns": columns, **settings, **names}

        columns = {"user_id": "user", "item_id": "item", "occurred_at": "at", "weight": "n"}
        tree = {
            "sources": [place("rows", columns)],
            "items": place("items", {"item_id": "item", "title": "title", "price": "price"}),
            "users": place("users", {"user_id": "user", "segment": "segment"}),
        }
        (self.folder / "shop.yaml").write_text(yaml.safe_dump(tree))
        night = Night.open(load_catalog("shop"), str(begin.run(load_catalog("shop"), publish=False)["batch_id"]))
        extract.run(night)
        validate.run(night)
        return night


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    return Shop(tmp_path)


def by_csv_module(**dialect: Any) -> Callable[[Table, Path], None]:
    encoding, header = dialect.pop("encoding", "utf-8"), dialect.pop("header", True)

    def write(table: Table, path: Path) -> None:
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.writer(file, **dialect)
            if header:
                writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))

    return write


def by_arrow(table: Table, path: Path) -> None:
    pa_csv.write_csv(pa.table(table), path)


def by_json_module(table: Table, path: Path) -> None:
    rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def by_duckdb(options: str) -> Callable[[Table, Path], None]:
    def write(table: Table, path: Path) -> None:
        if not os.environ.get("CI"):
            pytest.importorskip("duckdb")
        import duckdb

        connection = duckdb.connect()
        connection.register("written", pa.table(table))
        connection.execute(f"copy (select * from written) to '{path}' ({options})")
        connection.close()

    return write


def by_excel(
    *, encoding: str = "utf-8", delimiter: str = ";", decimal: str = ".", first: str = ""
) -> Callable[[Table, Path], None]:
    """As Excel saves a sheet: quotes where a field needs them, lines ending in CRLF, numbers as its country does."""

    def cell(value: object) -> str:
        text = str(value).replace(".", decimal) if isinstance(value, float) else str(value)
        return f'"{text.replace(chr(34), chr(34) * 2)}"' if set(text) & {delimiter, '"', "\n"} else text

    def write(table: Table, path: Path) -> None:
        rows = [tuple(table), *zip(*table.values(), strict=True)]
        lines = (delimiter.join(map(cell, row)) for row in rows)
        path.write_bytes((first + "".join(f"{line}\r\n" for line in lines)).encode(encoding))

    return write


WRITERS: dict[str, tuple[str, dict[str, Any], Callable[[Table, Path], None]]] = {
    "csv: excel": (".csv", {}, by_csv_module()),
    "csv: unix, all quoted": (".csv", {}, by_csv_module(dialect="unix")),
    "csv: excel-tab": (".tsv", {"delimiter": "\t"}, by_csv_module(dialect="excel-tab")),
    "csv: semicolons, cp1252": (".txt", {"delimiter": ";", "encoding": "cp1252"},
                                by_csv_module(delimiter=";", encoding="cp1252")),
    "csv: single quotes, UTF-16": (".csv", {"quote": "'", "encoding": "utf-16"},
                                   by_csv_module(quotechar="'", encoding="utf-16")),
    "csv: escaped, no header": (".csv", {"escape": "\\", "header": False, "delimiter": "|"},
                                by_csv_module(delimiter="|", escapechar="\\", doublequote=False, header=False)),
    "csv: byte order mark": (".csv", {}, by_csv_module(encoding="utf-8-sig")),
    "pandas: to_csv": (".csv", {}, lambda table, path: pd.DataFrame(table).to_csv(path, index=False)),
    "pandas: to_csv.gz": (".csv.gz", {}, lambda table, path: pd.DataFrame(table).to_csv(path, index=False)),
    "pandas: to_csv.zip": (".csv.zip", {}, lambda table, path: pd.DataFrame(table).to_csv(path, index=False)),
    "pandas: with its index": (".csv", {}, lambda table, path: pd.DataFrame(table).to_csv(path)),
    "pandas: json lines": (".jsonl", {}, lambda table, path: pd.DataFrame(table).to_json(
        path, orient="records", lines=True)),
    "pandas: parquet": (".parquet", {}, lambda table, path: pd.DataFrame(table).to_parquet(path)),
    "pandas: categories": (".parquet", {}, lambda table, path: pd.DataFrame(table).astype(
        {name: "category" for name in ("user", "item", "segment") if name in table}).to_parquet(path)),
    "polars: csv": (".csv", {}, lambda table, path: polars.DataFrame(table).write_csv(path)),
    "polars: json lines": (".jsonl", {}, lambda table, path: polars.DataFrame(table).write_ndjson(path)),
    "polars: parquet": (".parquet", {}, lambda table, path: polars.DataFrame(table).write_parquet(path)),
    "duckdb: csv": (".csv", {}, by_duckdb("format csv")),
    "duckdb: csv, bars, all quoted": (".csv", {"delimiter": "|"},
                                      by_duckdb("format csv, delimiter '|', force_quote *")),
    "duckdb: json lines": (".jsonl", {}, by_duckdb("format json")),
    "duckdb: parquet": (".parquet", {}, by_duckdb("format parquet")),
    "excel: csv of a German one": (".csv", {"delimiter": ";", "encoding": "cp1252", "decimal": ","}, by_excel(
        encoding="cp1252", decimal=",")),
    "excel: csv with a line sep=": (".csv", {}, by_excel(first="sep=;\r\n")),
    "excel: csv UTF-8": (".csv", {"delimiter": ";"}, by_excel(encoding="utf-8-sig")),
    "excel: Unicode text": (".txt", {"delimiter": "\t", "encoding": "utf-16"}, by_excel(
        encoding="utf-16", delimiter="\t")),
    "json module": (".ndjson", {}, by_json_module),
    "pyarrow: csv": (".csv", {}, by_arrow),
    "pyarrow: parquet": (".pq", {}, lambda table, path: pq.write_table(pa.table(table), path)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_rows_and_values_are_those_that_were_written(shop: Shop, name: str) -> None:
    suffix, settings, write = WRITERS[name]
    assert_as_written(shop.validated(suffix, settings, write))


def assert_as_written(night: Night) -> None:
    """Every row and value of the three places is that which was written."""
    counts = night.input_account().counts
    assert (counts["read"], counts["accepted"], counts["quarantined"]) == (len(ROWS), len(ROWS), 0)
    rows, user_ids, item_ids = night.interactions(), night.ids("users"), night.ids("items")
    read = {
        (user_ids[u], item_ids[i], f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M:%S}", int(weight))
        for u, i, at, weight in zip(rows.user_idx, rows.item_idx, rows.occurred_at.tolist(), rows.weight, strict=True)
    }
    assert read == set(ROWS)
    described = {row["item_id"]: (row["title"], row["price"]) for row in night.items().to_pylist()}
    assert described == dict(zip(ITEMS, zip(TITLES, items()["price"], strict=True), strict=True))
    assert {row["user_id"]: row["segment"] for row in night.users().to_pylist()} == dict(
        zip(USERS, users()["segment"], strict=True)
    )


UUIDS = [uuid.UUID(int=n + 2**100) for n in range(8)]
INTEGERS = [str(n + 10) for n in range(8)]
IDS: dict[str, tuple[pa.Array, list[str]]] = {
    **{str(kind): (pa.array(list(range(10, 18)), kind), INTEGERS)
       for kind in (pa.int8(), pa.int64(), pa.uint64())},
    **{str(kind): (pa.array(USERS, pa.string()).cast(kind), USERS)
       for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary())},
    "dictionary": (pa.array(USERS).dictionary_encode(), USERS),
    "fixed binary": (pa.array([f"{n:04}".encode() for n in range(8)], pa.binary(4)), [f"{n:04}" for n in range(8)]),
    "decimal128(38, 0)": (pa.array([Decimal(n + 10) for n in range(8)], pa.decimal128(38, 0)), INTEGERS),
    "decimal128(9, 0)": (pa.array([Decimal(n + 10) for n in range(8)], pa.decimal128(9, 0)), INTEGERS),
    "uuid": (pa.array([one.bytes for one in UUIDS], pa.uuid()), [str(one) for one in UUIDS]),
    "json": (pa.ExtensionArray.from_storage(pa.json_(), pa.array(USERS)), USERS),
}  # fmt: skip
NO_IDS: dict[str, pa.Array] = {
    "double": pa.array([n + 0.0 for n in range(8)]),
    "float": pa.array([n + 0.0 for n in range(8)], pa.float32()),
    "decimal128(9, 2)": pa.array([Decimal(n) for n in range(8)], pa.decimal128(9, 2)),
    "bool": pa.array([True, False] * 4),
    "date32[day]": pa.array([datetime(2025, 1, n + 1, tzinfo=UTC).date() for n in range(8)]),
    "timestamp[us]": pa.array([datetime(2025, 1, n + 1) for n in range(8)]),  # noqa: DTZ001 - the type without a zone
    "list<element: string>": pa.array([[user] for user in USERS]),
}
PLACES = ("sources", "items", "users")


def with_ids(shop: Shop, place: str, ids: pa.Array, texts: list[str]) -> Night:
    """Validate a shop whose ids of users (and of items, for the items' place) are of one type in that place alone."""
    at = pa.array(["2025-01-02 10:00:00"] * 8)
    plain = pa.array(texts)
    tables = {
        "rows": pa.table({"id": ids if place == "sources" else plain, "at": at}),
        "items": pa.table({"id": ids if place == "items" else plain, "title": [f"T{n}" for n in range(8)]}),
        "users": pa.table({"id": ids if place == "users" else plain, "segment": [f"s{n}" for n in range(8)]}),
    }
    for name, table in tables.items():
        pq.write_table(table, shop.folder / f"{name}.parquet")
    tree = {
        "sources": [{"path": "rows.parquet", "columns": {"user_id": "id", "item_id": "id", "occurred_at": "at"}}],
        "items": {"path": "items.parquet", "columns": {"item_id": "id", "title": "title"}},
        "users": {"path": "users.parquet", "columns": {"user_id": "id", "segment": "segment"}},
    }
    (shop.folder / "shop.yaml").write_text(yaml.safe_dump(tree))
    night = Night.open(load_catalog("shop"), str(begin.run(load_catalog("shop"), publish=False)["batch_id"]))
    extract.run(night)
    validate.run(night)
    return night


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", IDS)
def test_ids_of_a_type_mean_the_same_in_every_place(shop: Shop, kind: str, place: str) -> None:
    ids, texts = IDS[kind]
    night = with_ids(shop, place, ids, texts)
    assert night.input_account().counts["accepted"] == 8
    assert {row["item_id"]: row["title"] for row in night.items().to_pylist()} == {
        t: f"T{n}" for n, t in enumerate(texts)
    }
    assert {row["user_id"]: row["segment"] for row in night.users().to_pylist()} == {
        t: f"s{n}" for n, t in enumerate(texts)
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", NO_IDS)
def test_ids_of_a_type_that_loses_them_are_refused_with_column_and_type(shop: Shop, kind: str, place: str) -> None:
    with pytest.raises(DataRefused) as refused:
        with_ids(shop, place, NO_IDS[kind], USERS)
    assert "'id'" in str(refused.value) or "'item_id'" in str(refused.value) or "'user_id'" in str(refused.value)
    assert f"has type {kind}" in str(refused.value)
