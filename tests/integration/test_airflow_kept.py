"""A real Airflow that backs up and cleans up by its DAGs, and whose own logs find no room: nights end, lists are
served."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local import ports
from local.postgres import Cluster
from tests.commands import Command
from tests.integration.test_machine_short import filled, small_disk
from tests.platforms import Platform, eventually
from tests.worlds import Postgres, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="a whole platform"),
]
DAG = "nightly_shop"
LOGS_KB = 20_000
PAGE = "/v1/shop/popular"
LISTS = "select * from shop.served_lists order by user_id"
END_SECONDS = 900
ENDED = ("success", "failed")
FIRST, SECOND = ({"as_of": f"2025-06-{day}"} for day in (18, 20))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Airflow's logs lie on a small disk of their own."""
    folder = tmp_path_factory.mktemp("kept")
    made = Platform.of(folder / "state", RECJOBS_BACKUPS=str(folder / "back-ups"), RECJOBS_THREADS="1")
    cluster = Cluster(made.state, int(made.settings["POSTGRES_PORT"]))
    cluster.start()
    world = World(folder / "world", "shop", Postgres(cluster), "").write(shop(60))
    made.settings.update(RECJOBS_CATALOGS=str(world.catalogs), RECJOBS_DATA=str(world.data))
    with small_disk(made.state / "airflow" / "logs", LOGS_KB):
        try:
            up = made.run("up")
            assert up.returncode == 0, up.stderr[-3000:]
            yield made
        finally:
            made.run("down")
    assert made.processes() == []


def served(platform: Platform) -> dict[str, Any]:
    """What everybody gets, but for its age."""
    answer: dict[str, Any] = platform.get(PAGE).json()
    return answer | {"age_seconds": 0}


def ended(platform: Platform, dag: str, **conf: str) -> tuple[str, dict[str, str]]:
    """A run of a DAG and its tasks: how they ended."""
    airflow = platform.airflow()
    airflow.wait_for_dag(dag, END_SECONDS)
    airflow.unpause(dag)
    run_id = airflow.trigger(dag, conf)
    eventually(lambda: airflow.state(dag, run_id) in ENDED, END_SECONDS)
    return airflow.state(dag, run_id), {name: str(task["state"]) for name, task in airflow.tasks(dag, run_id).items()}


def server(platform: Platform) -> Cluster:
    return Cluster(platform.state, int(platform.settings["POSTGRES_PORT"]))


def rows(cluster: Cluster, statement: str, database: str = "recjobs") -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(cluster.url(database=database))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()
        return cursor.fetchall() if cursor.description else []


def test_the_dag_backs_up_what_one_command_brings_back(platform: Platform, tmp_path: Path) -> None:
    assert ended(platform, DAG, **FIRST)[0] == "success"
    assert ended(platform, "back_up") == ("success", {"back_up": "success"})

    emptied = Cluster(tmp_path / "state", ports.any_free())
    emptied.start()
    try:
        settings = platform.settings | emptied.urls() | {
            "RECJOBS_AIRFLOW_DATABASE_URL": emptied.url("airflow", "airflow", "postgresql+psycopg2"),
            "RECJOBS_STATE": str(tmp_path / "state"),
        }  # fmt: skip
        done = Command(("restore", "--from", platform.settings["RECJOBS_BACKUPS"], "--json"), settings).wait()
        assert done.code == 0, done.err
        assert done.json["databases"] == "recjobs mlflow airflow"
        before = server(platform)
        lists = rows(before, LISTS)
        assert len(lists) > 50
        assert rows(emptied, LISTS) == lists
        nights = f"select run_id, state from dag_run where dag_id = '{DAG}' and state = 'success'"
        assert rows(emptied, nights, "airflow") == rows(before, nights, "airflow") != []
        versions = "select name, version from model_versions"
        assert rows(emptied, versions, "mlflow") == rows(before, versions, "mlflow") != []
    finally:
        emptied.stop()


def test_full_logs_of_airflow_stop_no_request_and_the_night_goes_on_once_there_is_room(platform: Platform) -> None:
    before = served(platform)
    takes_all = filled(platform.state / "airflow" / "logs")
    airflow = platform.airflow()
    run_id = airflow.trigger(DAG, SECOND)
    eventually(lambda: airflow.tasks(DAG, run_id)["begin"]["state"] == "up_for_retry", END_SECONDS)
    assert "No space left on device" in (platform.state / "logs" / "scheduler.log").read_text()
    assert served(platform) == before
    takes_all.unlink()
    eventually(lambda: airflow.state(DAG, run_id) in ENDED, END_SECONDS)
    assert airflow.state(DAG, run_id) == "success"
    assert served(platform)["batch_id"] > before["batch_id"]


def test_the_dag_removes_runs_that_are_old_but_the_latest_of_each_dag(platform: Platform) -> None:
    airflow = "airflow"
    runs = f"select run_id from dag_run where dag_id = '{DAG}' order by id"
    known = rows(server(platform), runs, airflow)
    assert len(known) > 1
    old = "now() - interval '400 days'"
    for table, columns in {
        "dag_run": ("run_after", "start_date", "queued_at"),
        "task_instance": ("start_date",),
    }.items():
        changes = ", ".join(f"{column} = {old}" for column in columns)
        rows(server(platform), f"update {table} set {changes} where run_id = '{known[0][0]}'", airflow)
    assert ended(platform, "prune")[1] == {"_airflow": "success", "shop": "success"}
    assert rows(server(platform), runs, airflow) == known[1:]
