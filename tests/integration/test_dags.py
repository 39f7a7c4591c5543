"""The DAG folder: parses fast and clean, asks for the right things, and wires the night in its order."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recjobs import NIGHT
from recjobs.config import ROOT

LOOK = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="dags-folder")
modules = sorted({name.split(".")[0] for name in sys.modules})
from airflow.serialization.serialized_objects import DagSerialization
look = lambda dag: {
    "tasks": {
        task.task_id: {
            "after": sorted(task.upstream_task_ids),
            "retries": task.retries,
            "hours": task.execution_timeout.total_seconds() / 3600 if task.execution_timeout else None,
            "links": [link.name for link in task.operator_extra_links],
            "outlets": [outlet.uri for outlet in task.outlets],
            "pod": (task.executor_config or {}).get("pod_template_file"),
            "rule": getattr(task.trigger_rule, "value", task.trigger_rule),
            "waits": task.response_timeout.total_seconds() / 3600 if hasattr(task, "response_timeout") else None,
            "answers": [task.options, task.defaults] if hasattr(task, "options") else None,
        }
        for task in dag.tasks
    },
    "doc": dag.doc_md, "tags": sorted(dag.tags), "max_active_runs": dag.max_active_runs, "catchup": dag.catchup,
    "start_date": str(dag.start_date), "params": {name: param.schema for name, param in dag.params.items()},
    "schedule": str(DagSerialization.to_dict(dag)["dag"]["timetable"]),
}
print(json.dumps({
    "dags": {dag_id: look(dag) for dag_id, dag in bag.dags.items()},
    "errors": {str(file): error for file, error in bag.import_errors.items()},
    "modules": modules,
}))
"""


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


def run(script: str, home: Path, *arguments: str, **settings: str) -> Any:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **settings,
    }
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def parsed(airflow_home: Path) -> Any:
    return run(LOOK, airflow_home, str(ROOT / "dags"))


def test_every_file_parses(parsed: Any) -> None:
    assert parsed["errors"] == {}


@pytest.mark.parametrize("heavy", ["numpy", "scipy", "pandas", "pyarrow", "implicit", "mlflow", "matplotlib", "optuna"])
def test_parsing_imports_nothing_heavy(parsed: Any, heavy: str) -> None:
    assert heavy not in parsed["modules"]


def test_there_is_a_night_for_each_catalog_and_a_way_back(parsed: Any) -> None:
    catalogs = {path.stem for path in (ROOT / "catalogs").glob("*.yaml")}
    of_each = {f"{verb}_{name}" for name in catalogs for verb in ("nightly", "tune")}
    assert set(parsed["dags"]) == of_each | {"roll_back", "prune", "back_up"}


def test_a_night_runs_its_steps_in_their_order(parsed: Any) -> None:
    tasks = parsed["dags"]["nightly_sample"]["tasks"]
    assert set(tasks) == {"begin", *NIGHT}
    for before, step in zip(("begin", *NIGHT), NIGHT, strict=False):
        assert tasks[step]["after"] == sorted({"begin", before})


def test_a_step_names_the_template_of_its_pod(parsed: Any) -> None:
    pods = {name: task["pod"] for name, task in parsed["dags"]["nightly_sample"]["tasks"].items()}
    pods["trial"] = parsed["dags"]["tune_sample"]["tasks"]["trial"]["pod"]
    size = {name: Path(pod).stem if pod else None for name, pod in pods.items()}
    assert size == {
        "begin": None, "extract": "data", "validate": "data", "split": "data", "train": "compute",
        "evaluate": "compute", "gate": "small", "refit": "compute", "score": "compute", "inspect": "data",
        "publish": "data", "report": "small", "trial": "compute",
    }  # fmt: skip
    text = (ROOT / "k8s" / "airflow" / "values.yaml").read_text()
    assert all(f'"{name}"' in text for name in size.values() if name)


def test_every_task_ends_within_a_limit_and_is_tried_again_where_that_is_safe(parsed: Any) -> None:
    for dag_id, dag in parsed["dags"].items():
        for name, task in dag["tasks"].items():
            assert task["hours"], name
            assert (task["retries"] >= 1) == (dag_id != "roll_back"), name


def test_one_night_of_a_catalog_at_a_time_and_none_is_made_up_for(parsed: Any) -> None:
    for dag in parsed["dags"].values():
        assert dag["max_active_runs"] == 1
        assert dag["catchup"] is False
        assert dag["start_date"] == "None"  # with one, unpausing would start a run at once


def test_the_operators_manual_is_shown(parsed: Any) -> None:
    manual = parsed["dags"]["nightly_sample"]["doc"]
    for word in (*NIGHT, "skipped", "refused", "roll_back", "recjobs night", "dagRuns"):
        assert word in manual
    assert "reason" in parsed["dags"]["roll_back"]["doc"]


def test_a_search_begins_makes_trials_and_ends(parsed: Any) -> None:
    search = parsed["dags"]["tune_sample"]
    assert {name: task["after"] for name, task in search["tasks"].items()} == {
        "begin": [], "trial": ["begin"], "finish": ["begin", "trial"],
    }  # fmt: skip
    assert search["tasks"]["finish"]["links"] == ["Report"]
    for word in ("challenger", "skipped", "given up", "recjobs tune", "minutes", "gate"):
        assert word in search["doc"]


def test_publish_announces_the_lists_and_three_tasks_link_to_the_report(parsed: Any) -> None:
    tasks = parsed["dags"]["nightly_sample"]["tasks"]
    assert [task for task in tasks if tasks[task]["outlets"]] == ["publish"]
    assert tasks["publish"]["outlets"] == ["recjobs://sample/lists"]
    assert {task for task in tasks if "Report" in tasks[task]["links"]} == {"gate", "publish", "report"}


def test_what_is_old_is_pruned_every_day_catalog_by_catalog(parsed: Any) -> None:
    pruning = parsed["dags"]["prune"]
    assert set(pruning["tasks"]) == {path.stem for path in (ROOT / "catalogs").glob("*.yaml")} | {"_airflow"}
    assert {tuple(task["after"]) for task in pruning["tasks"].values()} == {()}
    assert "30 11 * * *" in pruning["schedule"]
    assert pruning["params"]["dry_run"]["type"] == "boolean"
    assert "dry run" in pruning["doc"]


def test_the_form_of_roll_back_offers_the_catalogs(parsed: Any) -> None:
    params = parsed["dags"]["roll_back"]["params"]
    assert params["catalog"]["enum"] == sorted(path.stem for path in (ROOT / "catalogs").glob("*.yaml"))


CHECK = """
import json, sys
sys.path.append(sys.argv[1])
from airflow.sdk.exceptions import ParamValidationError
from airflow.sdk.definitions.param import ParamsDict
from recjobs.catalog.files import load_catalogs
import nightly
params = nightly.form(load_catalogs()["sample"])
answers = []
for conf in json.loads(sys.argv[2]):
    try:
        filled = ParamsDict(params)
        filled.update(conf)
        filled.validate()
        answers.append("")
    except ParamValidationError as error:
        answers.append(str(error))
print(json.dumps(answers))
"""

GOOD = [
    {},
    {"as_of": "2011-11-01"},
    {"as_of": "2011-11-01T00:00:00Z"},
    {"as_of": "2011-11-01T02:30+02:00"},
    {"factors": 32, "alpha": 0.5, "regularization": 10, "iterations": 3, "half_life_days": 14.5},
    {"force": "looked at it with the owner"},
]
BAD = [
    {"as_of": "yesterday"},
    {"as_of": "2011-13-01"},
    {"as_of": "2011-11-01T25:00:00Z"},
    {"as_of": "2011-11-01T00:00:00"},
    {"as_of": 20111101},
    {"factors": 0},
    {"factors": 1.5},
    {"factors": "many"},
    {"factors": 5000},
    {"alpha": 0},
    {"regularization": -1},
    {"iterations": 0},
    {"half_life_days": 0},
    {"force": ""},
    {"force": True},
]


def test_the_form_takes_what_can_be_and_refuses_the_rest_by_name(airflow_home: Path) -> None:
    answers = run(CHECK, airflow_home, str(ROOT / "dags"), json.dumps(GOOD + BAD))
    assert answers[: len(GOOD)] == [""] * len(GOOD)
    for conf, answer in zip(BAD, answers[len(GOOD) :], strict=True):
        assert f"Invalid input for param {next(iter(conf))}" in answer, conf


STATES = """
import json, sys, traceback
sys.path.append(sys.argv[1])
from night_tasks import airflow_states
from recjobs import errors
def all_of(tree):
    return [tree, *(each for child in tree.__subclasses__() for each in all_of(child))]
states, frames = {}, {}
for kind in [*all_of(errors.RecjobsError), ZeroDivisionError]:
    try:
        with airflow_states():
            raise kind("because")
    except BaseException as raised:
        states[kind.__name__] = [type(raised).__name__, str(raised), getattr(kind, "retry", False)]
        frames[kind.__name__] = "".join(traceback.format_exception(raised)).count("Traceback")
machine = []
for error in (OSError(28, "No space left on device"), MemoryError()):
    try:
        with airflow_states():
            raise error
    except Exception as raised:
        machine.append([type(raised).__name__, raised.retry])
import datetime, types
import night_tasks
from recjobs.catalog.files import load_catalog
said = []
night_tasks.log.error = lambda text, *values: said.append(text % values)
arguments = {"catalog_name": "sample", "batch_id": "20260101T000000Z-1"}
ti = types.SimpleNamespace(task_id="publish", task=types.SimpleNamespace(op_kwargs=arguments))
for error in (errors.Superseded("champion is 2 now"), errors.SystemAway("S3")):
    try:
        with night_tasks.airflow_states():
            raise error
    except Exception as raised:
        night_tasks.explain_failure({"ti": ti, "exception": raised})
date = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
sample = load_catalog("sample")
for live in (False, True):
    for kind in ("scheduled", "backfill", "manual"):
        run = types.SimpleNamespace(run_type=kind, logical_date=date)
        said.append(night_tasks.as_of_run(sample.model_copy(update={"live": live}), None, run))
said.append(night_tasks.as_of_run(sample, "2025-01-01", types.SimpleNamespace(run_type="backfill", logical_date=date)))
print(json.dumps({"states": states, "said": said, "frames": frames, "machine": machine}))
"""


@pytest.fixture(scope="module")
def translated(airflow_home: Path) -> Any:
    return run(STATES, airflow_home, str(ROOT / "dags"))


def test_what_was_refused_or_overtaken_begins_again_and_a_backfill_is_of_its_dates(translated: Any) -> None:
    overtaken, away, *as_of = translated["said"]
    assert overtaken.startswith(
        "the night of sample ended in publish: Superseded (exit code 75): champion is 2 now. The lists that were live"
    )
    assert "ended in publish: SystemAway: S3. The" in away
    assert "\n" not in overtaken + away
    assert "clear the whole run" in overtaken
    assert "recjobs night --catalog sample" in overtaken
    assert "clear this task" in away
    assert "recjobs publish --catalog sample --batch-id 20260101T000000Z-1" in away
    date = "2026-01-01T00:00:00+00:00"
    assert as_of == [None, date, None, date, date, date, "2025-01-01"]


def test_late_input_is_skipped_what_may_pass_is_tried_again_all_else_fails_at_once(translated: Any) -> None:
    states = translated["states"]
    assert states["InputLate"][:2] == ["AirflowSkipException", "because"]
    for kind, (raised, message, retry) in states.items():
        if kind != "InputLate":
            assert raised == (kind if retry else "AirflowFailException")
            assert "because" in message
    assert {kind for kind, (_, _, retry) in states.items() if retry} == {
        "SystemAway", "Locked", "DiskFull", "MemoryShort"
    }  # fmt: skip
    assert translated["machine"] == [["DiskFull", True], ["MemoryShort", True]], "of Python's own errors"
    assert "exit code 65" in states["DataRefused"][1]
    chains = translated["frames"]
    assert {kind for kind, n in chains.items() if n > 1} == {"ZeroDivisionError"}, "only a defect shows where it arose"
    assert "a defect of recjobs: ZeroDivisionError" in states["ZeroDivisionError"][1]


def test_adding_a_catalog_adds_its_night(airflow_home: Path, tmp_path: Path) -> None:
    sample = (ROOT / "catalogs" / "sample.yaml").read_text()
    (tmp_path / "bookshop.yaml").write_text(
        sample + '\nschedule: {cron: "30 2 * * *", tune: "0 5 * * 6", timezone: Europe/London}\n'
    )
    parsed = run(LOOK, airflow_home, str(ROOT / "dags"), RECJOBS_CATALOGS=str(tmp_path))
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {"nightly_bookshop", "tune_bookshop", "roll_back", "prune", "back_up"}
    assert "30 2 * * *" in parsed["dags"]["nightly_bookshop"]["schedule"]
    assert "Europe/London" in parsed["dags"]["nightly_bookshop"]["schedule"]
    assert "bookshop" in parsed["dags"]["nightly_bookshop"]["tags"]
    for part in ("0 5 * * 6", "Europe/London"):
        assert part in parsed["dags"]["tune_bookshop"]["schedule"]


def test_a_night_may_start_by_a_files_arrival_with_a_deadline(airflow_home: Path, tmp_path: Path) -> None:
    sample = (ROOT / "catalogs" / "sample.yaml").read_text()
    schedule = '\nschedule: {asset: bookshop_orders, deadline: "0 6 * * *", timezone: Asia/Kolkata}\n'
    (tmp_path / "bookshop.yaml").write_text(sample + schedule)
    parsed = run(LOOK, airflow_home, str(ROOT / "dags"), RECJOBS_CATALOGS=str(tmp_path))
    assert parsed["errors"] == {}
    timetable = parsed["dags"]["nightly_bookshop"]["schedule"]
    for part in ("AssetOrTimeSchedule", "bookshop_orders", "0 6 * * *", "Asia/Kolkata"):
        assert part in timetable


def test_a_person_is_asked_only_where_the_catalog_says_so(airflow_home: Path, tmp_path: Path, parsed: Any) -> None:
    sample = (ROOT / "catalogs" / "sample.yaml").read_text()
    (tmp_path / "asks.yaml").write_text(sample + "\ngate: {approval: required, approval_hours: 6}\n")
    (tmp_path / "keeps.yaml").write_text(sample + "\ngate: {on_refused: keep}\n")
    (tmp_path / "plain.yaml").write_text(sample)
    found = run(LOOK, airflow_home, str(ROOT / "dags"), RECJOBS_CATALOGS=str(tmp_path))
    assert found["errors"] == {}
    asks, keeps, plain = (found["dags"][f"nightly_{name}"]["tasks"] for name in ("asks", "keeps", "plain"))
    assert set(asks) - set(plain) == {"ask_a_person", "note_answer"}
    question = asks["ask_a_person"]
    assert (question["after"], question["links"], question["waits"]) == (["begin", "gate"], ["Report"], 6.0)
    options, without_an_answer = question["answers"]
    assert (options, without_an_answer) == (["Put the candidate in charge", "Keep the champion"], options[1:])
    assert asks["note_answer"]["after"] == ["ask_a_person", "begin"]
    assert asks["refit"]["after"] == ["begin", "note_answer"]
    for name, task in asks.items():
        assert task["hours"], name
        assert task["retries"] >= 1, name
        if name not in {"ask_a_person", "note_answer", "refit"}:
            assert task == plain[name] | {"outlets": task["outlets"]}
    assert plain == parsed["dags"]["nightly_sample"]["tasks"] | {"publish": plain["publish"]}
    # After a refused candidate publish is skipped and report runs; where extract is skipped, report is too.
    assert set(keeps) == set(plain)
    assert keeps["report"]["after"] == ["gate", "publish"]
    assert keeps["report"]["rule"] == "none_failed_min_one_success"
    assert {task["rule"] for name, task in keeps.items() if name != "report"} == {"all_success"}


def test_a_search_comes_before_begin_only_where_the_file_names_no_recipe(airflow_home: Path, tmp_path: Path) -> None:
    sample = (ROOT / "catalogs" / "sample.yaml").read_text()
    without = "".join(line for line in sample.splitlines(keepends=True) if not line.startswith("model:"))
    (tmp_path / "given.yaml").write_text(sample)
    (tmp_path / "none.yaml").write_text(without)
    (tmp_path / "off.yaml").write_text(without + "\ntune: {first_night_minutes: 0}\n")
    (tmp_path / "ratings.yaml").write_text(without + "\nmodel: {weight_scale: log}\n")
    found = run(LOOK, airflow_home, str(ROOT / "dags"), RECJOBS_CATALOGS=str(tmp_path))
    assert found["errors"] == {}
    given, none, off, ratings = (
        found["dags"][f"nightly_{name}"]["tasks"] for name in ("given", "none", "off", "ratings")
    )
    assert set(none) == set(ratings) == {"search", *given}
    assert set(off) == set(given)
    assert none["begin"] == given["begin"] | {"after": ["search"], "rule": "all_done"}
    search = none["search"]
    assert (search["after"], search["pod"]) == ([], given["train"]["pod"])
    assert search["hours"] >= 1
    assert search["retries"] >= 1
    of_both = set(given) - {"begin", "publish"}
    assert {name: none[name] for name in of_both} == {name: given[name] for name in of_both}


def test_a_broken_catalog_file_is_one_import_error_and_takes_no_other_dag_away(
    airflow_home: Path, tmp_path: Path
) -> None:
    sample = (ROOT / "catalogs" / "sample.yaml").read_text()
    (tmp_path / "bookshop.yaml").write_text(sample + "\nholdout_day: 3\n")
    (tmp_path / "No Schema.yaml").write_text(sample)
    (tmp_path / "sound.yaml").write_text(sample)
    parsed = run(LOOK, airflow_home, str(ROOT / "dags"), RECJOBS_CATALOGS=str(tmp_path))
    [error] = parsed["errors"].values()
    for part in ("bookshop.yaml", "holdout_day", "No Schema.yaml: name"):
        assert part in error
    assert set(parsed["dags"]) == {"nightly_sound", "tune_sound", "roll_back", "prune", "back_up"}
    assert {*parsed["dags"]["roll_back"]["params"]["catalog"]["enum"]} >= {"bookshop", "sound"}


def test_dag_files_only_wire() -> None:
    """Nothing of recjobs but its settings is imported at the top of a file: that runs at every parse."""
    for file in (ROOT / "dags").glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("recjobs"):
                settings = {"recjobs.config", "recjobs.catalog.file", "recjobs.catalog.files"}
                assert node.module in settings, f"{file.name}: {node.module}"
