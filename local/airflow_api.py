"""Airflow's REST API, as far as a demo needs it: trigger a DAG, watch it, read why a task failed.

By requests, not by apache-airflow-client: ten calls to one pinned version need no generated client (decision 3).
"""

import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from local.errors import LocalError, NotHealthy
from local.health import session

FINISHED = {"success", "failed"}
RETRY = Retry(4, backoff_factor=0.5, allowed_methods=("GET", "PATCH"), status_forcelist=(500, 502, 503, 504))
"""A busy machine may let a request time out: what is safe to repeat is repeated, with pauses of 1, 2 and 4 seconds."""


class Airflow:
    """One Airflow, logged in as a user of its SimpleAuthManager. Raises `NotHealthy` if it does not let the user in."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._http = session()
        self._http.mount("http://", HTTPAdapter(max_retries=RETRY))
        self._http.mount(f"{url}/auth/", HTTPAdapter(max_retries=RETRY.new(allowed_methods=("POST",))))
        token = self._send("POST", "/auth/token", json={"username": user, "password": password}).json()
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def wait_for_dag(self, dag_id: str, seconds: float) -> None:
        """Return when the DAG processor has read `dag_id`. Raises `LocalError` with its import errors instead."""
        deadline = time.monotonic() + seconds
        while self._send("GET", f"/api/v2/dags/{dag_id}", may_fail=True).status_code == 404:
            for error in self.get("/importErrors")["import_errors"]:
                if error["filename"].endswith("catalog_files.py"):
                    continue  # another catalog's file: this one's was read before
                last_line = error["stack_trace"].strip().splitlines()[-1]
                raise LocalError(f"{error['filename']} cannot be imported: {last_line}")
            if time.monotonic() > deadline:
                raise NotHealthy(f"Airflow has not found the DAG {dag_id} within {seconds:.0f} s")
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """Let the runs of `dag_id` start."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

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
        answer = self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", may_fail=True, json=request)
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
        answer = self._send("GET", f"/api/v2{path}", may_fail=True)
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
        """Return the JSON at a path of the API. Raises `NotHealthy` if there is none."""
        return self._send("GET", f"/api/v2{path}", headers=headers).json()

    def _send(self, method: str, path: str, *, may_fail: bool = False, **options: Any) -> requests.Response:
        try:
            answer = self._http.request(method, f"{self.url}{path}", timeout=30, **options)
            if not may_fail:
                answer.raise_for_status()
        except requests.RequestException as error:
            raise NotHealthy(
                f"Airflow at {self.url} no longer answers ({type(error).__name__}); run `make demo` to start "
                "it again: the night continues where it stopped"
            ) from error
        return answer


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text
