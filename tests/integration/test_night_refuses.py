"""Wrong settings and arguments: an exit code, one message that says where and what to do, nothing touched.

Wrong inputs and catalogs are in test_corpus.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from local import ports
from tests.commands import ROOT, environment_of
from tests.worlds import EARLIER, MakeWorld, World, handful


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


def test_a_date_before_all_data_is_exit_65(untouched: World):
    done = untouched.night("--as-of", "2001-01-01", "--no-publish")
    assert done.code == 65
    assert "0 usable interactions" in done.message


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


@pytest.mark.parametrize("verb", ["night", "begin", "tune"])
def test_a_date_far_ahead_of_the_clock_is_exit_64_with_both_dates(untouched: World, verb: str):
    done = untouched.recjobs(verb, "--as-of", "2099-01-01")
    assert done.code == 64, done.err
    assert "as_of 2099-01-02 00:00 UTC is more than a day after now, " in done.message
    days = [datetime.now(UTC) - timedelta(days=n) for n in (0, 1)]
    assert any(f"after now, {day:%Y-%m-%d}" in done.message for day in days)


def test_past_data_reaches_as_far_as_its_holdout_after_its_newest_row(untouched: World):
    newest = untouched.goods.sound["at"].max().to_pydatetime()
    last = newest + timedelta(days=untouched.catalog["holdout_days"])
    too_late = last + timedelta(seconds=1)
    beyond = f"{too_late:%Y-%m-%dT%H:%M:%SZ}"
    refused = untouched.night("--as-of", beyond)
    assert refused.code == 64, refused.err
    assert f"as_of {too_late:%Y-%m-%d %H:%M} UTC is more than 30 days (holdout_days) after" in refused.message
    assert f"after the newest interaction, {newest:%Y-%m-%d %H:%M}" in refused.message
    assert untouched.recjobs("compare", "catalog", "alpha=5", "--as-of", beyond).code == 64
    for arguments in (
        [f"{last:%Y-%m-%dT%H:%M:%SZ}"],
        [beyond, "--force", "a late holdout"],
        ["2099-01-01", "--force", "a test"],
    ):
        begun = untouched.recjobs("begin", "--as-of", *arguments)
        assert begun.code == 0, begun.err


def test_a_live_catalog_may_be_asked_for_today_but_not_for_the_day_after_tomorrow(untouched: World, tmp_path: Path):
    """Its rows may be late: what it is asked for lies within a day of the clock."""
    (tmp_path / f"{untouched.name}.yaml").write_text(yaml.safe_dump(untouched.catalog | {"live": True}))
    now = datetime.now(UTC)
    for ahead, code in ((timedelta(hours=23), 0), (timedelta(hours=25), 64)):
        begun = untouched.recjobs(
            "begin", "--as-of", f"{now + ahead:%Y-%m-%dT%H:%M:%SZ}", RECJOBS_CATALOGS=str(tmp_path)
        )
        assert begun.code == code, begun.err


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
    began = untouched.recjobs("begin", "--as-of", "2025-07-02", "--json")
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
    done = untouched.night("--as-of", "2025-07-03", **{setting: value})
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


@pytest.mark.parametrize("limited", ["role recjobs_publisher", "database recjobs"])
def test_a_postgres_without_a_connection_left_is_exit_75_and_says_what_to_do(untouched: World, limited: str):
    url = untouched.postgres.cluster.url("recjobs_publisher")
    names = "select rolconnlimit from pg_roles where rolname = 'recjobs_publisher'"
    before = untouched.value(names, role="admin") if limited.startswith("role") else -1
    untouched.rows(f"alter {limited} connection limit 0", role="admin")
    try:
        done = untouched.recjobs("roll-back", RECJOBS_PUBLISHER_URL=url)
    finally:
        untouched.rows(f"alter {limited} connection limit {before}", role="admin")
    assert done.code == 75
    assert "Postgres has no connection left for recjobs_publisher@" in done.message
    assert f"too many connections for {limited.split()[0]}" in done.message
    assert "pg_stat_activity and docs/runbook.md" in done.message
    assert "make up" not in done.message


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
