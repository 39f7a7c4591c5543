"""Gives a step's pod the memory that tonight's plan says, in place of its class's. It makes no DAG.

Airflow fixes the `executor_config` of a task when it parses the DAG, before the night is planned. Its scheduler calls
`pod_mutation_hook` for every pod that it makes, by when `begin` has left the plan: k8s/airflow/values.yaml names it
(`airflowLocalSettings`), so that no other executor asks.
"""

import logging
from typing import Any

log = logging.getLogger(__name__)

MEMORY = "pod_memory"
"""The XCom of `begin`: MiB by step."""
UNITS = {"Gi": 1024, "Mi": 1}


def pod_mutation_hook(pod: Any) -> None:
    """Set request and limit of memory of a night's step. A try after the first gets no less than its class has, as the
    one before may have been killed for memory; without a plan a pod stays what its class is."""
    about = pod.metadata.annotations or {}
    if not about.get("dag_id", "").startswith("nightly_"):
        return
    try:
        planned = _planned(about["dag_id"], about["run_id"]).get(about["task_id"])
        [container] = [each for each in pod.spec.containers if each.name == "base"]
        of_class = container.resources.limits["memory"]
        if planned is None or (about["try_number"] != "1" and planned < _mib(of_class)):
            return
        container.resources.requests["memory"] = container.resources.limits["memory"] = f"{planned}Mi"
    except Exception as error:  # a pod that cannot be made is a step that fails
        log.warning("a pod of %s gets what its class has: %s", about.get("task_id"), error)


def _planned(dag_id: str, run_id: str) -> dict[str, int]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    begun = {"dag_id": dag_id, "run_id": run_id, "task_id": "begin", "key": MEMORY}
    with create_session(scoped=False) as session:  # the scheduler's own session is in the middle of something
        return session.scalar(select(XComModel.value).filter_by(**begun)) or {}


def _mib(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]
