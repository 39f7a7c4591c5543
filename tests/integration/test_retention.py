"""What others than the nights leave: Airflow's logs and runs, exports. It goes by its setting, and its age is shown."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recjobs.adapters import exported_files
from recjobs.adapters.exported_files import exported, remove_before
from recjobs.adapters.sqlite_copy import least
from recjobs.config import ROOT, load_settings
from recjobs.errors import SystemAway
from recjobs.operations import clean_airflow, retention_ages
from tests.commands import Command, environment_of
from tests.worlds import World

DAY = 86_400
NIGHTS, KEPT = 30, 5


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder, and no setting that leads to a database."""
    for name in [name for name in os.environ if name.startswith(("RECJOBS_", "AIRFLOW_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RECJOBS_STATE", str(tmp_path))
    monkeypatch.setenv("RECJOBS_AIRFLOW_LOG_DAYS", str(KEPT))
    monkeypatch.setattr("recjobs.config.ROOT", tmp_path)
    return tmp_path


def write(path: Path, at: float, content: str = "a line\n") -> Path:
    """A file that was last written to at a time, in folders of the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    for each in (path, path.parent):
        os.utime(each, (at, at))
    return path


def test_thirty_nights_of_airflows_logs_and_of_exports_leave_what_the_settings_keep(state: Path):
    logs, sizes = state / "airflow" / "logs", []
    now = time.time()
    for night in range(NIGHTS):
        for step in ("begin", "train", "publish"):
            write(logs / f"run_id=night-{night}" / f"task_id={step}" / "attempt=1.log", now - 3600)
        export = write(state / f"lists-{night}.csv", now)
        exported_files.note(state, export, "shop", now)
        exported_files.note(state, write(state / f"other-{night}.csv", now), "other", now)
        for path in [path for path in logs.rglob("*") if path.exists()]:  # a day goes by
            os.utime(path, (path.stat().st_mtime - DAY,) * 2)
        entries = [json.loads(line) for line in (state / "exports.jsonl").read_text().splitlines()]
        (state / "exports.jsonl").write_text("".join(json.dumps(e | {"at": e["at"] - DAY}) + "\n" for e in entries))
        before = datetime.now(UTC) - timedelta(days=KEPT)
        expected = clean_airflow.run(dry_run=True), remove_before(state, "shop", before, dry_run=True)
        n_files = sum(path.is_file() for path in logs.rglob("*"))
        done = clean_airflow.run(), remove_before(state, "shop", before, dry_run=False)
        assert done == (expected[0] | {"dry_run": False}, expected[1])
        left = sum(path.is_file() for path in logs.rglob("*"))
        assert n_files - left == done[0]["log_files"]
        sizes.append((left, len(list(logs.rglob("*"))), len(list(state.glob("lists-*")))))
    assert sizes[-1] == sizes[-2] == sizes[KEPT + 3]
    assert sizes[-1][0] == 3 * (KEPT - 1)
    assert sizes[-1][2] == KEPT - 1
    assert len(list(state.glob("other-*"))) == NIGHTS, "another catalog's stay"
    assert clean_airflow.run()["log_files"] == 0


def test_an_export_that_was_changed_or_is_gone_is_left_alone(state: Path):
    now = time.time()
    changed, gone, kept = (write(state / f"{name}.csv", now - 9 * DAY) for name in ("changed", "gone", "kept"))
    for path in (changed, gone, kept):
        exported_files.note(state, path, "shop", now - 9 * DAY)
    with (state / "exports.jsonl").open("a") as file:
        file.write('{"path": "half a li')
    changed.write_text("by hand")
    gone.unlink()
    assert [Path(entry.path).name for entry in exported(state)] == ["kept.csv"]
    assert remove_before(state, "shop", datetime.now(UTC), dry_run=False) == 1
    assert changed.exists()
    assert not kept.exists()
    assert list(exported(state)) == []


def test_logs_behind_a_link_stay(state: Path, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    kept = write(elsewhere / "precious", time.time() - 99 * DAY)
    (state / "airflow" / "logs").mkdir(parents=True)
    (state / "airflow" / "logs" / "linked").symlink_to(elsewhere)
    clean_airflow.run()
    assert kept.exists()


def test_the_status_says_how_old_the_oldest_of_each_is_and_by_which_setting_it_goes(rolling: World, tmp_path: Path):
    to = tmp_path / "lists.csv"
    assert rolling.recjobs("export", "--to", str(to)).code == 0
    listed = Path(rolling.settings["RECJOBS_STATE"]) / "exports.jsonl"
    entry = json.loads(listed.read_text())
    listed.write_text(json.dumps(entry | {"at": entry["at"] - 40 * DAY}) + "\n")
    logs = write(tmp_path / "logs" / "run" / "attempt=1.log", time.time() - 50 * DAY).parents[1]
    settings = rolling.settings | {"AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs), "RECJOBS_EXPORT_DAYS": "39"}
    done = Command(("status", "--json"), settings).wait()
    rows = {row["what"]: row for row in done.json["retention"]}
    assert {row["setting"] for row in rows.values()} >= {
        "keep.mlflow_days", "RECJOBS_AIRFLOW_DAYS", "RECJOBS_AIRFLOW_LOG_DAYS", "RECJOBS_AUDIT_DAYS",
        "RECJOBS_EXPORT_DAYS", "recjobs back-up --keep",
    }  # fmt: skip
    assert rows["MLflow's runs"]["oldest"], rows
    assert rows["the audit"]["oldest"], rows
    assert rows["exports"]["days"] == 39
    lines = Command(("status",), settings).wait().out.splitlines()
    assert "exports              oldest 40 days (kept 39 days, RECJOBS_EXPORT_DAYS)" in lines
    assert "Airflow's logs       oldest 50 days (kept 30 days, RECJOBS_AIRFLOW_LOG_DAYS)" in lines
    pruned = rolling.recjobs("prune", "--json", RECJOBS_EXPORT_DAYS="39")
    assert pruned.json["exports"] == 1
    assert not to.exists()


def test_back_ups_are_as_old_as_their_names_say(rolling: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in rolling.settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "20250301T000000Z").mkdir()
    (tmp_path / "20250201T000000Z").mkdir()
    (tmp_path / "erasures").mkdir()
    rolling.rows("insert into backup_places (place, keep) values (%s, 3)", str(tmp_path), role="admin")
    rows = {row["what"]: row for row in retention_ages.run(load_settings())}
    rolling.rows("delete from backup_places where place = %s", str(tmp_path), role="admin")
    assert rows["back-ups"]["oldest"] == datetime(2025, 2, 1, tzinfo=UTC)


def test_a_database_that_is_away_is_said_and_fails_no_status(state: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RECJOBS_AIRFLOW_DATABASE_URL", "postgresql://airflow:c4n4ry-password@127.0.0.1:1/airflow")
    rows = {row["what"]: row for row in retention_ages.run(load_settings())}
    assert "127.0.0.1" in rows["Airflow's runs"]["error"]
    assert "c4n4ry" not in str(rows)
    assert rows["the audit"]["error"]


def test_in_a_task_the_database_is_that_of_the_setting_of_ours(state: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    assert "no setting leads to its database" in clean_airflow.run()["left_out"]
    monkeypatch.setenv("RECJOBS_AIRFLOW_DATABASE_URL", f"sqlite:///{state}/none.db")
    assert "none.db is not there" in clean_airflow.run()["left_out"]
    sqlite3.connect(state / "none.db").close()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SystemAway, match="airflow db clean"):
        clean_airflow.run()


@pytest.mark.soak
@pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="makes a database of Airflow's")
def test_airflows_own_command_removes_its_old_runs_but_each_dags_latest(state: Path, monkeypatch: pytest.MonkeyPatch):
    database = state / "airflow.db"
    url = f"sqlite:///{database}"
    settings = {"AIRFLOW_HOME": str(state / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment = environment_of({**settings, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url})
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], cwd=ROOT, env=environment, check=True)
    now = datetime.now(UTC)
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = {row[1]: row for row in connection.execute("pragma table_info(dag_run)")}
        for number in range(NIGHTS):
            at = (now - timedelta(days=10 * number)).isoformat(sep=" ")
            known = {"id": number + 1, "dag_id": "nightly_shop", "run_id": f"night-{number}", "state": "success"}
            known |= {"run_type": "manual", "run_after": at, "start_date": at, "end_date": at, "queued_at": at}
            needed = {name: 0 for name, row in columns.items() if row[3] and row[4] is None and name not in known}
            row = needed | {name: value for name, value in known.items() if name in columns}
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"insert into dag_run ({names}) values ({marks})", tuple(row.values()))
    for name, value in {**settings, "RECJOBS_AIRFLOW_DATABASE_URL": url, "RECJOBS_AIRFLOW_DAYS": "100"}.items():
        monkeypatch.setenv(name, value)

    def runs() -> int:
        with closing(sqlite3.connect(database)) as connection:
            return int(connection.execute("select count(*) from dag_run").fetchone()[0])

    assert clean_airflow.run(dry_run=True)["rows_before"]
    assert runs() == NIGHTS
    clean_airflow.run()
    assert runs() == 10
    oldest = datetime.fromisoformat(least(database, "dag_run", "run_after"))
    assert now - timedelta(days=101) < oldest.replace(tzinfo=UTC)
    clean_airflow.run()
    assert runs() == 10
