"""Show the progress of a DAG run: a live table on a terminal, one line per finished step elsewhere."""

import time
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from local.airflow_api import FINISHED, Airflow

POLL_SECONDS = 0.7
LONGEST_WORD = 24
ENDED = {"success", "failed", "skipped", "upstream_failed"}
SIGNS = {
    "success": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "running": "[cyan]▸[/]",
    "skipped": "[yellow]-[/]",
    "up_for_retry": "[yellow]↻[/]",
}


def follow(console: Console, airflow: Airflow, dag_id: str, run_id: str, steps: tuple[str, ...]) -> str:
    """Draw the run until it ends; return its final state."""
    results: dict[str, str] = {}
    printed: set[str] = set()
    with Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else nullcontext() as live:
        while True:
            state = airflow.state(dag_id, run_id)
            tasks = airflow.tasks(dag_id, run_id)
            for name, task in tasks.items():
                if task["state"] == "success" and name not in results:
                    results[name] = summary(airflow.result(dag_id, run_id, name))
            if live:
                live.update(_table(steps, tasks, results), refresh=True)
            else:
                for name in steps:
                    task = tasks.get(name, {})
                    if task.get("state") in ENDED and name not in printed and not _only_follows(name, steps, tasks):
                        printed.add(name)
                        line = f"  {name:<9} {task['state']:<16} {_seconds(task):>8}  {results.get(name, '')}"
                        console.print(line.rstrip(), markup=False)
            if state in FINISHED:
                return state
            time.sleep(POLL_SECONDS)


def summary(result: Any) -> str:
    """Return a step's result as a few words: "users 4,312, items 3,890"."""
    if not isinstance(result, dict):
        return "" if result is None else str(result)
    words = []
    for name, value in sorted(result.items(), key=lambda item: item[0] != "verdict"):
        if not isinstance(value, int | float | str) or isinstance(value, bool) or len(str(value)) > LONGEST_WORD:
            continue
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
        words.append(f"{name} {shown}")
    return ", ".join(words[:4])


def _table(steps: tuple[str, ...], tasks: dict[str, dict[str, Any]], results: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name in steps:
        task = tasks.get(name, {})
        table.add_row(
            " " + SIGNS.get(str(task.get("state")), "·"), name, _seconds(task), f"[dim]{results.get(name, '')}[/]"
        )
    return table


def _only_follows(name: str, steps: tuple[str, ...], tasks: dict[str, dict[str, Any]]) -> bool:
    """Whether a step was skipped only because the step before it was."""
    before = steps[steps.index(name) - 1] if name != steps[0] else None
    return bool(before) and tasks[name]["state"] == "skipped" and tasks.get(str(before), {}).get("state") == "skipped"


def _seconds(task: dict[str, Any]) -> str:
    if not task.get("start_date"):
        return ""
    begun = datetime.fromisoformat(task["start_date"])
    ended = datetime.fromisoformat(task["end_date"]) if task.get("end_date") else datetime.now(begun.tzinfo)
    return f"{(ended - begun).total_seconds():.1f} s"
