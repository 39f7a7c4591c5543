"""`make demo` on the sample shop, as a newcomer runs it: one platform, looked at from outside, killed, taken down."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml

from local import ports
from local.databases import DRIVER
from local.errors import LocalError
from local.postgres import Cluster
from local.processes import Record
from recjobs import NIGHT
from recjobs.night.pods import of_plan
from tests.commands import ROOT
from tests.platforms import PORTS, Platform, eventually


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    made = Platform.of(tmp_path_factory.mktemp("platform"))
    yield made
    made.run("down")
    assert made.processes() == []


@pytest.fixture(scope="module")
def demo(platform: Platform) -> str:
    done = platform.run("demo", "--catalog", "sample")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_demo_shows_every_step_and_what_was_published(demo: str) -> None:
    for step in ("begin", *NIGHT):
        assert re.search(rf"^  {step} +success +[\d.]+ s", demo, re.MULTILINE), demo
    assert re.search(r"batch \d{8}T\d{6}Z-1: [\d,]+ users, [\d,]+ items", demo)
    assert re.search(r"ndcg_at_20 0\.\d+, \d+\.\d\d times popularity", demo)
    assert re.search(r"took +\d+ s: install \d+ s, start \d+ s, night \d+ s", demo)


def test_every_address_it_prints_answers(demo: str, platform: Platform) -> None:
    addresses = re.findall(r"^(?:page|API|report|Airflow) +(http\S+)$", demo, re.MULTILINE)
    assert len(addresses) == 4
    for address in addresses:
        assert requests.get(address, timeout=10).status_code == 200, address
    answer = requests.get(addresses[1], timeout=10).json()
    assert answer["batch_id"] in demo
    assert len(answer["items"]) == 20


def test_the_smoke_test_and_the_golden_queries_pass(demo: str, platform: Platform) -> None:
    url = f"http://127.0.0.1:{platform.settings['WEBAPP_PORT']}"
    command = [sys.executable, "-m", "acceptance", "smoke", "--base-url", url, "--catalog", "sample"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "golden sample: a customer gets a list of their own" in done.stdout


def test_the_psql_line_it_prints_works(demo: str) -> None:
    line = re.search(r"^psql +(.*)$", demo, re.MULTILINE)
    assert line
    query = "select count(*) from sample.batches where is_live"
    done = subprocess.run(f'{line[1]} -Atc "{query}"', shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_airflow_shows_all_steps_green_with_small_results(demo: str, platform: Platform) -> None:
    airflow = platform.airflow()
    run_id = airflow.runs("nightly_sample")[0]["dag_run_id"]
    tasks = airflow.tasks("nightly_sample", run_id)
    assert {name: task["state"] for name, task in tasks.items()} == dict.fromkeys(("begin", *NIGHT), "success")
    for step in NIGHT:
        assert len(json.dumps(airflow.result("nightly_sample", run_id, step))) < 4000


MAKE_PODS = """
import json, sys
from types import SimpleNamespace as Some
from airflow import settings

def memory(run_id, task, try_number="1", dag_id="nightly_sample"):
    about = {"dag_id": dag_id, "task_id": task, "run_id": run_id, "try_number": try_number}
    resources = Some(requests={"cpu": "4", "memory": "16Gi"}, limits={"cpu": "4", "memory": "16Gi"})
    pod = Some(metadata=Some(annotations=about), spec=Some(containers=[Some(name="base", resources=resources)]))
    settings.pod_mutation_hook(pod)
    assert resources.requests == resources.limits
    return resources.limits["memory"]

run_id, steps = sys.argv[1], sys.argv[2].split()
print(json.dumps({
    "planned": {step: memory(run_id, step) for step in steps},
    "again": memory(run_id, "score", "2"),
    "unplanned": [memory("another", "score"), memory(run_id, "begin"), memory(run_id, "trial", dag_id="tune_sample")],
}))
"""


def test_the_pods_of_steps_would_have_the_memory_that_the_night_was_planned_with(
    demo: str, platform: Platform, tmp_path: Path
) -> None:
    """By the function that Airflow's scheduler calls for each pod, as the chart's values name it, from the XCom that a
    task of this Airflow left."""
    values = yaml.safe_load((ROOT / "k8s" / "airflow" / "values.yaml").read_text())
    (tmp_path / "config").mkdir()
    hooks = values["airflowLocalSettings"].replace("/app/dags", str(ROOT / "dags"))
    (tmp_path / "config" / "airflow_local_settings.py").write_text(hooks)
    database = Cluster(platform.state, int(platform.settings["POSTGRES_PORT"])).url("airflow", "airflow", DRIVER)
    settings = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database}
    run_id = platform.airflow().runs("nightly_sample")[0]["dag_run_id"]
    command = [sys.executable, "-W", "ignore", "-c", MAKE_PODS, run_id, " ".join(NIGHT)]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    [planned] = platform.state.rglob("begin/plan.json")
    memory = of_plan(json.loads(planned.read_text()))
    assert found["planned"] == {step: f"{memory[step]}Mi" for step in NIGHT}
    assert found["planned"]["train"] != "16Gi"
    assert found["again"] == "16Gi", "the first try may have been killed for memory"
    assert found["unplanned"] == ["16Gi"] * 3


def test_the_tasks_link_to_the_report(demo: str, platform: Platform) -> None:
    airflow = platform.airflow()
    run_id = airflow.runs("nightly_sample")[0]["dag_run_id"]
    for step in ("gate", "publish", "report"):
        links = airflow.get(f"/dags/nightly_sample/dagRuns/{run_id}/taskInstances/{step}/links")
        link = links["extra_links"]["Report"]
        assert requests.get(link, timeout=10).status_code == 200


def test_the_event_of_the_lists_names_the_batch(demo: str, platform: Platform) -> None:
    events = platform.airflow().get("/assets/events?order_by=-timestamp&limit=100")["asset_events"]
    latest = next(event for event in events if event["uri"] == "recjobs://sample/lists")
    assert latest["extra"]["batch_id"] in demo


@pytest.mark.parametrize("conf", [{"factors": -1}, {"as_of": "yesterday"}, {"force": ""}, {"iterations": "many"}])
def test_a_bad_parameter_is_refused_with_the_reason(demo: str, platform: Platform, conf: dict[str, Any]) -> None:
    airflow = platform.airflow()
    before = len(airflow.runs("nightly_sample"))
    with pytest.raises(LocalError, match=f"400 Invalid input for param {next(iter(conf))}"):
        airflow.trigger("nightly_sample", conf)
    assert len(airflow.runs("nightly_sample")) == before


def test_a_parameter_that_does_not_exist_fails_the_night_at_once_and_says_which_do(
    demo: str, platform: Platform
) -> None:
    airflow = platform.airflow()
    run_id = airflow.trigger("nightly_sample", {"factor": 32})
    eventually(lambda: airflow.state("nightly_sample", run_id) == "failed")
    tasks = airflow.tasks("nightly_sample", run_id)
    assert tasks["begin"]["try_number"] == 1
    assert "unknown in the request: factor; known are as_of, factors" in airflow.failure(
        "nightly_sample", run_id, tasks["begin"]
    )


def test_rolling_back_needs_a_reason(demo: str, platform: Platform) -> None:
    with pytest.raises(LocalError, match=r"400 (?s:.*)reason"):
        platform.airflow().trigger("roll_back", {"catalog": "sample"})


def test_the_dag_folder_has_no_import_errors(demo: str, platform: Platform) -> None:
    done = platform.run("airflow", "dags", "list-import-errors")
    assert done.returncode == 0, done.stderr
    assert "No data found" in done.stdout


def test_secrets_stand_in_private_files_and_in_no_process_argument(demo: str, platform: Platform) -> None:
    secrets = json.loads((platform.state / "airflow" / "secrets.json").read_text()).values()
    passwords = [platform.password()] + [
        line.split(":")[4] for line in (platform.state / "pgpass").read_text().splitlines()
    ]
    for name in ("env", "pgpass", "platform.json", "airflow/secrets.json", "password.json"):
        assert (platform.state / name).stat().st_mode & 0o077 == 0, name
    arguments = " ".join(word for process in platform.processes() for word in process.cmdline())
    assert not any(secret in arguments for secret in [*secrets, *passwords])


def test_another_user_of_this_machine_is_nobody_in_airflow(demo: str, platform: Platform) -> None:
    url = f"http://127.0.0.1:{platform.settings['AIRFLOW_PORT']}"
    for host in ("127.0.0.1", "evil.example"):
        headers = {"Host": host}
        assert requests.get(f"{url}/auth/token", headers=headers, timeout=30).status_code == 403
        assert (
            requests.get(f"{url}/auth/token/login", headers=headers, timeout=30, allow_redirects=False).status_code
            == 403
        )
        for path in ("/auth/token", "/auth/token/cli"):
            for body in ({}, {"username": "admin", "password": ""}, {"username": "admin", "password": "admin"}):
                refused = requests.post(f"{url}{path}", json=body, headers=headers, timeout=30)
                assert refused.status_code in (400, 401, 422), (path, body)
        for path in ("/api/v2/dags", "/api/v2/dags/nightly_sample/dagRuns", "/ui/config"):
            assert requests.get(f"{url}{path}", headers=headers, timeout=30).status_code == 401, path
    assert f"as admin; the password is in {platform.state}/password.json" in demo
    assert platform.password() not in demo
    assert (platform.state / "password.json").stat().st_mode & 0o777 == 0o600


def test_nobody_else_looks_into_the_state_folder(demo: str, platform: Platform) -> None:
    expected = 0o711 if os.geteuid() == 0 else 0o700  # root's Postgres is another user
    assert platform.state.stat().st_mode & 0o777 == expected
    for path in platform.state.iterdir():
        if path.name != "pg_hba.conf":  # read by Postgres, which is another user, and without a secret
            assert path.lstat().st_mode & 0o077 == 0, path


def test_everything_listens_on_this_machine_only(demo: str, platform: Platform) -> None:
    listening = [
        connection.laddr.ip
        for process in platform.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) == {"127.0.0.1"}


def test_another_platform_on_the_same_port_is_refused_by_the_name_of_the_setting(
    demo: str, platform: Platform, tmp_path: Path
) -> None:
    done = platform.run("up", RECJOBS_STATE=str(tmp_path), AIRFLOW_PORT=str(ports.any_free()))
    assert done.returncode == 78
    assert f"port {platform.settings['WEBAPP_PORT']} is taken by another program; set WEBAPP_PORT=" in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_second_demo_reuses_what_runs_and_has_nothing_new_to_publish(demo: str, platform: Platform) -> None:
    before = Record(platform.state).load()
    done = platform.run("demo", "--catalog", "sample")
    assert done.returncode == 0, done.stdout + done.stderr
    assert seconds(done.stdout) < seconds(demo)
    assert "nothing new" in done.stdout
    assert re.search(r"batch \d{8}T\d{6}Z-1:", done.stdout)
    assert Record(platform.state).load() == before


def test_a_night_that_was_killed_with_everything_else_is_finished_by_the_next_demo(
    demo: str, platform: Platform
) -> None:
    airflow = platform.airflow()
    run_id = airflow.trigger("nightly_sample", {"factors": 16})
    eventually(lambda: airflow.tasks("nightly_sample", run_id)["train"]["state"] in {"running", "success"})
    killed = platform.processes()
    assert len(killed) >= 5
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, timeout=10)

    done = platform.run("demo", "--catalog", "sample")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"following it ({run_id})" in done.stdout
    assert re.search(r"batch \d{8}T\d{6}Z-2: [\d,]+ users", done.stdout)
    assert platform.get("/readyz").status_code == 200


def test_rolling_back_by_its_form_serves_the_batch_before(demo: str, platform: Platform) -> None:
    airflow = platform.airflow()
    answer = "/v1/sample/popular"
    before = platform.get(answer).json()["batch_id"]
    run_id = airflow.trigger("roll_back", {"catalog": "sample", "reason": "trying it out"})
    eventually(lambda: airflow.state("roll_back", run_id) == "success")
    after = platform.get(answer).json()["batch_id"]
    assert (before[-2:], after[-2:]) == ("-2", "-1")
    assert airflow.result("roll_back", run_id, "roll_back")["live"] == after


def test_a_program_that_died_alone_is_started_again_and_the_others_are_left(demo: str, platform: Platform) -> None:
    before = Record(platform.state).load()
    family = before["webapp"].family()
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)
    done = platform.run("up")
    assert done.returncode == 0, done.stderr
    after = Record(platform.state).load()
    assert [name for name in after if after[name] != before[name]] == ["webapp"]
    assert platform.get("/healthz").status_code == 200


def test_down_leaves_no_process_and_no_taken_port(demo: str, platform: Platform) -> None:
    running = platform.processes()
    done = platform.run("down")
    assert done.returncode == 0, done.stderr
    assert [process for process in running if process.is_running()] == []
    assert all(ports.is_free(int(platform.settings[name])) for name in PORTS)


def seconds(said: str) -> int:
    took = re.search(r"^took +(\d+) s", said, re.MULTILINE)
    assert took, said
    return int(took[1])
