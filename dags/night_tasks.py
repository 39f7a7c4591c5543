"""How a step of `recjobs` becomes a task: what its errors mean to Airflow, when to try again, where its report is."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperatorLink, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

log = logging.getLogger(__name__)

OUTSIDE: dict[str, Any] = {"retries": 4, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True}
"""For a step that waits for a system outside: tried again for about five minutes while that system is away."""

INSIDE: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=5)}
"""For a step that only computes: again if its process was killed. Its own errors end it at once."""


@contextmanager
def airflow_states() -> Iterator[None]:
    """Translate what a step raises.

    Late input: the task is skipped, and so is the rest of the night. An error that says a retry may help passes as it
    is, and Airflow tries again. Everything else fails at once: tried again it would fail again.
    """
    from recjobs.errors import InputLate, RecjobsError

    try:
        yield
    except InputLate as error:
        raise AirflowSkipException(str(error)) from error
    except RecjobsError as error:
        if error.retry:
            raise
        raise AirflowFailException(f"{type(error).__name__} (exit code {error.exit_code}): {error}") from error
    except (AirflowFailException, AirflowSkipException):
        raise
    except Exception as error:
        raise AirflowFailException(f"a defect of recjobs: {type(error).__name__}: {error}") from error


class ReportLink(BaseOperatorLink):
    """The night's report in the web app."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address of the report of the batch that the task worked on."""
        from recjobs.config import load_settings

        catalog, batch_id = operator.op_kwargs["catalog_name"], operator.op_kwargs["batch_id"]
        return f"{load_settings().webapp_url}/reports/{catalog}/{batch_id}"


def explain_failure(context: dict[str, Any]) -> None:
    """Say in the task's log what the failure means for the readers, and how to go on."""
    step = context["ti"].task_id
    arguments = getattr(context["ti"].task, "op_kwargs", {})
    catalog, batch_id = arguments.get("catalog_name"), arguments.get("batch_id")
    log.error(
        "the night of %s ended in %s; the lists that were live before are still live. Once the cause is gone, clear "
        "this task, or run by hand: recjobs %s --catalog %s%s",
        catalog,
        step,
        "night" if step == "begin" else step,
        catalog,
        f" --batch-id {batch_id}" if batch_id else "",
    )


def begin(catalog_name: str, form: Collection[str]) -> Any:
    """Return the task that begins a night with what was filled into its form; its result is the batch id."""

    @task(task_id="begin", execution_timeout=timedelta(hours=1), on_failure_callback=explain_failure, **OUTSIDE)
    def run(catalog_name: str, params: Any, dag_run: Any) -> str:
        from recjobs.catalog.files import load_catalog
        from recjobs.errors import Misuse
        from recjobs.night.runner import begin_night
        from recjobs.operations import deadline

        with airflow_states():
            # Airflow checks the values of the names it knows, and lets others pass.
            if unknown := sorted(set(dag_run.conf or {}) - set(form)):
                raise Misuse(f"unknown in the request: {', '.join(unknown)}; known are {', '.join(form)}")
            catalog, as_of = load_catalog(catalog_name), params["as_of"]
            if dag_run.run_type == "scheduled" and catalog.schedule.deadline:
                met_by = deadline.run(catalog, dag_run.run_after)
                raise AirflowSkipException(f"the input had come before the deadline, and began {met_by}")
            if as_of is None and catalog.live and dag_run.logical_date:
                as_of = dag_run.logical_date.isoformat()
            renamed = {"half_life_days": "recency.half_life_days"}
            settings = ("factors", "alpha", "regularization", "iterations", "half_life_days")
            overrides = {renamed.get(key, key): params[key] for key in settings if params[key] is not None}
            night = begin_night(catalog, as_of=as_of, overrides=overrides, force=params["force"])
            if night["nothing_new"]:
                raise AirflowSkipException(f"nothing new: {night['batch_id']} is finished and was made of the same")
            return str(night["batch_id"])

    return run(catalog_name=catalog_name)


def step(name: str, catalog_name: str, batch_id: Any, *, hours: float, outlets: Any = (), **options: Any) -> Any:
    """Return the task that runs `recjobs.steps.<name>`; its result is the step's own small JSON."""

    @task(
        task_id=name,
        execution_timeout=timedelta(hours=hours),
        outlets=list(outlets),
        on_failure_callback=explain_failure,
        doc_md=f"By hand: `recjobs {name} --catalog {catalog_name} --batch-id <batch id>`",
        **options,
    )
    def run(catalog_name: str, batch_id: str, outlet_events: Any = None) -> dict[str, Any]:
        from recjobs.catalog.files import load_catalog
        from recjobs.night.runner import run_step

        with airflow_states():
            result = run_step(name, load_catalog(catalog_name), batch_id)
        if kept := result.get("kept"):
            raise AirflowSkipException(f"the candidate was refused, and gate.on_refused is keep: {kept} stays live")
        for asset in outlets:
            outlet_events[asset].extra = {"batch_id": batch_id}
        return result

    made = run(catalog_name=catalog_name, batch_id=batch_id)
    if name in {"gate", "publish", "report"}:
        made.operator.operator_extra_links = (ReportLink(),)
    return made
