"""`recjobs export` writes what the view shows, byte for byte, whole or not at all."""

import contextlib
import csv
import gzip
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recjobs.adapters.whole_file import whole_file
from recjobs.errors import Misuse
from recjobs.operations.export import as_plain_text
from tests.commands import environment_of
from tests.worlds import EARLIER, ODD_IDS, MakeWorld, World

SERVED = """
select r.user_id, r.rank, r.item_id, i.title, r.score, r.source, r.batch_id, i.price
from recommendations as r
left join items as i on i.item_id = r.item_id
where r.rank <= %s
order by r.user_id, r.rank
"""


def export(world: World, path: Path, *more: str):
    return world.recjobs("export", "--to", str(path), *more, "--json")


@pytest.mark.parametrize("n", [4, 99])
def test_a_parquet_file_holds_what_the_view_shows(published: World, tmp_path: Path, n: int):
    done = export(published, tmp_path / "lists.parquet", "--n", str(n))

    rows = pq.read_table(tmp_path / "lists.parquet").to_pylist()
    assert rows == [row | {"score": float(np.float32(row["score"]))} for row in published.rows(SERVED, n)]
    assert {row["user_id"] for row in rows} >= set(ODD_IDS)
    columns = ["user_id", "rank", "item_id", "title", "score", "source", "batch_id", "price"]
    assert done.json == {
        "file": str(tmp_path / "lists.parquet"),
        "batch_id": published.live(),
        "users": len({row["user_id"] for row in rows}),
        "rows": len(rows),
        "columns": columns,
    }
    assert pq.read_schema(tmp_path / "lists.parquet").names == columns


@pytest.mark.parametrize("name", ["lists.csv", "lists.csv.gz"])
def test_a_csv_file_holds_it_too_and_tells_an_empty_title_from_none(published: World, tmp_path: Path, name: str):
    assert export(published, tmp_path / name).code == 0

    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    served = published.rows(SERVED, 1000)
    texts = ("user_id", "item_id", "source", "batch_id")
    assert [[row[c].removeprefix("'") for c in texts] for row in rows] == [[row[c] for c in texts] for row in served]
    assert [int(row["rank"]) for row in rows] == [row["rank"] for row in served]
    assert [float(row["score"]) for row in rows] == pytest.approx([row["score"] for row in served])
    assert [row["title"].removeprefix("'") or None for row in rows] == [row["title"] for row in served]
    assert any(row["title"] is None for row in served)
    with opened(tmp_path / name, "rb") as file:
        text = file.read()
    assert b'\n"\\N",1,' in text  # not a NULL
    assert b'\n"""quoted""",1,' in text


def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(published: World, tmp_path: Path):
    path = tmp_path / "lists.csv"
    path.write_text("mine")
    refused = export(published, path)
    assert (refused.code, path.read_text()) == (64, "mine")
    assert "--overwrite" in refused.err

    assert export(published, path, "--overwrite").code == 0
    assert path.read_text().startswith('"user_id","rank",')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "it says what customers bought"
    assert os.listdir(tmp_path) == ["lists.csv"]


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("https://evil.example","x")',
        "+1",
        "-2+3",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "－1",
        "'=1",
        "'",
    ],
)
def test_a_spreadsheet_computes_no_text_of_a_csv_file(text: str):
    for column in (
        pa.array([text, None, "", "plain", f" {text}"]),
        pa.chunked_array([[text], [None, "", "plain", f" {text}"]]),
    ):
        assert as_plain_text(column).to_pylist() == [f"'{text}", None, "", "plain", f" {text}"]
    assert as_plain_text(pa.array([-1.5, None])).to_pylist() == [-1.5, None]


def test_in_a_csv_file_no_cell_begins_a_formula_and_in_a_parquet_file_all_are_as_they_are(
    published: World, tmp_path: Path
):
    for name in ("lists.csv", "lists.parquet"):
        assert export(published, tmp_path / name).code == 0
    with (tmp_path / "lists.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    exact = pq.read_table(tmp_path / "lists.parquet").to_pylist()
    assert any(str(row["title"]).startswith("=") for row in exact)
    for row, other in zip(rows, exact, strict=True):
        for column in ("user_id", "item_id", "title", "source", "batch_id"):
            assert not row[column].startswith(("=", "+", "-", "@", "\t", "\r"))
            assert row[column].removeprefix("'") == (other[column] or "")


def test_what_cannot_be_written_is_said_before_anything_is_read(published: World, tmp_path: Path):
    (tmp_path / "folder.csv").mkdir()
    for name, said in [
        ("lists.txt", ".parquet, .csv, .csv.gz"),
        ("lists", ".parquet"),
        ("nowhere/lists.csv", "no folder"),
        ("folder.csv", "is there already"),
        ("l" * 245 + ".csv", "cannot be written"),
    ]:
        refused = export(published, tmp_path / name, "--overwrite")
        assert (refused.code, said in refused.err) == (64, True), refused.err
    assert os.listdir(tmp_path) == ["folder.csv"]


def test_a_file_is_whole_or_is_not_there(tmp_path: Path):
    path = tmp_path / "lists.csv"

    def fail_in_the_middle(overwrite: bool) -> None:
        with whole_file(path, overwrite) as unfinished:
            unfinished.write_text("half of i")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        fail_in_the_middle(overwrite=False)
    assert os.listdir(tmp_path) == []

    with whole_file(path, overwrite=False) as unfinished:
        unfinished.write_text("all of it")
        assert not path.exists()
    with pytest.raises(Misuse, match="there by now"), whole_file(path, overwrite=False) as unfinished:
        unfinished.write_text("somebody was faster")
    with pytest.raises(OSError, match="disk"):
        fail_in_the_middle(overwrite=True)
    assert path.read_text() == "all of it"
    assert os.listdir(tmp_path) == ["lists.csv"]


def test_what_a_killed_export_left_is_written_over_and_two_at_once_do_not_meet(tmp_path: Path):
    path = tmp_path / "lists.csv"
    with contextlib.suppress(OSError), whole_file(path, overwrite=False) as left:
        raise OSError
    left.write_text("much more than the next one writes")  # as after kill -9

    with whole_file(path, overwrite=False) as unfinished:
        assert unfinished == left
        with pytest.raises(Misuse, match="being written"), whole_file(path, overwrite=False):
            pytest.fail("two wrote one file")
        unfinished.write_text("short")
    assert path.read_text() == "short"
    assert os.listdir(tmp_path) == ["lists.csv"]


def test_a_file_that_a_killed_export_had_just_finished_is_there_until_the_next_one_is_whole(tmp_path: Path):
    path = tmp_path / "lists.csv"
    path.write_text("finished")
    os.link(path, tmp_path / ".lists.csv.unfinished")  # as after kill -9 at the very end
    with whole_file(path, overwrite=True) as unfinished:
        unfinished.write_text("the next")
        assert path.read_text() == "finished"
    assert path.read_text() == "the next"
    assert os.listdir(tmp_path) == ["lists.csv"]


def test_a_link_that_lies_where_an_export_begins_to_write_is_not_followed(tmp_path: Path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / ".lists.csv.unfinished").symlink_to(mine)
    with pytest.raises(Misuse, match="cannot be written"), whole_file(tmp_path / "lists.csv", overwrite=False):
        pytest.fail("it was followed")
    assert mine.read_text() == "mine"


def test_a_full_disk_is_called_that_and_leaves_nothing(published: World, tmp_path: Path):
    command = [sys.executable, "-m", "recjobs", "export", "--catalog", published.name]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command, "--to", str(tmp_path / "lists.csv")],
        env=environment_of(published.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "a disk is full" in done.stderr) == (75, True), done.stderr
    assert os.listdir(tmp_path) == []


def test_a_catalog_in_which_nothing_is_published_has_nothing_to_export(make_world: MakeWorld, tmp_path: Path):
    world = make_world()
    assert world.recjobs("begin", "--as-of", EARLIER).code == 0
    refused = export(world, tmp_path / "lists.csv")
    assert (refused.code, "nothing is published" in refused.err) == (65, True), refused.err
    assert os.listdir(tmp_path) == []
