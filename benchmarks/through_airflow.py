"""A night's steps under Airflow beside the same night by one command: what a task costs more.

A platform of its own, with Airflow running. In each round a first night of two catalogs of the same rows (generated
ones, or the sample shop's): by `recjobs night`, and as a run of the DAG. A task takes longer than its step by the start
of a process and of Airflow's part in it, and a run by the time from one task to the next.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import night
from benchmarks.beside import THIS, checked, environment, failure
from local import ports
from local.airflow_api import FINISHED, Airflow
from recjobs import NIGHT
from recjobs.config import ROOT

SAMPLE = "sample"
"""The catalog of the repository."""
STEPS = ("begin", *NIGHT)
PORTS = ("POSTGRES_PORT", "AIRFLOW_PORT", "WEBAPP_PORT", "MLFLOW_PORT")
TARGET = 2.0
"""Seconds that a task may take more than its step, the wait for it included."""
DAG_SECONDS = 300


@dataclass(frozen=True)
class Pair:
    """A night by one command and one by a run of the DAG: seconds in all, and of each step."""

    command: float
    run: float
    steps: Mapping[str, float]
    tasks: Mapping[str, float]

    @property
    def more(self) -> float:
        """Seconds more for each task."""
        return (self.run - self.command) / len(self.tasks)


def main() -> None:
    """Run the nights, print the table."""
    parser = argparse.ArgumentParser(prog="make bench-airflow", description=__doc__)
    parser.add_argument("--size", choices=[SAMPLE, *night.SIZES], default="2m", help="about how many interactions")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    pairs = measure(night.SIZES.get(arguments.size), arguments.rounds)
    print("\n".join(report(pairs)))


def measure(size: tuple[int, int, int] | None, rounds: int) -> list[Pair]:
    """The nights of every round. size: None for the sample shop."""
    small, rows = night.rows_of(night.WARM_UP), night.rows_of(size) if size else None
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        settings = {
            "RECJOBS_STATE": str(folder / "state"),
            "RECJOBS_CATALOGS": str(folder / "catalogs"),
            "RECJOBS_DATA": str(night.CACHE),
            **{port: str(ports.any_free()) for port in PORTS},
        }
        (folder / "catalogs").mkdir()
        night.describe(settings, "warm_up", small)
        for number in range(rounds):
            for kind in ("command", "run"):
                catalog = f"bench_{kind}_{number}"
                if rows:
                    night.describe(settings, catalog, rows)
                else:
                    shutil.copy(ROOT / "catalogs" / f"{SAMPLE}.yaml", folder / "catalogs" / f"{catalog}.yaml")
        try:
            _local(settings, "up")
            password = json.loads((folder / "state" / "password.json").read_text())["admin"]
            api = Airflow(f"http://127.0.0.1:{settings['AIRFLOW_PORT']}", "admin", password)
            _run(api, "warm_up")  # and MLflow's tables, once in the life of a store
            pairs = []
            for number in range(rounds):
                print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
                command, steps = _command(settings, f"bench_command_{number}")
                run, tasks = _run(api, f"bench_run_{number}")
                pairs.append(Pair(command, run, steps, tasks))
            print(file=sys.stderr)
        finally:
            _local(settings, "down")
    return pairs


def _local(settings: Mapping[str, str], verb: str) -> None:
    checked([sys.executable, "-m", "local", verb], ROOT, environment(settings))


def _command(settings: dict[str, str], catalog: str) -> tuple[float, dict[str, float]]:
    command, began = THIS.command("recjobs", "night", "--catalog", catalog), time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    lines = [(time.perf_counter() - began, line.rstrip()) for line in process.stderr]
    if code := process.wait():
        raise failure(command, ROOT, code, "\n".join(line for _, line in lines))
    return time.perf_counter() - began, night.step_seconds(lines)


def _run(api: Airflow, catalog: str) -> tuple[float, dict[str, float]]:
    dag_id = f"nightly_{catalog}"
    api.wait_for_dag(dag_id, DAG_SECONDS)
    api.unpause(dag_id)
    run_id = api.trigger(dag_id, {})
    while (state := api.state(dag_id, run_id)) not in FINISHED:
        time.sleep(0.5)
    if state != "success":
        raise SystemExit(f"the run of {dag_id} failed")
    [run] = api.runs(dag_id)
    tasks = {name: task for name, task in api.tasks(dag_id, run_id).items() if task["state"] == "success"}
    return _seconds(run), {name: _seconds(task) for name, task in tasks.items()}


def _seconds(of: Mapping[str, Any]) -> float:
    begin, end = (datetime.fromisoformat(of[name]) for name in ("start_date", "end_date"))
    return (end - begin).total_seconds()


def report(pairs: list[Pair]) -> list[str]:
    """Medians of the rounds by step, and of whole nights."""
    lines = [f"{'seconds':<28}{'command':>9}{'task':>9}{'more':>9}"]
    for step in STEPS:
        of_command = statistics.median(pair.steps.get(night.BEGIN if step == "begin" else step, 0) for pair in pairs)
        task = statistics.median(pair.tasks.get(step, 0) for pair in pairs)
        lines.append(f"{step:<28}{of_command:>9.1f}{task:>9.1f}{task - of_command:>9.1f}")
    command, run = (statistics.median(values) for values in ([p.command for p in pairs], [p.run for p in pairs]))
    lines.append(f"{'the whole night':<28}{command:>9.1f}{run:>9.1f}{run - command:>9.1f}")
    more = statistics.median(pair.more for pair in pairs)
    verdict = "yes" if more <= TARGET else "NO"
    n_tasks = len(pairs[0].tasks)
    return [
        *lines,
        f"more for each of {n_tasks} tasks, their waits included: {more:.2f} s (target {TARGET}: {verdict})",
    ]


if __name__ == "__main__":
    main()
