"""Airflow's REST API, as far as a demo needs it: trigger a DAG, watch it, read why a task failed.

By requests, not by apache-airflow-client: ten calls to one pinned version need no generated client (decision 3).
"""

import time
from typing import Any

import requests

from local.errors import LocalError, NotHealthy
from local.health import session

FINISHED = {"success", "failed"}


class Airflow:
    """One Airflow, logged in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = session()
        token = self._http.get(f"{url}/auth/token", timeout=10).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def wait_for_dag(self, dag_id: str, seconds: float) -> None:
        """Return when the DAG processor has read `dag_id`. Raises `LocalError` with its import errors instead."""
        deadline = time.monotonic() + seconds
        while self._http.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=10).status_code == 404:
            for error in self.get("/importErrors")["import_errors"]:
                last_line = error["stack_trace"].strip().splitlines()[-1]
                raise LocalError(f"{error['filename']} cannot be imported: {last_line}")
            if time.monotonic() > deadline:
                raise NotHealthy(f"Airflow has not found the DAG {dag_id} within {seconds:.0f} s")
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """Let the runs of `dag_id` start."""
        answer = self._http.patch(f"{self.url}/api/v2/dags/{dag_id}", json={"is_paused": False}, timeout=10)
        answer.raise_for_status()

    def unfinished_run(self, dag_id: str) -> str | None:
        """Return the id of a run that is under way, the oldest first."""
        unfinished = self.runs(dag_id, "&state=running&state=queued")
        return str(unfinished[0]["dag_run_id"]) if unfinished else None

    def runs(self, dag_id: str, query: str = "") -> list[dict[str, Any]]:
        """Return the runs of `dag_id`, the oldest first."""
        return list(self.get(f"/dags/{dag_id}/dagRuns?order_by=id&limit=100{query}")["dag_runs"])

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run and return its id. Raises `LocalError` with the reason if Airflow refuses."""
        request = {"logical_date": None, "conf": conf}
        answer = self._http.post(f"{self.url}/api/v2/dags/{dag_id}/dagRuns", json=request, timeout=30)
        if not answer.ok:
            raise LocalError(f"Airflow refuses to run {dag_id}: {answer.status_code} {_detail(answer)}")
        return str(answer.json()["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state: queued, running, success, failed."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the run's task instances by task id."""
        instances = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {instance["task_id"]: instance for instance in instances}

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what the task returned; None if it has not."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        answer = self._http.get(f"{self.url}/api/v2{path}", timeout=10)
        return answer.json()["value"] if answer.ok else None

    def failure(self, dag_id: str, run_id: str, task: dict[str, Any]) -> str:
        """Return the last error in a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
        message = ""
        for entry in self.get(path, {"Accept": "application/json"}).get("content", []):
            for detail in (entry.get("error_detail") or [])[:1]:  # its causes come after it
                message = detail["exc_value"]
        return message

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """Return the JSON at a path of the API; try five times, then raise `NotHealthy`."""
        for attempt in range(5):
            try:
                answer = self._http.get(f"{self.url}/api/v2{path}", headers=headers, timeout=30)
                answer.raise_for_status()
                return answer.json()
            except requests.RequestException as error:
                if attempt == 4:
                    raise NotHealthy(
                        f"Airflow at {self.url} no longer answers ({type(error).__name__}); run `make demo` to start "
                        "it again: the night continues where it stopped"
                    ) from error
                time.sleep(1)
        return None


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text
