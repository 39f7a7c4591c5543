"""`recjobs check`: what a night would do with its input, without a night, and with a night's exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from recjobs.catalog.files import load_catalog
from recjobs.cli import cli
from recjobs.errors import DataRefused, InputLate
from recjobs.night.night import Night
from recjobs.operations import check
from recjobs.steps import begin, extract, validate

ROWS = [f"u{n % 10},{n % 8 + 1:03},2025-01-{n % 28 + 1:02} 10:00:00,{n % 3 + 1}" for n in range(200)]


class Shop:
    """A catalog in a folder, whose artifacts and database are elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        columns = {"user_id": "user", "item_id": "item", "occurred_at": "at", "weight": "n"}
        self.tree: dict[str, Any] = {"sources": [{"path": "rows.csv", "columns": columns}]}
        self.put("rows.csv", "user,item,at,n", *ROWS)

    def put(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def check(self, *options: str) -> Result:
        (self.folder / "shop.yaml").write_text(yaml.safe_dump(self.tree))
        return CliRunner().invoke(cli, ["check", "--catalog", "shop", *options])

    def result(self, *options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.check("--json", *options).output.splitlines()[-1])
        return found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for key in ("STATE", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    monkeypatch.setenv("RECJOBS_ARTIFACTS", str(tmp_path / "artifacts"))
    return Shop(tmp_path)


def test_a_sound_input_is_counted_and_shown(shop: Shop) -> None:
    done = shop.check()
    assert done.exit_code == 0, done.output
    assert "200 rows read = 0 excluded + 0 quarantined + 0 merged + 200 accepted" in done.output
    assert "10 users, 8 items, 2025-01-01 10:00:00 to 2025-01-28 10:00:00 UTC" in done.output
    assert done.output.count("user_id=u") == 5
    assert "a night would run; no earlier night to compare with" in done.output


def test_nothing_is_left_behind(shop: Shop) -> None:
    shop.check()
    assert sorted(path.name for path in shop.folder.rglob("*")) == ["rows.csv", "shop.yaml"]


def test_quarantined_rows_are_shown_by_reason_with_value_and_place(shop: Shop) -> None:
    shop.put("rows.csv", "user,item,at,n", *ROWS, "u1,001,soon,1", ",002,2025-01-02,1", "u3,003,2025-01-02,-4")
    done = shop.check()
    assert done.exit_code == 0
    assert "203 rows read = 0 excluded + 3 quarantined + 0 merged + 200 accepted" in done.output
    assert f"quarantined: bad_time, such as 'soon' in {shop.folder}/rows.csv row 201" in done.output
    assert "quarantined: weight_not_positive, such as '-4' in" in done.output


def test_how_places_fit_is_measured(shop: Shop) -> None:
    shop.tree["items"] = {"path": "items.csv", "columns": {"item_id": "item", "title": "title"}}
    shop.put("items.csv", "item,title", *(f"{n:03},Cup {n}" for n in range(1, 7)))
    found = shop.result()
    assert found["fit"]["items"].startswith("75.0% of the interactions have an item that the items' own source has")
    assert found["rows"][0]["title"] == "Cup 1"
    assert [one["reason"] for one in found["findings"]] == ["items_unmatched"]


def test_what_a_night_would_refuse_is_shown_and_raised(shop: Shop) -> None:
    shop.put("rows.csv", "user,item,at,n", *ROWS, *["u1,001,soon,1"] * 100)
    done = shop.check("--json")
    assert isinstance(done.exception, DataRefused)
    assert "too_many_rejected" in str(done.exception)
    assert "such as" in str(done.exception)
    found = json.loads(done.output.splitlines()[-1])
    assert (found["counts"]["quarantined"], found["night"]) == (100, "would be refused")


def test_an_input_that_cannot_be_read_is_refused_as_by_a_night(shop: Shop) -> None:
    shop.put("rows.csv", "user,item,when,n", *ROWS)
    assert isinstance(shop.check().exception, DataRefused)


def test_a_stale_live_source_would_be_skipped(shop: Shop) -> None:
    shop.tree["live"] = True
    done = shop.check()
    assert isinstance(done.exception, InputLate)
    assert "stale_input" in done.output


def test_the_holdout_is_what_a_first_night_would_take(shop: Shop) -> None:
    assert shop.result("--set", "holdout_days=5")["holdout"]["users"] == 10


def test_check_and_a_night_agree(shop: Shop) -> None:
    shop.put("rows.csv", "user,item,at,n", *ROWS, ROWS[0], "u1,001,soon,1", "nan,001,2025-01-03,1")
    found = shop.result()
    catalog = load_catalog("shop")
    night = Night.open(catalog, str(begin.run(catalog, publish=False)["batch_id"]))
    extract.run(night)
    validate.run(night)
    assert found["counts"] == night.input_account().counts
    assert found["findings"] == night.input_account().findings


def many(folder: Path, n_files: int, n_rows: int, value: Callable[[int], str]) -> None:
    for number in range(n_files):
        ids = pa.array([f"u{n % 50}" for n in range(n_rows)])
        table = {"user": ids, "item": ids, "at": pa.array([value(number)] * n_rows), "n": pa.array([1] * n_rows)}
        pq.write_table(pa.table(table), folder / f"part-{number:03}.parquet")


def test_a_large_input_is_sampled_from_its_last_and_first_files(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SAMPLE_ROWS", 250)
    monkeypatch.setattr(extract, "SAMPLE_BYTES", 1000)
    shop.tree["sources"][0]["path"] = "part-*.parquet"
    many(shop.folder, 60, 100, lambda number: f"2025-01-{number // 2 + 1:02}")
    found = shop.result()
    assert found["is_sample"]
    assert found["counts"]["read"] == 300
    assert (found["period"]["oldest"][:10], found["period"]["newest"][:10]) == ("2025-01-01", "2025-01-30")
    assert "of a sample (--all reads every row)" in shop.check().output
    assert shop.result("--all")["counts"]["read"] == 6000


def test_a_file_a_day_of_a_small_shop_is_read_whole(shop: Shop) -> None:
    shop.tree["sources"][0]["path"] = "part-*.parquet"
    many(shop.folder, 60, 100, lambda number: f"2025-01-{number // 2 + 1:02}")
    found = shop.result()
    assert (found["is_sample"], found["counts"]["read"]) == (False, 6000)
