"""Tables of Delta Lake and Iceberg, written by their own libraries: what they hold now is read, nothing else."""

import datetime as dt
import json
import os
import shutil
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recjobs.adapters import sources
from recjobs.adapters.sources import tables
from recjobs.catalog.sources import Source
from recjobs.config import load_settings
from recjobs.errors import BadConfiguration, DataRefused
from recjobs.night.inputs import files_at
from tests.source_rows import COLUMNS, instants, understood

if not (find_spec("deltalake") and find_spec("pyiceberg")):
    if os.environ.get("CI"):
        pytest.fail("deltalake or pyiceberg is not installed: .ci/run installs EXTRAS=tables")
    pytest.skip("needs make install-dev EXTRAS=tables", allow_module_level=True)

FORMATS = ("delta", "iceberg")
DAYS = [dt.date(2025, 1, day) for day in (1, 2, 3)]


def rows_of(*users: str, day: int = 0) -> pa.Table:
    return pa.table({"user": list(users), "item": ["i"] * len(users), "at": pa.array([DAYS[day]] * len(users))})


class Lake:
    """A data folder with one table, `orders`, of either format."""

    def __init__(self, folder: Path, format: str) -> None:
        self.folder, self.format = folder, format
        self.path = folder / "orders"
        self._iceberg: Any = None

    def append(self, rows: pa.Table) -> None:
        if self.format == "delta":
            from deltalake import write_deltalake

            write_deltalake(self.path, rows, mode="append")
            return
        if self._iceberg is None:
            from pyiceberg.catalog.memory import InMemoryCatalog

            catalog = InMemoryCatalog("lake", warehouse=str(self.folder))
            catalog.create_namespace("shop")
            self._iceberg = catalog.create_table("shop.orders", rows.schema, location=str(self.path))
        self._iceberg.append(rows)

    def delete(self, user: str) -> None:
        if self.format == "delta":
            from deltalake import DeltaTable

            DeltaTable(self.path).delete(f"\"user\" = '{user}'")
        else:
            self._iceberg.delete(f"user = '{user}'")

    def place(self, **settings: Any) -> Source:
        return Source.model_validate({"path": "orders", "format": self.format, "columns": COLUMNS, **settings})

    def find(self, pinned: tuple[str, ...] = (), **settings: Any) -> Any:
        [file] = files_at(self.place(**settings), load_settings(), pinned=pinned)
        return file

    def users(self, file: Any) -> list[str]:
        batches = sources.read_rows(file, {"user_id": "user"}, {})
        return [user for batch in batches for user in batch.columns["user_id"].to_pylist()]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECJOBS_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(params=FORMATS)
def lake(data: Path, request: pytest.FixtureRequest) -> Lake:
    lake = Lake(data, request.param)
    lake.append(rows_of("a", "b"))
    lake.append(rows_of("c", day=1))
    return lake


def test_rows_that_were_deleted_do_not_come_back(lake: Lake) -> None:
    assert sorted(lake.users(lake.find())) == ["a", "b", "c"]
    lake.delete("b")
    assert sorted(lake.users(lake.find())) == ["a", "c"]
    rows, reasons = understood(path="orders", format=lake.format)
    assert sorted(rows) == instants([("a", "i", "2025-01-01"), ("c", "i", "2025-01-02")])
    assert reasons == []


def test_a_snapshot_that_is_pinned_is_read_again_in_the_same_order_after_the_table_went_on(lake: Lake) -> None:
    before = lake.find()
    users = lake.users(before)
    lake.append(rows_of("d", day=2))
    lake.delete("a")
    again = lake.find(pinned=(before.path,))
    assert (again, lake.users(again)) == (before, users)
    now = lake.find()
    assert (now.path == before.path, now.sha256 == before.sha256) == (False, False)
    assert sorted(lake.users(now)) == ["b", "c", "d"]
    assert before.path.startswith(f"{lake.path}#{'version=1' if lake.format == 'delta' else 'snapshot='}")


def test_a_range_of_any_column_is_pushed_down(lake: Lake) -> None:
    lake.append(rows_of("d", day=2))
    for ends, users in (
        ({"since": "2025-01-02"}, ["c", "d"]),
        ({"until": "2025-01-02"}, ["a", "b", "c"]),
        ({"since": "2025-01-02", "until": "2025-01-02"}, ["c"]),
    ):
        assert sorted(lake.users(lake.find(partitions={"at": ends}))) == users
    assert lake.users(lake.find(partitions={"user": {"since": "d"}})) == ["d"]
    with pytest.raises(BadConfiguration, match="'2025-1' is no date"):
        lake.users(lake.find(partitions={"at": {"since": "2025-1"}}))
    with pytest.raises(DataRefused, match="has no column 'dt', which `partitions` asks for"):
        lake.users(lake.find(partitions={"dt": {"since": "1"}}))


@pytest.mark.parametrize("format", FORMATS)
def test_types_become_what_they_become_in_a_parquet_file(data: Path, format: str) -> None:
    instant = dt.datetime(2025, 1, 1, 12, 30, tzinfo=dt.UTC)
    rows = pa.table(
        {
            "user": pa.array([Decimal(7), Decimal(8)], pa.decimal128(12, 0)),
            "item": pa.array([b"x", b"y"], pa.binary()),
            "at": pa.array([instant, instant.replace(year=2400)], pa.timestamp("us", "UTC")),
            "price": [1.5, None],
        }
    )
    lake = Lake(data, format)
    lake.append(rows)
    pq.write_table(rows, data / "rows.parquet")
    [file] = sources.find(data, "rows.parquet")
    expected = [row for batch in sources.read(file, None) for row in batch.to_pylist()]
    assert [row for batch in sources.read(lake.find(), None) for row in batch.to_pylist()] == expected
    with pytest.raises(BadConfiguration, match="a range is of dates, text or whole numbers"):
        lake.users(lake.find(partitions={"price": {"since": "1"}}))


def test_what_is_no_such_table_is_refused_by_its_path(lake: Lake, data: Path) -> None:
    title = tables.TABLES[lake.format]
    with pytest.raises(DataRefused, match=rf"{data}/none: there is no such folder, which a table of {title} is"):
        lake.find(path="none")
    (data / "empty").mkdir()
    with pytest.raises(DataRefused, match=f"is no table of {title}, which has "):
        lake.find(path="empty")
    with pytest.raises(DataRefused, match="has no column 'who'"):
        list(sources.read(lake.find(), ["who"]))
    with pytest.raises(BadConfiguration, match="is read from a disk; mount it"):
        lake.find(path="s3://bucket/orders")


@pytest.mark.parametrize("format", FORMATS)
def test_without_the_library_it_is_said_what_to_install(
    data: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    name = {"delta": "deltalake", "iceberg": "pyiceberg"}[format]
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BadConfiguration, match=f"needs {name}, which is not installed; run `make install EXTRAS=tab"):
        Lake(data, format).find()


def entry(path: str, size: int) -> str:
    action = {"path": path, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True}
    return json.dumps({"add": action})


OUTSIDE = ["../secret.parquet", "..%2Fsecret.parquet", "{data}/secret.parquet", "file://{data}/secret.parquet",
           "x/../../secret.parquet", "s3://bucket/secret.parquet", "%2e%2e/secret.parquet"]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_delta_log_that_points_outside_its_folder_is_refused(data: Path, path: str) -> None:
    lake = Lake(data, "delta")
    lake.append(rows_of("a"))
    pq.write_table(rows_of("secret"), data / "secret.parquet")
    shutil.copy(data / "secret.parquet", lake.path / "inside.parquet")
    size = (data / "secret.parquet").stat().st_size
    log = lake.path / "_delta_log" / f"{1:020}.json"
    log.write_text(entry("inside.parquet", size) + "\n")
    assert sorted(lake.users(lake.find())) == ["a", "secret"]
    log.write_text(entry(path.format(data=data), size) + "\n")
    with pytest.raises(DataRefused, match=r"a file outside its folder, which is not opened|cannot be read as a table"):
        lake.users(lake.find())


def test_an_iceberg_table_that_was_copied_elsewhere_names_files_outside_its_folder(data: Path) -> None:
    lake = Lake(data, "iceberg")
    lake.append(rows_of("a"))
    shutil.copytree(lake.path, data / "copy")
    with pytest.raises(DataRefused, match=r"names .* a file outside its folder, which is not opened"):
        lake.find(path="copy")


def test_of_two_newest_metadata_files_only_the_hint_says_which(data: Path) -> None:
    lake = Lake(data, "iceberg")
    lake.append(rows_of("a"))
    newest = max((lake.path / "metadata").glob("*.metadata.json"))
    other = newest.with_name(newest.name.replace("-", "-0", 1))
    shutil.copy(newest, other)
    with pytest.raises(DataRefused, match="are both the newest metadata"):
        lake.find()
    hint = lake.path / "metadata" / "version-hint.text"
    hint.write_text(newest.name)
    assert lake.users(lake.find()) == ["a"]
    (lake.path / "metadata" / "1").mkdir()
    for elsewhere in ("../../x.metadata.json", f"1/../{newest.name}"):
        hint.write_text(elsewhere)
        with pytest.raises(DataRefused, match="names no metadata file beside it"):
            lake.find()


@pytest.mark.parametrize(
    ("protocol", "configuration", "feature"),
    [
        ({"minReaderVersion": 3, "readerFeatures": ["deletionVectors"]}, {}, "deletionVectors"),
        ({"minReaderVersion": 2}, {"delta.columnMapping.mode": "name"}, "columnMapping"),
    ],
)
def test_a_delta_table_whose_files_alone_would_give_wrong_rows_is_refused(
    data: Path, protocol: dict[str, Any], configuration: dict[str, str], feature: str
) -> None:
    lake = Lake(data, "delta")
    lake.append(rows_of("a"))
    log = lake.path / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "protocol" in line:
            more = {"minWriterVersion": 7, "writerFeatures": [feature]} if "readerFeatures" in protocol else {}
            line["protocol"] |= protocol | more
        if "metaData" in line:
            line["metaData"]["configuration"] |= configuration
            schema = json.loads(line["metaData"]["schemaString"])
            for n, field in enumerate(schema["fields"] if configuration else []):
                mapped = {"id": n + 1, "physicalName": field["name"]}
                field["metadata"] |= {f"delta.columnMapping.{key}": value for key, value in mapped.items()}
            line["metaData"]["schemaString"] = json.dumps(schema)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataRefused, match=f"uses {feature} of Delta Lake, which is not read here"):
        lake.find()
