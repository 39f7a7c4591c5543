"""Let the DAGs of a catalog run, and run its first night: `python first_night.py sample`.

A run of that name is followed, not started again; of one that failed the last lines say where its log is.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

AIRFLOW, CATALOG = os.environ["AIRFLOW_URL"], sys.argv[1]
DAG, RUN = f"/api/v2/dags/nightly_{CATALOG}", "first-night"
SECONDS = 1800
deadline = time.monotonic() + SECONDS


def ask(method: str, path: str, body: Any = None, token: str = "") -> Any:
    """Return Airflow's answer. Raises HTTPError for what it refuses."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{AIRFLOW}{path}", content, headers, method=method)  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - Airflow
        return json.load(answer)


def patiently(method: str, path: str, body: Any = None, token: str = "", until: int | None = None) -> Any:
    """The same, again for as long as there is no answer or it is `until`: whatever is asked here may be asked twice."""
    while True:
        try:
            return ask(method, path, body, token)
        except urllib.error.HTTPError as error:
            if error.code != until or time.monotonic() > deadline:
                raise
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


user = {"username": "admin", "password": os.environ["AIRFLOW_ADMIN_PASSWORD"]}
token = patiently("POST", "/auth/token", user)["access_token"]
patiently("PATCH", DAG, {"is_paused": False}, token, until=404)  # the DAG processor has not read the file yet
try:
    patiently("POST", f"{DAG}/dagRuns", {"dag_run_id": RUN, "logical_date": None, "conf": {}}, token)
except urllib.error.HTTPError as error:
    if error.code != 409:  # it was started before
        raise
while (state := patiently("GET", f"{DAG}/dagRuns/{RUN}", token=token)["state"]) not in {"success", "failed"}:
    if time.monotonic() > deadline:
        sys.exit(f"the night of {CATALOG} has not ended within {SECONDS} s: see nightly_{CATALOG} in Airflow")
    time.sleep(2)
if state == "failed":
    sys.exit(f"the night of {CATALOG} failed: see the run {RUN} of nightly_{CATALOG} in Airflow")
print(f"the first night of {CATALOG} is live")
