"""`make demo`: start everything, run a night in Airflow, show what was published and where."""

import re
import shlex
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from local import airflow, password, postgres_binaries, stack
from local.airflow_api import Airflow
from local.databases import external_database_url
from local.errors import NightFailed
from local.ports import HOST
from local.progress import follow
from local.published import published
from recjobs import NIGHT
from recjobs.catalog.files import load_catalog
from recjobs.config import Settings, load_settings

STEPS = ("begin", *NIGHT)
DAG_SECONDS = 90
PASSWORD = r"(//[^:/@]*):[^@/]*@"  # noqa: S105 - a pattern


def run(console: Console, catalog: str | None, since: float | None) -> None:
    """Run the demo. Raises `NightFailed` with the failing step's reason if the night fails."""
    began = time.time()
    name = load_catalog(catalog or default_catalog(load_settings())).name
    settings = stack.up(lambda what: console.print(f"starting {what} ..."))
    started = time.time()

    api = Airflow(airflow.url(settings), password.USER, password.password(settings))
    dag_id = f"nightly_{name}"
    api.wait_for_dag(dag_id, DAG_SECONDS)
    api.unpause(dag_id)
    if run_id := api.unfinished_run(dag_id):
        console.print(f"a night of {name} is under way already; following it ({run_id})\n")
    else:
        run_id = api.trigger(dag_id, {})
        console.print(f"running the night of {name}: {run_url(settings, dag_id, run_id)}\n")
    state = follow(console, api, dag_id, run_id, STEPS)
    ended = time.time()

    if state != "success":
        raise NightFailed(_failure_reason(settings, api, dag_id, run_id))
    skipped = [step for step, task in api.tasks(dag_id, run_id).items() if task["state"] == "skipped"]
    if "begin" in skipped:
        console.print("\nnothing new: the live batch was made of the same input and the same request")
    elif skipped:
        console.print(f"\n{skipped[0]} skipped the night: the input is late or stale; see its log in Airflow")
    _show(console, settings, name)
    install = began - since if since else 0
    console.print(
        f"took     {ended - began + install:.0f} s: install {install:.0f} s, start {started - began:.0f} s, "
        f"night {ended - started:.0f} s\n\nIt goes on running. make down stops it, make status says what runs where.\n"
    )


def default_catalog(settings: Settings) -> str:
    """Return online_retail if its source files exist, else sample."""
    retail = load_catalog("online_retail", settings)
    has_data = all((Path(str(settings.data)) / str(source.path)).exists() for source in retail.sources)
    return retail.name if has_data else "sample"


def run_url(settings: Settings, dag_id: str, run_id: str) -> str:
    """Return the page of a run in Airflow's UI."""
    return f"{airflow.url(settings)}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def _failure_reason(settings: Settings, api: Airflow, dag_id: str, run_id: str) -> str:
    task = next((task for task in api.tasks(dag_id, run_id).values() if task["state"] == "failed"), None)
    if not task:
        return f"the night failed without a failed step; see {run_url(settings, dag_id, run_id)}"
    logs = settings.state / "airflow" / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
    log = logs / f"task_id={task['task_id']}" / f"attempt={task['try_number']}.log"
    return (
        f"{task['task_id']} failed: {api.failure(dag_id, run_id, task) or 'see its log'}\n"
        f"its log: {log}\n"
        f"in Airflow: {run_url(settings, dag_id, run_id)}"
    )


def _show(console: Console, settings: Settings, name: str) -> None:
    live = published(settings.url_of("reader"), name)
    if not live:
        console.print(f"\nnothing of {name} is published yet\n")
        return
    page = settings.webapp_url
    user_id = quote(live["example_user_id"] or "nobody", safe="")
    lines = [
        ("live", f"batch {live['batch_id']}: {live['n_users']:,} users, {live['n_items']:,} items"),
        ("from", f"{live['n_interactions']:,} interactions before {live['as_of']:%Y-%m-%d %H:%M} UTC"),
        ("quality", _quality(live)),
        ("page", f"{page}/?catalog={name}"),
        ("API", f"{page}/v1/{name}/recommendations?user_id={user_id}&n=20"),
        ("report", f"{page}/reports/{name}/{live['batch_id']}"),
        ("Airflow", airflow.url(settings)),
        ("sign in", password.where(settings)),
        ("psql", _psql(settings)),
    ]
    console.print()
    for label, text in lines:
        console.print(f"{label:<8} {text}", markup=False)


def _quality(live: dict[str, Any]) -> str:
    if live["candidate"] is None or not live["baseline"]:
        return live["verdict"] or "not measured"
    times = live["candidate"] / live["baseline"]
    return (
        f"{live['metric']} {live['candidate']:.4f}, {times:.2f} times {live['baseline_name']} "
        f"({live['baseline']:.4f}): {live['verdict']}"
    )


def _psql(settings: Settings) -> str:
    if url := external_database_url():
        return "psql '" + re.sub(PASSWORD, r"\1@", url) + "'"
    shown, psql = password.shown(settings.state / "pgpass"), postgres_binaries.psql()
    place = f"-h {HOST} -p {settings.postgres_port} -U recjobs_reader recjobs"
    return f"PGPASSFILE={shlex.quote(str(shown))} {shlex.quote(psql)} {place}"
