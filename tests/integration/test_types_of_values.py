"""The same values in the types that writers give them, in every column of every place."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

N_VALUES = 24
SECONDS = [1_735_800_000 + n * 3600 for n in range(N_VALUES)]
WEIGHTS = [n % 4 + 1 for n in range(N_VALUES)]
NULL_AT = 5
PRICES = [None if n == NULL_AT else n + 0.5 for n in range(N_VALUES)]
AVAILABLE = [None if n == NULL_AT else n % 3 > 0 for n in range(N_VALUES)]
NAMES = [None if n == NULL_AT else f"n{n}, \u00fc" for n in range(N_VALUES)]
LISTS = [None if n == NULL_AT else [f"c{n % 3}", "d"] for n in range(N_VALUES)]
JOINED = [None if one is None else "|".join(one) for one in LISTS]
INSTANTS = [datetime.fromtimestamp(at, UTC) for at in SECONDS]
PRICE_TEXTS = [None if price is None else str(price) for price in PRICES]
STOCK = [None if one is None else int(one) for one in AVAILABLE]
TYPES: dict[str, dict[str, pa.Array]] = {
    "narrow": {"weight": pa.array(WEIGHTS, pa.int8()), "price": pa.array(PRICES, pa.float32()),
               "available": pa.array(AVAILABLE), "name": pa.array(NAMES), "list": pa.array(LISTS),
               "at": pa.array(INSTANTS, pa.timestamp("s", "UTC"))},
    "wide": {"weight": pa.array(WEIGHTS, pa.uint64()), "price": pa.array(PRICES, pa.float64()),
             "available": pa.array(STOCK, pa.int64()), "name": pa.array(NAMES, pa.large_string()),
             "list": pa.array(LISTS, pa.large_list(pa.large_string())),
             "at": pa.array(INSTANTS, pa.timestamp("ns", "Europe/Zurich"))},
    "dictionaries": {"weight": pa.array(WEIGHTS).dictionary_encode(), "price": pa.array(PRICES).dictionary_encode(),
                     "available": pa.array(STOCK).dictionary_encode(), "name": pa.array(NAMES).dictionary_encode(),
                     "list": pa.array(JOINED).dictionary_encode(), "at": pa.array(INSTANTS, pa.timestamp("ms", "UTC"))},
    "decimals": {"weight": pa.array(map(Decimal, WEIGHTS), pa.decimal128(9, 0)),
                 "price": pa.array([p and Decimal(p) for p in PRICE_TEXTS], pa.decimal128(9, 2)),
                 "available": pa.array([s if s is None else Decimal(s) for s in STOCK], pa.decimal128(1, 0)),
                 "name": pa.array(NAMES, pa.string_view()), "list": pa.array(JOINED, pa.string_view()),
                 "at": pa.array(map(Decimal, SECONDS), pa.decimal128(38, 0))},
    "wide decimals": {"weight": pa.array(map(Decimal, WEIGHTS), pa.decimal256(40, 2)),
                      "price": pa.array([p and Decimal(p) for p in PRICE_TEXTS], pa.decimal256(40, 2)),
                      "available": pa.array(AVAILABLE), "name": pa.array(NAMES, pa.large_string()),
                      "list": pa.array(LISTS, pa.list_(pa.string_view())), "at": pa.array(SECONDS, pa.int64())},
    "bytes": {name: pa.array(values, pa.binary()) for name, values in (
        ("weight", list(map(str, WEIGHTS))), ("price", PRICE_TEXTS),
        ("available", [s if s is None else str(s) for s in STOCK]), ("name", NAMES), ("list", JOINED),
        ("at", list(map(str, SECONDS))))},
    "text": {"weight": pa.array(map(str, WEIGHTS)), "price": pa.array(PRICE_TEXTS),
             "available": pa.array([None if one is None else ("no", "In stock")[one] for one in AVAILABLE]),
             "name": pa.array(NAMES), "list": pa.array(JOINED),
             "at": pa.array([f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in INSTANTS])},
}  # fmt: skip
"""The same values of every column but ids, in types that writers give them."""


@pytest.mark.parametrize("kind", TYPES)
def test_values_of_a_type_mean_the_same_in_every_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    columns = TYPES[kind]
    ids = pa.array([f"x{n:02}" for n in range(N_VALUES)])
    pq.write_table(pa.table({"id": ids, **columns}), tmp_path / "all.parquet")
    is_number = kind in ("decimals", "wide decimals", "bytes")
    of_rows = {"user_id": "id", "item_id": "id", "occurred_at": "at", "weight": "weight"}
    of_items = {"item_id": "id", "title": "name", "price": "price", "available": "available", "categories": "list"}
    tree = {
        "sources": [{"path": "all.parquet", "columns": of_rows, "time": {"unit": "s" if is_number else "iso"}}],
        "items": {"path": "all.parquet", "columns": of_items},
        "users": {"path": "all.parquet", "columns": {"user_id": "id", "segment": "name", "prefers": "list"}},
    }
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(tree))
    night = Night.open(load_catalog("shop"), str(begin.run(load_catalog("shop"), publish=False)["batch_id"]))
    extract.run(night)
    validate.run(night)

    counts = night.input_account().counts
    assert (counts["read"], counts["accepted"], counts["quarantined"]) == (N_VALUES, N_VALUES, 0)
    rows, user_ids = night.interactions(), night.ids("users")
    assert {
        user_ids[u]: (at / 1e6, weight)
        for u, at, weight in zip(rows.user_idx, rows.occurred_at, rows.weight, strict=True)
    } == dict(zip(ids.to_pylist(), zip(SECONDS, WEIGHTS, strict=True), strict=True))
    items = sorted(night.items().to_pylist(), key=lambda row: row["item_id"])
    assert [row["title"] for row in items] == NAMES
    assert [row["price"] for row in items] == PRICES
    assert [row["available"] for row in items] == [one is not False for one in AVAILABLE]
    assert [row["categories"] for row in items] == [one or [] for one in LISTS]
    users = sorted(night.users().to_pylist(), key=lambda row: row["user_id"])
    assert [row["segment"] for row in users] == NAMES
    assert [row["prefers"] for row in users] == [one or [] for one in LISTS]
