"""The troubles of docs/drills.md that nights have: each is planted, its alert fires, and the runbook's way out is taken
as it stands there. Those that users notice are in test_drills.py. Monitoring is tests/monitoring.py's."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psutil
import pytest

from local.airflow_api import Airflow
from tests.commands import ROOT, Command, Done, environment_of
from tests.monitoring import Monitoring, wait_for
from tests.platforms import Platform
from tests.prometheus_names import NOT_HERE, asked_by_alerts, panels
from tests.webapp_world import free_port
from tests.worlds import EARLIER, Goods, MakeWorld, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="takes minutes: `make soak`"),
]

ABSURD = ("--set", "factors=1", "--set", "regularization=1.0e+9", "--set", "alpha=1.0e-3")
"""A recipe whose candidate is refused."""
LIMITS = {"drift": {"min_interactions": 50, "window_days": 20}}
NEWEST = datetime(2025, 6, 29, tzinfo=UTC)
"""The end of the shop's data."""
END_SECONDS = 900
STEPS = "night: Steps that ended badly, of the last day"
DAG = "nightly_sample"
CRASHING = "evaluate"


class Shop:
    """A catalog with live lists, its web app, and who watches both."""

    def __init__(self, world: World, monitoring: Monitoring, url: str) -> None:
        self.world, self.monitoring, self.url = world, monitoring, url
        self.as_of = NEWEST

    def night(self, *arguments: str) -> Done:
        """A night with a request of its own, a minute later than the one before: an equal one finds nothing new."""
        self.as_of += timedelta(minutes=1)
        return self.world.night("--as-of", self.as_of.isoformat(), *arguments, **self.monitoring.settings)

    def fires(self, alert: str) -> list[dict[str, str]]:
        """Wait for an alert at Alertmanager."""
        found: list[dict[str, str]] = wait_for(lambda: self.monitoring.fires(alert), alert, END_SECONDS)
        return found

    def shows(self, panel: str, **labels: str) -> list[float]:
        """Wait until a panel has numbers of these labels."""
        found: list[float] = wait_for(lambda: self.monitoring.shows(panel, **labels), panel, END_SECONDS)
        return found

    def ends(self, alert: str) -> None:
        """Wait until Prometheus raises it no more."""
        wait_for(lambda: not self.monitoring.raised(alert), f"the end of {alert}", END_SECONDS)

    def stopped(self) -> dict[str, str]:
        """What `recjobs status` says of the latest try at a night."""
        done = Command(("status", "--json"), self.world.settings).wait()
        found: dict[str, str] = done.json["catalogs"][self.world.name]["stopped"]
        return found


@pytest.fixture(scope="module")
def drilled(make_world: MakeWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("drills")
    world, address = make_world(limits=LIMITS), f"127.0.0.1:{free_port()}"
    monitoring = Monitoring(folder, {"webapp": [address]})
    web = None
    try:
        assert world.night("--as-of", EARLIER, **monitoring.settings).code == 0
        settings = {
            "RECJOBS_READER_URL": world.postgres.settings["RECJOBS_READER_URL"], "RECJOBS_STATE": str(folder),
            "WEBAPP_PORT": address.rpartition(":")[2],
        }  # fmt: skip
        with (folder / "webapp.log").open("wb") as log:
            web = subprocess.Popen(
                [sys.executable, "-m", "webapp"], cwd=ROOT, env=environment_of(settings), stdout=log, stderr=log
            )
        wait_for(lambda: monitoring.query("recjobs_live_published_timestamp_seconds"), "a web app", END_SECONDS)
        yield Shop(world, monitoring, f"http://{address}")
    finally:
        if web:
            web.terminate()
            web.wait(30)
        monitoring.stop()


def test_half_a_file(drilled: Shop):
    world = drilled.world
    whole, live = world.goods, world.live()
    world.write(replace(whole, sound=whole.sound.sample(frac=0.2, random_state=1)), limits=LIMITS)
    assert drilled.night().code == 65
    assert [labels["catalog"] for labels in drilled.fires("NightFailed")] == [world.name]
    assert drilled.shows(STEPS, catalog=world.name, step="validate", outcome="refused")
    stopped = drilled.stopped()
    assert (stopped["step"], stopped["state"]) == ("validate", "refused")
    assert "volume_too_low" in stopped["reason"]
    assert world.live() == live
    # "is the export complete?": it comes whole, and the night is run again
    world.write(whole, limits=LIMITS)
    assert drilled.night().code == 0
    assert world.live() != live
    drilled.ends("NightFailed")


def test_shifted_prices(drilled: Shop):
    world, goods = drilled.world, drilled.world.goods
    day = goods.sound["at"]
    later = day > day.max() - (day.max() - day.min()) / 10
    dear = goods.sound.assign(quantity=np.where(later, 64.0, goods.sound["quantity"]))
    world.write(replace(goods, sound=dear), limits=LIMITS)
    assert drilled.night().code == 0
    assert "weights" in {labels["feature"] for labels in drilled.fires("InputDrifts")}
    assert drilled.shows("data: Farthest drift", catalog=world.name)[0] > 0.25
    assert drilled.shows("data: Drift", catalog=world.name, feature="weights")[0] > 0.25
    # "if weights moved, the unit": put right, it moves back once, and then no more
    world.write(goods, limits=LIMITS)
    assert drilled.night().code == 0
    assert drilled.night().code == 0
    drilled.ends("InputDrifts")


def test_a_candidate_that_is_refused_again_and_again(drilled: Shop):
    world = drilled.world
    for _ in range(3):
        done = drilled.night(*ABSURD)
        assert done.code == 0, done.err
    assert [labels["catalog"] for labels in drilled.fires("CandidateRefusedRepeatedly")] == [world.name]
    assert drilled.shows("night: Candidates refused in a row", catalog=world.name)[0] >= 3
    # "names the check"
    refused = world.rows("select reason, checks from promotions order by decided_at desc limit 3")
    for row in refused:
        failed = [check for check in row["checks"] if not check["passed"]]
        assert row["reason"] == failed[0]["sentence"]
    # with the recipe of the champion a candidate is promoted
    assert drilled.night().code == 0
    drilled.ends("CandidateRefusedRepeatedly")


def test_an_alias_that_is_moved_by_hand(drilled: Shop):
    world = drilled.world
    client = mlflow.MlflowClient(world.settings["MLFLOW_TRACKING_URI"])
    client.set_registered_model_alias(world.name, "champion", "1")
    done = drilled.night()
    assert done.code == 0, done.err
    assert [labels["catalog"] for labels in drilled.fires("AliasMismatch")] == [world.name]
    assert drilled.shows("lists: MLflow's alias was another model's", catalog=world.name) == [1]
    # nothing to do: that night has corrected it, and the next one finds nothing to correct
    in_charge = world.value("select model_version from champion", role="recjobs_publisher")
    assert str(client.get_model_version_by_alias(world.name, "champion").version) == in_charge
    assert drilled.night().code == 0
    drilled.ends("AliasMismatch")


def test_a_source_that_is_late(drilled: Shop, make_world: MakeWorld):
    late = make_world(_until(timedelta(days=3)), live=True)
    done = late.night(**drilled.monitoring.settings)
    assert done.code == 75
    assert "stale_input" in done.message
    assert [labels["catalog"] for labels in drilled.fires("NightSkipped")] == [late.name]
    assert drilled.shows(STEPS, catalog=late.name, step="validate", outcome="skipped")
    # "ask for the export; the next night includes it"
    late.write(_until(timedelta(hours=3)), live=True)
    assert late.night(**drilled.monitoring.settings).code == 0
    assert late.live()
    drilled.ends("NightSkipped")


def _until(ago: timedelta) -> Goods:
    """The shop, whose newest row is so old."""
    goods = shop()
    shift = datetime.now(UTC).replace(microsecond=0) - ago - goods.sound["at"].max()
    return replace(goods, sound=goods.sound.assign(at=goods.sound["at"] + shift), bad={}, twice=0)


@pytest.fixture
def platform(drilled: Shop, tmp_path: Path) -> Iterator[Platform]:
    """Airflow, Postgres and a web app, which send their numbers to the same monitoring."""
    made = Platform.of(tmp_path, **drilled.monitoring.settings)
    yield made
    made.run("down")
    assert made.processes() == []


def test_a_step_that_crashes(drilled: Shop, platform: Platform):
    """In a real Airflow, each of whose tries of a step is killed, as where its memory does not suffice."""
    wait_for(lambda: platform.run("up").returncode == 0, "a platform, which goes on starting", END_SECONDS)
    airflow = platform.airflow()
    airflow.wait_for_dag(DAG, END_SECONDS)
    airflow.unpause(DAG)
    run_id = airflow.trigger(DAG, {})

    def has_failed() -> bool:
        _kill(platform, airflow.tasks(DAG, run_id)[CRASHING])
        return airflow.state(DAG, run_id) == "failed"

    wait_for(has_failed, "a failed run", END_SECONDS)
    assert [labels["dag_id"] for labels in drilled.fires("NightKilled")] == [DAG]
    # a task that is killed counts no end of its own
    assert drilled.shows("night: Duration of runs", dag_id=DAG, state="failed")
    tasks = airflow.tasks(DAG, run_id)
    assert tasks[CRASHING]["try_number"] == 3, "Airflow itself had tried again"
    assert platform.get("/v1/sample/popular").status_code == 503, "nothing was ever published"
    # "clear that task; the night goes on where it stopped"
    _clear(airflow, run_id, CRASHING)
    wait_for(lambda: airflow.state(DAG, run_id) in ("success", "failed"), "the end of the run", END_SECONDS)
    after = airflow.tasks(DAG, run_id)
    assert {name: task["state"] for name, task in after.items()} == dict.fromkeys(after, "success")
    assert after["train"]["try_number"] == tasks["train"]["try_number"] == 1, "what was done is not done again"
    wait_for(lambda: platform.get("/v1/sample/popular").status_code == 200, "its lists")

    # what Airflow sends is on the boards, and alerts hear of it
    asked = {where: one for where, one in (panels() | asked_by_alerts()).items() if re.search(r"\bairflow_", one)}
    assert len(asked) > 5
    for where, one in asked.items():
        assert not re.search("|".join(NOT_HERE), one)
        wait_for(lambda one=one: drilled.monitoring.query(one), where)


def _kill(platform: Platform, task: dict[str, Any]) -> None:
    """Kill the process of a task's present try, if there is one."""
    for process in platform.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if " ".join(process.cmdline()).startswith(f"airflow worker -- {task['id']}"):
                process.kill()


def _clear(airflow: Airflow, run_id: str, task_id: str) -> None:
    """Clear a task with what comes after it, as Airflow's page does by default."""
    what = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "include_downstream": True,
            "only_failed": False, "reset_dag_runs": True}  # fmt: skip
    airflow._send("POST", f"/api/v2/dags/{DAG}/clearTaskInstances", json=what)
