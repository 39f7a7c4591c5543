"""Inputs that are read without an error, and are hardly what was meant: what the real steps find in them."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.errors import DataRefused
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

ROWS = [(f"u{n % 10}", f"{n % 8 + 1:03}", f"2025-01-{n % 28 + 1:02}") for n in range(200)]


class Shop:
    """A catalog in a folder, and what `validate` leaves of its input."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, dict[str, Any]()
        columns = {"user_id": "user", "item_id": "item", "occurred_at": "at"}
        self.tree["sources"] = [{"path": "rows.csv", "columns": columns}]
        self.put("rows.csv", "user,item,at", *(",".join(row) for row in ROWS))

    def put(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def items(self, *lines: str, **settings: Any) -> None:
        self.put("items.csv", *lines)
        names = lines[0].split(",")
        self.tree["items"] = {"path": "items.csv", "columns": dict(zip(names, names, strict=True)), **settings}

    def validated(self) -> dict[str, Any]:
        (self.folder / "shop.yaml").write_text(yaml.safe_dump(self.tree))
        night = Night.open(load_catalog("shop"), str(begin.run(load_catalog("shop"), publish=False)["batch_id"]))
        extract.run(night)
        validate.run(night)
        left = self.folder / "shop" / night.batch_id / "validate"
        found: dict[str, Any] = json.loads((left / "findings.json").read_text())
        found["by"] = {one["reason"]: one for one in found["findings"]}
        for name in ("available", "categories"):
            found[name] = {row["item_id"]: row[name] for row in pq.read_table(left / "items.parquet").to_pylist()}
        return found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    return Shop(tmp_path)


ALL = [f"{n:03}" for n in range(1, 9)]


def test_of_a_sound_input_nothing_is_said(shop: Shop) -> None:
    shop.items("item_id,title,price,available", *(f"{one},T,1.5,yes" for one in ALL))
    found = shop.validated()
    assert found["findings"] == []
    assert (found["fit"]["items"]["share"], found["fit"]["items"]["n_known"]) == (1.0, 8)


@pytest.mark.parametrize("written", [lambda one: str(int(one)), lambda one: f"SKU{one}", lambda one: f"{one} "])
def test_an_items_file_that_does_not_fit_is_refused_with_an_example_of_each_side(shop: Shop, written: Any) -> None:
    shop.items("item_id,title", *(f'"{written(one)}",T' for one in ALL))
    with pytest.raises(DataRefused) as caught:
        shop.validated()
    said = str(caught.value)
    assert (
        "items_do_not_fit: 0.0% of the interactions have an item that the items' own source has (0 of 8 items" in said
    )
    assert f"it lacks '001', and has {written('001')!r}; the likely cause is" in said
    shop.tree["limits"] = {"min_known_items": 0}
    assert shop.validated()["by"]["items_unmatched"]["action"] == "warned"


def test_a_feed_of_active_items_trains_on_all_and_lists_its_own(shop: Shop) -> None:
    shop.items("item_id,title", *(f"{one},T" for one in ALL[:6]), unknown="train_only")
    found = shop.validated()
    assert (found["counts"]["accepted"], found["findings"]) == (len(set(ROWS)), [])
    assert {one for one, available in found["available"].items() if available} == set(ALL[:6])
    assert found["fit"]["items"]["share"] < 1


def test_prices_words_and_categories_that_are_not_understood_are_found(shop: Shop) -> None:
    lines = [f'{one},"{n},50",Home > {n},{"perhaps" if n == 7 else "yes"}' for n, one in enumerate(ALL)]
    shop.items("item_id,price,categories,available", *lines)
    found = shop.validated()
    assert (
        "8 of 8 values of column 'price' are no numbers: '0,50', '1,50', '2,50'" in found["by"]["bad_price"]["example"]
    )
    assert found["by"]["bad_available"]["n_rows"] == 1
    assert found["available"]["008"] is False
    assert "`items.separator: '>'`" in found["by"]["unsplit_categories"]["example"]
    shop.tree["items"] |= {"separator": ">", "decimal": ","}
    assert set(shop.validated()["by"]) == {"bad_available"}
    assert found["categories"]["002"] == ["Home > 1"]
    shop.tree["items"] |= {"separator": "|", "tree": ">"}
    found = shop.validated()
    assert set(found["by"]) == {"bad_available"}
    assert found["categories"]["002"] == ["Home", "Home > 1"]


def test_nobody_is_found_and_left_out_where_the_catalog_says_so(shop: Shop) -> None:
    nobody = [f"NULL,{one},2025-01-0{n + 1}" for n, one in enumerate(ALL)]
    shop.put("rows.csv", "user,item,at", *(",".join(row) for row in ROWS), *nobody)
    found = shop.validated()
    assert "'NULL' (8 rows)" in found["by"]["likely_nobody"]["example"]
    shop.tree["limits"] = {"nobody": ["NULL", "guest"]}
    found = shop.validated()
    assert (found["by"]["nobody"]["action"], found["by"]["nobody"]["n_rows"]) == ("excluded", 8)
    assert "likely_nobody" not in found["by"]
    counts = found["counts"]
    assert counts["read"] == sum(counts[name] for name in ("excluded", "accepted", "merged", "quarantined"))


def test_ids_that_a_spreadsheet_rounded_are_the_reason_that_is_given(shop: Shop) -> None:
    shop.put("rows.csv", "user,item,at", *(f"1.23457E+11,{row[1]},{row[2]}" for row in ROWS))
    shop.tree["limits"] = {"bots": {"min_interactions": 20}}
    with pytest.raises(DataRefused) as caught:
        shop.validated()
    assert "rounded_ids: user ids are rounded: '1.23457E+11'" in str(caught.value)
    assert "excluded by rule: " in str(caught.value)
    assert " bot (1 users, such as 1.23457E+11)" in str(caught.value)


@pytest.mark.parametrize("weight", [None, "2.5"])
def test_equal_rows_are_a_quantity_where_the_source_says_so(shop: Shop, weight: str | None) -> None:
    head, tail = ("user,item,at,n", f",{weight}") if weight else ("user,item,at", "")
    rows = ["u,a,2025-01-01", "u,a,2025-01-01", "u,a,2025-01-01", "u,a,2025-01-02", "v,a,2025-01-01", "v,b,2025-01-01"]
    shop.put("rows.csv", head, *(row + tail for row in rows))
    shop.put("more.csv", head, *(row + tail for row in ("v,b,2025-01-03", "v,b,2025-01-03")))
    source = shop.tree["sources"][0]
    if weight:
        source["columns"] = source["columns"] | {"weight": "n"}
    shop.tree["sources"] = [source | {"repeats": "sum"}, source | {"path": "more.csv"}]
    found = shop.validated()
    assert {one: found["by"][one]["n_rows"] for one in ("duplicate", "repeat")} == {"duplicate": 1, "repeat": 2}
    assert (found["counts"]["read"], found["counts"]["merged"], found["counts"]["accepted"]) == (8, 3, 5)
    [batch] = [path for path in (shop.folder / "shop").iterdir() if path.name.endswith("-1")]
    weights = pq.read_table(batch / "validate" / "interactions.parquet")["weight"].to_pylist()
    one = float(weight or 1)
    assert sorted(weights) == [one] * 4 + [3 * one]
    shop.tree["sources"] = [source, source | {"path": "more.csv"}]
    assert shop.validated()["counts"]["merged"] == 3
