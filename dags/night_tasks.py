"""Tasks of the DAGs: how a step's errors map to Airflow, when to retry, and where the report is."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperatorLink, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from night_message import NightMessage
from step_pods import MEMORY

log = logging.getLogger(__name__)

OUTSIDE: dict[str, Any] = {"retries": 4, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True}
"""For tasks that use an external system: retries for about five minutes."""

INSIDE: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=5)}
"""For tasks that only compute: retries if the process was killed."""


STEP_CLASSES = {
    **dict.fromkeys(("extract", "validate", "split", "inspect", "publish"), "data"),
    **dict.fromkeys(("search", "train", "evaluate", "refit", "score", "trial"), "compute"),
}
"""The size of a step's pod on Kubernetes, where it is not `small`; k8s/airflow/values.yaml says how large each is.
step_pods.py sets its memory by the night's plan."""


def pod(task: str) -> dict[str, str]:
    """Return the executor_config of a task: the template of its pod, which executors without pods ignore."""
    return {"pod_template_file": f"/opt/airflow/step_classes/{STEP_CLASSES.get(task, 'small')}.yaml"}


AS_OF = Param(
    None,
    type=["null", "string"],
    pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?(Z|[+-][01]\d:[0-5]\d))?$",
    title="as of",
    description="Use only interactions before this instant, such as 2011-11-01T00:00:00Z; a bare date counts with its "
    "whole day (UTC). Empty: everything there is. At most a day ahead of now, and of past data holdout_days.",
)


def cron(at: str, timezone: str) -> CronTriggerTimetable:
    """Return a schedule whose first run is the next one due: without timedelta(0), unpausing starts a run at once."""
    return CronTriggerTimetable(at, timezone=timezone, run_immediately=timedelta(0))


def check_names(dag_run: Any, form: Collection[str]) -> None:
    """Raise Misuse for a name in the request that is not in the form: Airflow lets those pass."""
    from recjobs.errors import Misuse

    if unknown := sorted(set(dag_run.conf or {}) - set(form)):
        raise Misuse(f"unknown in the request: {', '.join(unknown)}; known are {', '.join(form)}")


@contextmanager
def airflow_states() -> Iterator[None]:
    """Translate the errors of a step: late input skips the task and the rest of the night, an error that a retry may
    fix is raised as it is, and everything else fails without a retry. What the task logs has no secret of ours."""
    from airflow.sdk.log import mask_secret

    from recjobs import logs
    from recjobs.config import load_settings, secrets_of, without_secrets
    from recjobs.errors import InputLate, RecjobsError, of_the_machine

    try:
        secrets = secrets_of(load_settings())
        logs.hide_in_records(secrets)
        for secret in secrets:
            mask_secret(secret)
        yield
    except InputLate as error:
        raise AirflowSkipException(str(error)) from None
    except RecjobsError as error:
        if error.retry:
            raise
        # expected: the message says what is wrong and what to do, and where it was raised helps nobody
        said = f"{type(error).__name__} (exit code {error.exit_code}): {error}"
        raise AirflowFailException(without_secrets(said)) from None
    except (AirflowFailException, AirflowSkipException):
        raise
    except Exception as error:
        if (named := of_the_machine(error)) is not None:
            raise named from None
        raise AirflowFailException(f"a defect of recjobs: {type(error).__name__}: {error}") from error


class ReportLink(BaseOperatorLink):
    """The night's report in the web app."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL of the report of the task's batch."""
        from recjobs.config import load_settings

        catalog, batch_id = operator.op_kwargs["catalog_name"], operator.op_kwargs["batch_id"]
        return f"{load_settings().webapp_url}/reports/{catalog}/{batch_id}"


def cause(context: dict[str, Any]) -> str:
    """Return in one line why a task failed."""
    error = context.get("exception")
    if isinstance(error, AirflowTaskTimeout):
        return f"the task did not end within {context['ti'].task.execution_timeout}"
    kind = "" if isinstance(error, AirflowFailException) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split()).rstrip(".")


def tell_failure(context: dict[str, Any]) -> None:
    """Log the cause once more, as the last line, below the frames of Airflow that lead to it."""
    log.error("%s failed: %s", context["ti"].task_id, cause(context))


def tell_retry(context: dict[str, Any]) -> None:
    """Log the cause of a failure that is tried again, as the last line."""
    log.warning("%s is tried again: %s", context["ti"].task_id, cause(context))


def name_lines(catalog: str, step: str, batch_id: str | None = None) -> None:
    """Let every further line of this task's log have these ids, those of Airflow included."""
    from structlog.contextvars import bind_contextvars

    from recjobs.night.runner import trace_ids

    traced = trace_ids(catalog, batch_id) if batch_id else {}
    bind_contextvars(catalog=catalog, batch_id=batch_id, step=step, **traced)


DAG: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"owner": "recjobs", "on_failure_callback": tell_failure, "on_retry_callback": tell_retry},
}
"""What all DAGs have in common."""


def explain_failure(context: dict[str, Any]) -> None:
    """Log what the failure means for readers, and how to continue.

    What a night was refused for was pinned when it began: input, catalog file, champion. Whoever changes one of them
    must let the night begin again, or it is refused again. Where a system was away, the night goes on at the task.
    """
    step = context["ti"].task_id
    arguments = getattr(context["ti"].task, "op_kwargs", {})
    catalog, batch_id = arguments.get("catalog_name"), arguments.get("batch_id")
    if step == "begin" or isinstance(context.get("exception"), AirflowFailException):
        clear = "clear the whole run: the night begins again, with the input, file and champion of then"
        by_hand = f"recjobs night --catalog {catalog}"
    else:
        clear, by_hand = "clear this task: the night goes on there", f"recjobs {step} --catalog {catalog}"
        by_hand += f" --batch-id {batch_id}" if batch_id else ""
    log.error(
        "the night of %s ended in %s: %s. The lists that were live before are still live. Once the cause is gone, %s; "
        "or run by hand: %s",
        catalog,
        step,
        cause(context),
        clear,
        by_hand,
    )


STOPPED: dict[str, Any] = {
    "on_failure_callback": [explain_failure, NightMessage("failed")],
    "on_skipped_callback": NightMessage("skipped"),
}
"""For the tasks of a night: what happens when one ends it."""


def as_of_run(catalog: Any, asked: str | None, dag_run: Any) -> str | None:
    """Return the instant that a run's night looks back from; None: whatever is newest.

    A catalog of past data has no other dates than those of its rows, but a backfill asks for each of its own.
    """
    if asked is None and dag_run.logical_date and (catalog.live or dag_run.run_type == "backfill"):
        return str(dag_run.logical_date.isoformat())
    return asked


OVERRIDES = {
    "factors": "factors",
    "alpha": "alpha",
    "regularization": "regularization",
    "iterations": "iterations",
    "half_life_days": "recency.half_life_days",
}
"""Fields of a night's form that override a key of the catalog file."""


def overrides_of(params: Any) -> dict[str, Any]:
    """Return the overrides that the form of a night asks for."""
    return {key: params[field] for field, key in OVERRIDES.items() if params[field] is not None}


def search(catalog_name: str) -> Any:
    """Return the task that searches for the recipe of a night without a champion; its result is the study's."""

    @task(task_id="search", execution_timeout=timedelta(hours=12), executor_config=pod("search"), **OUTSIDE)
    def run(catalog_name: str, params: Any, dag_run: Any) -> dict[str, Any]:
        from recjobs.catalog.files import load_catalog
        from recjobs.operations import first_search

        name_lines(catalog_name, "search")
        with airflow_states():
            catalog = load_catalog(catalog_name)
            if dag_run.run_type == "scheduled" and catalog.schedule.deadline:
                return {"searched": False, "why": "this run only looks whether the input came before the deadline"}
            as_of, overrides = as_of_run(catalog, params["as_of"], dag_run), overrides_of(params)
            return first_search.run(catalog, as_of=as_of, overrides=overrides)

    return run(catalog_name=catalog_name)


def begin(catalog_name: str, form: Collection[str], *, after_search: bool = False) -> Any:
    """Return the task that begins a night from its form; its result is the batch id.

    after_search: it also begins if the search before it failed, or was marked as ended.
    """
    rule: Any = {"trigger_rule": "all_done"} if after_search else {}

    @task(task_id="begin", execution_timeout=timedelta(hours=1), **STOPPED, **OUTSIDE, **rule)
    def run(catalog_name: str, params: Any, dag_run: Any, ti: Any) -> str:
        from recjobs.night.pods import memory_of_pods
        from recjobs.night.runner import begin_night, catalog_of_night
        from recjobs.operations import deadline

        name_lines(catalog_name, "begin")
        with airflow_states():
            check_names(dag_run, form)
            catalog, as_of = catalog_of_night(catalog_name), params["as_of"]
            if dag_run.run_type == "scheduled" and catalog.schedule.deadline:
                batch_id = deadline.run(catalog, dag_run.run_after)
                raise AirflowSkipException(f"the input had come before the deadline, and began {batch_id}")
            as_of = as_of_run(catalog, as_of, dag_run)
            night = begin_night(
                catalog, run_id=dag_run.run_id, as_of=as_of, overrides=overrides_of(params), force=params["force"]
            )
            if night["nothing_new"]:
                raise AirflowSkipException(
                    f"nothing new: {night['batch_id']} is finished, of this run or with an equal request; for another "
                    "night trigger the DAG"
                )
            ti.xcom_push(MEMORY, memory_of_pods(catalog, night["batch_id"]))
            return str(night["batch_id"])

    return run(catalog_name=catalog_name)


def step(name: str, catalog_name: str, batch_id: Any, *, hours: float, outlets: Any = (), **options: Any) -> Any:
    """Return the task that runs `recjobs.steps.<name>`; its result is the step's."""

    @task(
        task_id=name,
        execution_timeout=timedelta(hours=hours),
        outlets=list(outlets),
        on_success_callback=NightMessage("success") if name == "report" else None,
        **STOPPED,
        executor_config=pod(name),
        doc_md=f"By hand: `recjobs {name} --catalog {catalog_name} --batch-id <batch id>`",
        **options,
    )
    def run(catalog_name: str, batch_id: str, outlet_events: Any = None) -> dict[str, Any]:
        from recjobs.night.catalogs import known_catalog
        from recjobs.night.runner import latest_attempt, publish_night, run_step

        with airflow_states():
            name_lines(catalog_name, name, batch_id)
            catalog = known_catalog(catalog_name)
            if name == "publish":
                result = publish_night(catalog, batch_id)
            else:
                result = run_step(name, catalog, latest_attempt(catalog, batch_id))
        if kept := result.get("kept"):
            raise AirflowSkipException(f"the candidate was refused, and gate.on_refused is keep: {kept} stays live")
        for asset in outlets:
            outlet_events[asset].extra = {"batch_id": result["batch_id"]}
        return result

    result = run(catalog_name=catalog_name, batch_id=batch_id)
    if name in {"gate", "publish", "report"}:
        result.operator.operator_extra_links = (ReportLink(),)
    return result
