"""Wrong inputs, settings and arguments: an exit code, one message that says where and what to do, nothing touched."""

import copy
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from local import ports
from tests.commands import ROOT, Done, environment_of
from tests.worlds import EARLIER, MakeWorld, World, handful

Wrong = Callable[[Path, dict[str, Any]], object]
"""Spoils a folder of data, or the catalog's tree, or answers with the text of the catalog file."""


@pytest.fixture(scope="module")
def live(make_world: MakeWorld) -> World:
    world = make_world()
    world.publish("--as-of", EARLIER)
    return world


@pytest.fixture
def untouched(live: World) -> Iterator[World]:
    """The world with a live batch, of which nothing may change."""
    before = live.everything()
    yield live
    assert live.everything() == before


def night_of(world: World, folder: Path, wrong: Wrong, *arguments: str) -> Done:
    """A night on a copy of the world's files, spoilt."""
    data, catalogs, tree = folder / "data", folder / "catalogs", copy.deepcopy(world.catalog)
    shutil.copytree(world.data, data)
    catalogs.mkdir()
    text = wrong(data, tree)
    written = text if isinstance(text, str) else yaml.safe_dump(tree, allow_unicode=True)
    (catalogs / f"{world.name}.yaml").write_text(written, encoding="utf-8")
    return world.night(*arguments, RECJOBS_DATA=str(data), RECJOBS_CATALOGS=str(catalogs))


def part(data: Path, number: int = 2) -> Path:
    return data / "rows" / f"part-{number}.parquet"


def with_column(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Wrong:
    """Every part rewritten."""

    def wrong(data: Path, _: dict[str, Any]) -> None:
        for number in (1, 2):
            change(pd.read_parquet(part(data, number))).to_parquet(part(data, number), index=False)

    return wrong


def as_csv(spoil: Callable[[bytes], bytes], name: str = "rows.csv") -> Wrong:
    """The rows as one CSV file, whose bytes are spoilt."""

    def wrong(data: Path, tree: dict[str, Any]) -> None:
        text = pd.concat([pd.read_parquet(part(data, number)) for number in (1, 2)]).to_csv(index=False)
        (data / name).write_bytes(spoil(text.encode()))
        tree["sources"][0]["path"] = name

    return wrong


def corrupt(data: Path, _: dict[str, Any]) -> None:
    content = bytearray(part(data).read_bytes())
    content[100:2000] = b"\xff" * 1900
    part(data).write_bytes(content)


def truncated(data: Path, _: dict[str, Any]) -> None:
    os.truncate(part(data), part(data).stat().st_size // 2)


def no_rows(data: Path, _: dict[str, Any]) -> None:
    with_column(lambda rows: rows.head(0))(data, {})


def ids_with_a_fraction(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(user=1.5)


def other_type_in_one_part(data: Path, _: dict[str, Any]) -> None:
    pd.read_parquet(part(data)).assign(item=7).to_parquet(part(data), index=False)


def bytes_that_are_no_text(data: Path, _: dict[str, Any]) -> None:
    table = pq.read_table(part(data))
    garbled = pa.array([b"\xe9t\xe9"] * table.num_rows, pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(garbled), garbled.buffers())
    pq.write_table(table.set_column(table.schema.get_field_index("user"), "user", text), part(data))


DATA: dict[str, tuple[Wrong, list[str]]] = {
    "missing file": (lambda data, _: shutil.rmtree(data / "rows"), ["rows/*.parquet", "no such file", "RECJOBS_DATA"]),
    "missing file of items": (lambda data, _: (data / "items.csv").unlink(), ["items.csv", "no such file"]),
    "missing column": (
        lambda data, _: pd.read_parquet(part(data)).drop(columns="quantity").to_parquet(part(data), index=False),
        ["part-2.parquet: has no column 'quantity'", "it has 'user', 'item', 'at'", "Mend the file"],
    ),
    "missing column of items": (
        lambda data, _: (data / "items.csv").write_text("id,title\n1,One\n"),
        ["items.csv: has no column 'category', 'price', 'sold'"],
    ),
    "0 bytes": (lambda data, _: part(data).write_bytes(b""), ["part-2.parquet", "empty (0 bytes)", "export"]),
    "Parquet without rows": (no_rows, ["no rows in rows/*.parquet", "export"]),
    "CSV with a header only": (as_csv(lambda text: text.splitlines(True)[0]), ["no rows in rows.csv", "export"]),
    "all rows bad": (
        with_column(lambda rows: rows.assign(user="")),
        ["0 usable interactions of", "empty_user_id, such as", "part-1.parquet row 1", "columns"],
    ),
    "one row in five bad": (
        with_column(lambda rows: rows.assign(quantity=[-1.0 if n % 5 == 0 else 1.0 for n in range(len(rows))])),
        ["weight_not_positive", "limits.max_rejected_share allows 10.0%", "row 1"],
    ),
    "no time can be read": (with_column(lambda rows: rows.assign(at="?")), ["readable time", "columns.occurred_at"]),
    "corrupt Parquet": (corrupt, ["part-2.parquet", "cannot be read as parquet", "damaged"]),
    "truncated Parquet": (truncated, ["part-2.parquet", "cannot be read as parquet", "damaged"]),
    "Parquet that is none": (lambda data, _: part(data).write_text("user,item\n"), ["part-2.parquet", "damaged"]),
    "undecodable CSV": (
        as_csv(lambda text: text.replace(b"user001", b"us\xe9r01")),
        ["rows.csv", ": line ", "no UTF-8 text"],
    ),
    "undecodable Parquet": (bytes_that_are_no_text, ["part-2.parquet", "UTF8", "damaged"]),
    "truncated .gz": (
        as_csv(lambda text: gzip.compress(text)[:-400], "rows.csv.gz"),
        ["rows.csv.gz", "behind line ", "ends in the middle"],
    ),
    "CSV with a line too short": (
        as_csv(lambda text: text + b"user001,item01\n"), ["rows.csv", "2 fields where the header has 4"],
    ),
    "ids with a fraction": (with_column(ids_with_a_fraction), ["'user' has type double", "export it as text"]),
    "types that differ between files": (other_type_in_one_part, ["part-2.parquet", "'item' is int64", "must agree"]),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_data_that_cannot_be_used_is_exit_65(untouched: World, tmp_path: Path, case: str):
    wrong, words = DATA[case]
    done = night_of(untouched, tmp_path, wrong)
    assert done.code == 65, done.err
    for word in words:
        assert word in done.message


def test_a_date_before_all_data_is_exit_65(untouched: World):
    done = untouched.night("--as-of", "2001-01-01", "--no-publish")
    assert done.code == 65
    assert "0 usable interactions" in done.message


def test_a_file_that_changes_under_a_night_is_exit_65(untouched: World, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(untouched.data, data)
    began = untouched.recjobs("begin", "--json", RECJOBS_DATA=str(data))
    with_column(lambda rows: rows.head(500))(data, {})
    done = untouched.recjobs("extract", "--batch-id", began.json["batch_id"], RECJOBS_DATA=str(data))
    assert done.code == 65
    assert "part-1.parquet: changed while the night was running; begin the night again" in done.message


def set_key(*path: str, value: Any) -> Wrong:
    def wrong(_: Path, tree: dict[str, Any]) -> None:
        node = tree
        for key in path[:-1]:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        node[path[-1]] = value

    return wrong


def unknown_format(data: Path, tree: dict[str, Any]) -> None:
    part(data).rename(data / "rows.xyz")
    tree["sources"][0]["path"] = "rows.xyz"


CATALOGS: dict[str, tuple[Wrong, list[str]]] = {
    "misspelt key": (set_key("top_m", value={}), ["top_m: unknown key", "Did you mean top_n?", "Allowed: description"]),
    "misspelt key inside": (set_key("model", "factor", value=8), ["model.factor: unknown key. Did you mean factors?"]),
    "misspelt key of a source": (
        set_key("sources", "0", "columns", "userid", value="user"), ["sources.0.columns.userid: ", "mean user_id?"],
    ),
    "impossible value": (set_key("model", "factors", value=0), ["model.factors: 0", "greater than or equal to 1"]),
    "wrong type": (set_key("top_n", "stored", value="many"), ["top_n.stored: 'many'", "integer"]),
    "more served than stored": (set_key("top_n", value={"stored": 5, "served": 6}), ["served 6 is more than stored 5"]),
    "unknown timezone": (set_key("sources", "0", "time", value={"timezone": "Europe/Lindon"}), ["Europe/Lindon"]),
    "nothing to read": (set_key("sources", value=[]), ["sources", "at least 1"]),
    "no YAML": (lambda *_: "sources: [", ["not YAML"]),
    "a list": (lambda *_: "- 1\n", ["must hold keys and values"]),
    "empty": (lambda *_: "", ["must hold keys and values"]),
    "unknown format": (unknown_format, ["rows.xyz", "say `format: parquet`"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CATALOGS)
def test_a_catalog_that_is_wrong_is_exit_78(untouched: World, tmp_path: Path, case: str):
    wrong, words = CATALOGS[case]
    done = night_of(untouched, tmp_path, wrong)
    assert done.code == 78, done.err
    for word in words:
        assert word in done.message
    if case != "unknown format":
        assert f"{tmp_path}/catalogs/{untouched.name}.yaml" in done.message


ARGUMENTS: dict[str, tuple[list[str], list[str]]] = {
    "a date that is none": (["--as-of", "2025-02-30"], ["as_of '2025-02-30'", "2011-12-09"]),
    "a date in words": (["--as-of", "yesterday"], ["as_of 'yesterday'"]),
    "an instant without an offset": (["--as-of", "2025-06-01T12:00:00"], ["write 2025-06-01T12:00:00Z"]),
    "an unknown key": (["--set", "fctors=3"], ["fctors"]),
    "an unknown branch": (["--set", "modle.factors=3"], ["--set modle.factors", "no such key"]),
    "an impossible value": (["--set", "factors=-3"], ["model.factors: -3", "greater than or equal to 1"]),
    "a value of another type": (["--set", "factors=a few"], ["model.factors: 'a few'"]),
    "no value": (["--set", "factors"], ["say KEY=VALUE"]),
    "a value that is no YAML": (["--set", "factors=["], ["factors=["]),
    "force without a reason": (["--force", ""], ["--force needs a reason"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_cannot_be_are_exit_64(untouched: World, case: str):
    arguments, words = ARGUMENTS[case]
    done = untouched.night(*arguments)
    assert done.code == 64, done.err
    for word in words:
        assert word in done.message


@pytest.mark.parametrize("arguments", [["nigth"], ["night"], ["extract", "--catalog", "x"], []])
def test_the_command_line_itself_explains_its_usage_with_exit_64(arguments: list[str]):
    command = [sys.executable, "-m", "recjobs", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment_of({}), capture_output=True, text=True)
    assert done.returncode == 64
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_catalog_is_exit_64_and_names_the_known(untouched: World):
    misspelt = untouched.name.replace("world", "wrold")
    environment = environment_of(untouched.settings)
    command = [sys.executable, "-m", "recjobs", "night", "--catalog", misspelt]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 64
    assert f"recjobs: there is no catalog '{misspelt}'" in done.stderr
    assert f"Did you mean {untouched.name}?" in done.stderr


def test_a_step_of_a_night_that_never_began_is_exit_65(untouched: World):
    done = untouched.recjobs("train", "--batch-id", "20250101T000000Z-1")
    assert done.code == 65
    assert "no finished 'begin' step" in done.message


def test_a_step_before_its_turn_is_exit_65_and_names_the_one_to_run(untouched: World):
    began = untouched.recjobs("begin", "--as-of", "2031-06-02", "--json")
    done = untouched.recjobs("score", "--batch-id", began.json["batch_id"])
    assert done.code == 65
    assert "has no finished 'validate' step" in done.message
    assert "run that step first" in done.message


@pytest.mark.parametrize(
    ("setting", "value", "word"),
    [
        ("RECJOBS_THREADS", "many", "RECJOBS_THREADS='many'"),
        ("WEBAPP_PORT", "99999", "WEBAPP_PORT='99999'"),
        ("RECJOBS_ARTIFACTS", "s4://bucket/folder", "RECJOBS_ARTIFACTS=s4://bucket/folder"),
        ("RECJOBS_ARTIFACTS", "/dev/null/artifacts", "RECJOBS_ARTIFACTS"),
    ],
)
def test_a_wrong_setting_is_exit_78_by_its_name(untouched: World, setting: str, value: str, word: str):
    done = untouched.night("--as-of", "2031-06-03", **{setting: value})
    assert done.code == 78, done.err
    assert word in done.message


def test_no_database_at_all_is_exit_78(untouched: World, tmp_path: Path):
    urls = dict.fromkeys(untouched.postgres.settings, "")
    done = untouched.night(**urls, RECJOBS_DATABASE_URL="", RECJOBS_STATE=str(tmp_path))
    assert done.code == 78
    assert "RECJOBS_DATABASE_URL is not set" in done.message


def test_postgres_down_is_exit_75_and_says_what_to_see_to(untouched: World):
    nobody = f"postgresql://recjobs_reader:secret@127.0.0.1:{ports.any_free()}/recjobs"
    done = untouched.night(**dict.fromkeys(untouched.postgres.settings, nobody))
    assert done.code == 75
    assert "Postgres does not answer" in done.message
    assert "RECJOBS_DATABASE_URL" in done.message
    assert "secret" not in done.err


def test_postgres_that_goes_away_before_the_batch_is_loaded_is_exit_75_and_the_rerun_completes(make_world: MakeWorld):
    world = make_world(handful([(f"u{n}", f"i{n % 7}", float(n)) for n in range(100)]))
    nobody = f"postgresql://recjobs_loader:secret@127.0.0.1:{ports.any_free()}/recjobs"
    done = world.night(RECJOBS_LOADER_URL=nobody)
    assert done.code == 75, done.err
    assert world.live() is None
    assert world.night().code == 0
    assert world.live()


def test_a_wrong_password_is_exit_78_and_is_not_shown(untouched: World):
    url = untouched.postgres.cluster.url("recjobs_publisher")
    wrong = url.replace(url.split(":")[2].split("@")[0], "hunter2")
    done = untouched.night(RECJOBS_PUBLISHER_URL=wrong)
    assert done.code == 78
    assert "Postgres does not let recjobs_publisher@" in done.message
    assert "hunter2" not in done.err


def test_a_schema_that_is_not_there_is_exit_78(make_world: MakeWorld):
    done = make_world().recjobs("roll-back")
    assert done.code == 78
    assert "Run `recjobs migrate`" in done.message


def test_mlflow_away_is_exit_75_and_the_rerun_completes(make_world: MakeWorld):
    world = make_world()
    done = world.night("--as-of", EARLIER, MLFLOW_TRACKING_URI="sqlite:////dev/null/mlflow.db")
    assert done.code == 75, done.err
    assert "MLflow does not answer" in done.message
    assert "MLFLOW_TRACKING_URI" in done.message
    assert world.live() is None
    assert world.night("--as-of", EARLIER).code == 0
    assert world.live()
