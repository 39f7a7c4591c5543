"""A search for a better recipe: it survives a kill, leaks nothing, and its best has to win the gate."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, Command, Done, Kill
from tests.webapp_world import PATIENT
from tests.worlds import EARLIER, MakeWorld, World, shop
from webapp import create_app
from webapp.settings import Settings

POOR = {"factors": 2, "alpha": 1, "regularization": 1, "iterations": 8}
"""Two numbers tell four tastes apart badly, yet better than a list of best sellers, which they all share."""
ABSURD = {"factors": 1, "alpha": 0.001, "regularization": 1e9}
TRIALS = ("--trials", "8", "--timeout", "5m")
LATER, LAST = "2025-06-20", "2025-06-28"


def tuned(world: World, *arguments: str, kill: Kill | None = None) -> Done:
    return world.recjobs("tune", "--json", *TRIALS, *arguments, kill=kill)


def trials_of(world: World, study_id: str) -> list[dict[str, Any]]:
    folder = world.artifacts / world.name / "_tune" / study_id
    return [json.loads(path.read_text()) for path in sorted(folder.glob("trial-*.json"))]


def values_of(world: World, study_id: str) -> list[tuple[str, float]]:
    return [(json.dumps(trial["recipe"]), trial["value"]) for trial in trials_of(world, study_id)]


def begun(world: World, *arguments: str) -> dict[str, Any]:
    done = world.recjobs("begin", "--json", *arguments)
    assert done.code == 0, done.err
    request: dict[str, Any] = json.loads(world.step(done.json["batch_id"], "begin", "request.json").read_text())
    return request


@pytest.fixture(scope="module")
def world(make_world: MakeWorld) -> World:
    """The shop after a night with a poor recipe, and a search as of the same day that was killed once."""
    world = make_world(model=POOR)
    world.publish("--as-of", EARLIER)
    return world


@pytest.fixture(scope="module")
def looked(world: World) -> dict[str, Any]:
    """A search that nobody disturbed, and that leaves nothing."""
    done = tuned(world, "--as-of", EARLIER, "--no-publish")
    assert done.code == 0, done.err
    return done.json


@pytest.fixture(scope="module")
def found(world: World, looked: dict[str, Any]) -> dict[str, Any]:
    """The same search for the catalog, killed in the middle and run again."""
    killed = tuned(world, "--as-of", EARLIER, kill=Kill("recjobs.adapters.records:Records.save", "before", ("00004",)))
    assert killed.code == -9
    assert world.rows("select * from challengers") == []
    (study,) = {path.name for path in (world.artifacts / world.name / "_tune").iterdir()} - {looked["study_id"]}
    assert len(trials_of(world, study)) == 4
    done = tuned(world, "--as-of", EARLIER)
    assert done.code == 0, done.err
    assert f"resuming {study}" in done.err
    return done.json


def test_a_killed_search_goes_on_to_the_same_trials(world: World, looked: dict[str, Any], found: dict[str, Any]):
    assert found["trials"] == looked["trials"] == 8
    assert values_of(world, found["study_id"]) == values_of(world, looked["study_id"])
    assert found["value"] == looked["value"] > looked["base_value"]


def test_a_look_leaves_no_challenger(world: World, looked: dict[str, Any], found: dict[str, Any]):
    assert not looked["challenger"]
    assert [row["study_id"] for row in world.rows("select study_id from challengers")] == [found["study_id"]]


def test_the_best_becomes_the_challenger_and_nothing_is_promoted(world: World, found: dict[str, Any]):
    row = world.rows("select * from challengers")[0]
    assert found["challenger"]
    assert row["recipe"] == found["best"] != row["base_recipe"]
    assert row["base_recipe"]["factors"] == 2
    assert (row["state"], row["decided_batch"], row["n_trials"]) == ("waiting", None, 8)
    assert row["data_cutoff"] <= row["as_of"] - timedelta(days=30)
    assert world.value("select count(*) from batches") == 1


def test_the_same_search_again_is_finished_and_changes_nothing(world: World, found: dict[str, Any]):
    rows, trials = world.rows("select * from challengers"), trials_of(world, found["study_id"])
    done = tuned(world, "--as-of", EARLIER)
    assert done.code == 0, done.err
    assert "the study is finished" in done.err
    assert done.json == found
    assert world.rows("select * from challengers") == rows
    assert trials_of(world, found["study_id"]) == trials


def test_the_page_shows_the_search_and_runs_nothing(world: World, found: dict[str, Any]):
    page = world.value("select html from reports where batch_id = %s", found["study_id"])
    assert "a challenger" in page
    assert page.count("<svg") >= 1
    assert "<script" not in page
    assert f"trial {[trial['value'] for trial in trials_of(world, found['study_id'])].index(found['value'])}" in page


def test_the_web_app_shows_the_page(world: World, found: dict[str, Any]):
    url = world.settings["RECJOBS_READER_URL"]
    client = create_app(Settings(database_url=url, request_log=False, **PATIENT)).test_client()
    answer = client.get(f"/reports/{world.name}/{found['study_id']}")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "the search of" in answer.text


def test_status_names_the_challenger(world: World, found: dict[str, Any]):
    done = Command(("status", "--json"), world.settings).wait()
    assert done.code == 0, done.err
    challenger = done.json["catalogs"][world.name]["challenger"]
    assert (challenger["study_id"], challenger["state"]) == (found["study_id"], "waiting")
    assert f"challenger {found['study_id']} waiting" in Command(("status",), world.settings).wait().out


def test_every_trial_is_a_run_under_the_studys(world: World, found: dict[str, Any]):
    import mlflow

    client = mlflow.MlflowClient(world.settings["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(world.name)
    assert experiment
    (study,) = client.search_runs([experiment.experiment_id], f"tags.study_id = '{found['study_id']}'")
    runs = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{study.info.run_id}'")
    trials = {f"{trial['number']:05}": trial for trial in trials_of(world, found["study_id"])}
    assert {run.data.tags["trial"] for run in runs} == set(trials)
    assert {run.info.status for run in [study, *runs]} == {"FINISHED"}
    for run in runs:
        trial = trials[run.data.tags["trial"]]
        assert run.data.metrics["ndcg_at_20"] == trial["value"]
        assert run.data.metrics["seconds"] == trial["seconds"] > 0
        assert run.data.params["factors"] == str(trial["recipe"]["factors"])
        assert run.data.tags["state"] == trial["state"]
    assert study.data.metrics["ndcg_at_20"] == found["value"]


def test_rows_from_the_cutoff_on_change_no_trial(make_world: MakeWorld, world: World, looked: dict[str, Any]):
    goods = shop()
    cutoff = datetime.fromisoformat(EARLIER).replace(tzinfo=UTC) + timedelta(days=1 - 30)
    late = goods.sound["at"] >= cutoff
    changed = goods.sound.copy()
    changed.loc[late, "user"] = [f"0 new {n % 40}" for n in range(late.sum())]
    changed.loc[late, "item"] = [f"0 new {n % 7}" for n in range(late.sum())]
    changed.loc[late, "quantity"] = 99.0
    other = make_world(replace(goods, sound=changed), model=POOR, seed=7)
    done = tuned(other, "--as-of", EARLIER, "--no-publish")
    assert done.code == 0, done.err
    assert values_of(other, done.json["study_id"]) == values_of(world, looked["study_id"])
    assert done.json["study_id"] != looked["study_id"]


RUN = """
import json, sys
from airflow.dag_processing.dagbag import BundleDagBag
from pathlib import Path
folder, dag_id, conf = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
dag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags[dag_id]
run = dag.test(run_conf=conf)
tasks = run.get_task_instances()
print(json.dumps({
    "state": run.state,
    "tasks": sorted([task.task_id, task.map_index, task.state, task.rendered_map_index] for task in tasks),
}))
"""


def test_airflow_goes_on_with_the_same_search_a_task_a_trial(world: World, found: dict[str, Any], tmp_path: Path):
    settings = world.settings | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=settings, check=True, capture_output=True)
    conf = {"as_of": EARLIER, "trials": 9, "minutes": 10}
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(ROOT / "dags"), f"tune_{world.name}", json.dumps(conf)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["state"] == "success", done.stdout
    assert [task[:3] for task in ended["tasks"]] == [
        ["begin", -1, "success"], ["finish", -1, "success"], *(["trial", n, "success"] for n in range(9)),
    ]  # fmt: skip
    trials = trials_of(world, found["study_id"])
    assert len(trials) == 9
    assert values_of(world, found["study_id"])[:8]
    for task, trial in zip(ended["tasks"][2:], trials, strict=True):
        assert task[3].startswith(f"{trial['value']:.4f}")
        assert f"factors={trial['recipe']['factors']}" in task[3]


def test_who_may_say_which_recipe_a_night_trains(world: World, found: dict[str, Any]):
    """A word of tonight beats the file, a changed file beats the challenger, the challenger beats an unchanged file."""
    in_force = begun(world, "--as-of", LATER)
    assert in_force["challenger"]["study_id"] == found["study_id"]
    recipe = world.rows("select recipe from challengers")[0][
        "recipe"
    ]  # Airflow's ninth trial may have beaten the eight
    assert in_force["catalog"]["model"]["factors"] == recipe["factors"] != 2
    other_key = begun(world, "--as-of", LATER, "--set", "top_n.stored=29")
    assert other_key["challenger"]
    for setting in ("factors=1", "recency.half_life_days=9", "kinds={}"):
        asked = begun(world, "--as-of", LATER, "--set", setting)
        assert asked["challenger"] is None, setting
        assert asked["catalog"]["model"]["factors"] == (1 if setting == "factors=1" else 2)
    before_it_was_found = begun(world, "--as-of", "2025-06-17", "--force", "to look at it")
    assert before_it_was_found["challenger"] is None
    world.write_catalog({**world.catalog, "model": {**POOR, "alpha": 2}})
    changed = begun(world, "--as-of", LATER)
    world.write_catalog(world.catalog)
    assert changed["challenger"] is None
    assert changed["catalog"]["model"]["alpha"] == 2


def test_the_next_night_trains_the_challenger_and_its_state_follows_the_verdict(world: World, found: dict[str, Any]):
    batch_id = world.publish("--as-of", LAST)
    row = world.rows("select * from challengers")[0]
    assert row["study_id"] == found["study_id"]
    assert world.value("select verdict from promotions where batch_id = %s", batch_id) == "promoted"
    assert (row["state"], row["decided_batch"]) == ("promoted", batch_id)
    model = world.rows("select recipe from champion", role="recjobs_publisher")[0]
    assert model["recipe"] == row["recipe"]
    assert found["study_id"] in world.value("select html from reports where batch_id = %s", batch_id)
    assert world.night("--as-of", LAST).json["nothing_new"]

    world.rows(
        "insert into challenger_records (study_id, as_of, data_cutoff, recipe, base_recipe, value, n_trials)"
        " select 'tune-worse', as_of + interval '1 hour', data_cutoff, recipe || %s::jsonb, base_recipe, 0.9, 3"
        " from challenger_records",
        json.dumps(ABSURD),
        role="admin",
    )
    refused = world.publish("--as-of", "2025-07-02")
    states = {row["study_id"]: row for row in world.rows("select * from challengers")}
    assert world.value("select verdict from promotions where batch_id = %s", refused) == "refused"
    assert (states["tune-worse"]["state"], states["tune-worse"]["decided_batch"]) == ("refused", refused)
    assert states[found["study_id"]]["state"] == "promoted"
    assert world.night("--as-of", "2025-07-02").json["nothing_new"]
    assert begun(world, "--as-of", "2025-07-03")["challenger"]["study_id"] == found["study_id"]


def test_too_little_past_is_refused_with_the_way_out(make_world: MakeWorld):
    world = make_world(holdout_days=400)
    done = tuned(world, "--no-publish")
    assert done.code == 65
    assert "holdout_days" in done.message
