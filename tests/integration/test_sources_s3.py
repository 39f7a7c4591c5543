"""Rows from s3://: the same as from a disk, whatever the keys look like; and what is said when they cannot be read."""

import copy
import gzip
import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local import ports
from recjobs.adapters import sources
from recjobs.errors import BadConfiguration, DataRefused, SystemAway
from tests.s3_server import Server, running
from tests.worlds import EARLIER, MakeWorld


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
def objects(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the server holds, by bucket/key; this process is led to it."""
    server.objects.clear()
    for name, value in server.settings.items():
        monkeypatch.setenv(name, value)
    return server.objects


def found(path: str, **place: str) -> list[str]:
    return [file.path for file in sources.find(None, path, **place)]


def ids(path: str) -> list[str]:
    files = sources.find(None, path)
    return [i for f in files for batch in sources.read(f, ["id"]) for i in batch.column(0).to_pylist()]


def parquet(*rows: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": rows}), sink)
    return sink.getvalue()


def test_a_file_a_folder_and_a_pattern_mean_what_they_mean_on_a_disk(objects: dict[str, bytes]) -> None:
    for name in ("b.csv", "day=2/a.csv", "day=1/a.csv", ".c.csv", "_tmp/d.csv", "_SUCCESS", "notes.md"):
        objects[f"bucket/in/{name}"] = b"id\n%b\n" % name.encode()
    objects["bucket/inside.csv"] = b"id\nother\n"
    assert found("s3://bucket/in/b.csv") == ["s3://bucket/in/b.csv"]
    for folder in ("s3://bucket/in", "s3://bucket/in/"):
        assert ids(folder) == ["b.csv", "day=1/a.csv", "day=2/a.csv"]
    assert ids("s3://bucket/in/*.csv") == ["b.csv"]
    assert ids("s3://bucket/in/day=*/*.csv") == ["day=1/a.csv", "day=2/a.csv"]
    assert ids("s3://bucket/in*.csv") == ["other"]


@pytest.mark.parametrize("key", ["a b.csv", "a%20b.csv", "a[1].csv", "é?.csv", "a#b.csv", "a+b.csv"])
def test_a_key_may_hold_what_an_address_cannot(objects: dict[str, bytes], key: str) -> None:
    objects[f"bucket/in/{key}"] = b"id\n1\n"
    assert found(f"s3://bucket/in/{key}") == [f"s3://bucket/in/{key}"]
    assert ids("s3://bucket/in") == ["1"]


def test_every_format_is_read_and_known_by_its_bytes(objects: dict[str, bytes]) -> None:
    for name, content in {
        "a.csv": b"id\n007\n",
        "a.csv.gz": gzip.compress(b"id\n007\n"),
        "a.parquet": parquet("007"),
        "a.parquet.gz": gzip.compress(parquet("007")),
    }.items():
        objects[f"bucket/{name}"] = content
        assert ids(f"s3://bucket/{name}") == ["007"]
        [file] = sources.find(None, f"s3://bucket/{name}")
        assert file.n_bytes == len(content)


def test_more_objects_than_one_answer_holds_are_all_found(
    objects: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "page", 10)
    names = [f"s3://bucket/in/{n:04}.csv" for n in range(25)]
    objects |= {name.removeprefix("s3://"): b"id\n1\n" for name in names}
    assert found("s3://bucket/in/*") == names
    assert found("s3://bucket/in") == names


def test_a_fault_is_refused_with_the_line(objects: dict[str, bytes]) -> None:
    objects["bucket/a.csv"] = b"id\n1\n2,3\n"
    with pytest.raises(DataRefused, match=r"^s3://bucket/a\.csv: line 3: 2 fields where the header has 1"):
        ids("s3://bucket/a.csv")


def test_what_is_not_there_or_cut_short_is_refused(objects: dict[str, bytes]) -> None:
    objects["bucket/empty.csv"] = b""
    objects["bucket/cut.parquet"] = parquet("1")[:-9]
    for path, said in {
        "s3://bucket/none.csv": "there is no such file. Put it there$",
        "s3://bucket/none/*.csv": "there is no such file",
        "s3://nowhere/a.csv": "there is no such file",
        "s3://bucket/empty.csv": r"the file is empty \(0 bytes\)",
        "s3://bucket/cut.parquet": "cannot be read as parquet",
    }.items():
        with pytest.raises(DataRefused, match=f"^{path.replace('*', '.')}: {said}"):
            ids(path)


def test_a_key_that_is_wrong_is_a_setting_that_is_wrong(
    objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects["bucket/a.csv"] = b"id\n1\n"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    with pytest.raises(BadConfiguration, match=r"s3://bucket/a\.csv: .* does not let us in; see to AWS_ACCESS_KEY_ID"):
        ids("s3://bucket/a.csv")


def test_a_store_that_is_away_is_tried_again_later(objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{ports.any_free()}")
    with pytest.raises(
        SystemAway, match=r"s3://bucket/a\.csv: the object store does not answer; see to AWS_ENDPOINT_URL"
    ):
        ids("s3://bucket/a.csv")


def test_a_night_from_s3_makes_the_lists_that_a_night_from_files_makes(
    make_world: MakeWorld, server: Server, objects: dict[str, bytes]
) -> None:
    on_disk, in_s3 = make_world(), make_world()
    for path in (p for p in in_s3.data.rglob("*") if p.is_file()):
        objects[f"bucket/shop/{path.relative_to(in_s3.data)}"] = path.read_bytes()
        path.unlink()
    in_s3.settings |= server.settings
    tree = copy.deepcopy(in_s3.catalog)
    tree["sources"][0]["path"], tree["items"]["path"] = "s3://bucket/shop/rows", "s3://bucket/shop/items.csv"
    in_s3.write_catalog(tree)
    for world in (on_disk, in_s3):
        world.publish("--as-of", EARLIER)
    checksum = "select checksum from batches where is_live"
    assert in_s3.value(checksum) == on_disk.value(checksum)
