"""The account of the items' and users' own places through the real steps, on files drawn by chance, against plain
Python that reads the same; and how well places fit, at every share."""

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from recjobs.catalog.files import load_catalog
from recjobs.errors import DataRefused
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

EXAMPLES = 100 if os.environ.get("RECJOBS_SOAK") else 5
IDS = ["a", "b", "007", "7", "NA", " ", "caf\u00e9", "ü" * 128, "", "x" * 257, "nul\0"]
TITLES = ["Cup", " Red cup ", "NA", "1e5", "", "  "]
PRICES = ["0", "1.5", "1e2", " 3 ", "", "-1", "nan", "1,50", "$12.99", "12.50 EUR", "free"]
AVAILABLE = ["yes", "no", "0", "12", "In stock", "sold out", "", " ", "perhaps", "soon"]
CATEGORIES = ["Home|Light", "['Home', 'Light']", "Home", "", " "]
SEGMENTS = ["north", " south ", "NA", "", "  "]
PRICE_OF = {"0": 0.0, "1.5": 1.5, "1e2": 100.0, " 3 ": 3.0}
IS_AVAILABLE = {"yes": True, "no": False, "0": False, "12": True, "In stock": True, "sold out": False}
ITEMS = st.lists(
    st.tuples(*map(st.sampled_from, (IDS, TITLES, PRICES, AVAILABLE, CATEGORIES))), min_size=1, max_size=40
)
USERS = st.lists(st.tuples(*map(st.sampled_from, (IDS, SEGMENTS, CATEGORIES))), min_size=1, max_size=20)
ITEM_COLUMNS = ("item_id", "title", "price", "available", "categories")
USER_COLUMNS = ("user_id", "segment", "prefers")
NAMES = {"Home|Light": ["Home", "Light"], "['Home', 'Light']": ["Home", "Light"], "Home": ["Home"]}


@contextmanager
def a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        own = {f"RECJOBS_{key}": name for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA")}
        with mock.patch.dict(os.environ, own):
            yield Path(name)


def write(folder: Path, name: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], kind: str) -> dict[str, Any]:
    """Write a place, and return what the catalog says of it."""
    if kind == "csv":
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(columns)
            writer.writerows(rows)
    else:
        table = {column: [row[n] or None for row in rows] for n, column in enumerate(columns)}
        pq.write_table(pa.table({c: pa.array(v, pa.string()) for c, v in table.items()}), folder / f"{name}.parquet")
    return {"path": f"{name}.{kind}", "columns": {column: column for column in columns}}


def validated(folder: Path, tree: dict[str, Any]) -> tuple[Night, dict[str, Any]]:
    (folder / "shop.yaml").write_text(yaml.safe_dump(tree))
    night = Night.open(load_catalog("shop"), str(begin.run(load_catalog("shop"), publish=False)["batch_id"]))
    extract.run(night)
    validate.run(night)
    return night, json.loads((folder / "shop" / night.batch_id / "validate" / "findings.json").read_text())


def kept(rows: list[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The last row of each id that can be one."""
    return {row[0]: row for row in rows if 0 < len(row[0].encode()) <= 256 and "\0" not in row[0]}


def is_sound(one: str) -> bool:
    return 0 < len(one.encode()) <= 256 and "\0" not in one


def of_column(rows: dict[str, tuple[str, ...]], n: int, meanings: dict[str, Any] | None = None) -> dict[str, int]:
    values = [row[n] for row in rows.values()]
    # nan is no value in a column of text, and no price either
    filled = [value for value in values if value.strip()]
    strange = [value for value in filled if meanings is not None and value not in meanings]
    return {
        "missing": len(values) - len(filled),
        "understood": len(filled) - len(strange),
        "not_understood": len(strange),
    }


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # nights are too slow to shrink
)
@given(ITEMS, USERS, st.sampled_from(["csv", "parquet"]))
def test_every_row_and_value_of_a_place_is_accounted_for_and_read_as_written(
    items: list[tuple[str, ...]], users: list[tuple[str, ...]], kind: str
) -> None:
    rows = [(user, item, "2025-01-01") for user in ("a", "7") for item in ("a", "b", "007", "7")]
    with a_folder() as folder:
        columns = ("user_id", "item_id", "occurred_at")
        tree = {
            "sources": [write(folder, "rows", columns, rows, kind)],
            "items": write(folder, "items", ITEM_COLUMNS, items, kind),
            "users": write(folder, "users", USER_COLUMNS, users, kind),
            "limits": {"min_known_items": 0},
        }
        night, findings = validated(folder, tree)
        read_items = {row["item_id"]: row for row in night.items().to_pylist()}
        read_users = {row["user_id"]: row for row in night.users().to_pylist()}

    for what, of, meanings in (
        ("items", items, {"price": PRICE_OF, "available": IS_AVAILABLE}),
        ("users", users, {}),
    ):
        place, by_id = findings["places"][what], kept(of)
        names = ITEM_COLUMNS if what == "items" else USER_COLUMNS
        assert place["read"] == len(of) == place["kept"] + place["repeated"] + place["without_id"]
        assert (place["kept"], place["without_id"]) == (len(by_id), sum(not is_sound(row[0]) for row in of))
        assert {name: {k: v for k, v in one.items() if k != "examples"} for name, one in place["columns"].items()} == {
            name: of_column(by_id, n, meanings.get(name)) for n, name in enumerate(names) if n
        }
    found = {one["reason"]: one["n_rows"] for one in findings["findings"]}
    n_without = [sum(not is_sound(row[0]) for row in of) for of in (items, users)]
    assert ("place_rows_without_id" in found) == any(n_without)

    for item, row in read_items.items():
        _, title, price, available, categories = kept(items).get(item, (item, "", "", "", ""))
        assert row["title"] == (title.strip() or None)
        assert row["price"] == PRICE_OF.get(price)
        assert row["available"] == (IS_AVAILABLE.get(available, False) if available.strip() else True)
        assert row["categories"] == NAMES.get(categories, [])
    for user, row in read_users.items():
        _, segment, prefers = kept(users).get(user, (user, "", ""))
        assert (row["segment"], row["prefers"]) == (segment.strip() or None, NAMES.get(prefers, []))
    assert kept(users).keys() <= read_users.keys()


@pytest.mark.parametrize("what", ["items", "users"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_ids_that_do_not_fit_are_found_at_every_share_with_the_likely_cause(what: str, share: float) -> None:
    ids = [f"{n + 1:05}" for n in range(100)]
    there = [(one if n < round(share * 100) else one.lstrip("0"),) for n, one in enumerate(ids)]
    of_users = what == "users"
    rows = [
        (one, f"i{n % 9}", "2025-01-01") if of_users else (f"u{n % 9}", one, "2025-01-01") for n, one in enumerate(ids)
    ]
    with a_folder() as folder:
        tree: dict[str, Any] = {
            "sources": [write(folder, "rows", ("user_id", "item_id", "occurred_at"), rows, "csv")],
            what: write(folder, what, (f"{what[:-1]}_id",), there, "csv"),
        }
        if what == "items" and share < 0.5:
            with pytest.raises(DataRefused, match=f"items_do_not_fit: {share:.1%} of the interactions.*leading zeros"):
                validated(folder, tree)
            return
        _, findings = validated(folder, tree)
    assert findings["fit"][what]["share"] == pytest.approx(share)
    by_reason = {one["reason"]: one for one in findings["findings"]}
    example = by_reason[f"{what}_unmatched"]["example"]
    assert "the likely cause is leading zeros" in example
    assert by_reason[f"{what}_unmatched"]["n_rows"] == 100 - round(share * 100)
