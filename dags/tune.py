"""
# The search for a better recipe

Tries other hyperparameters on the catalog's past and leaves the best as its **challenger**, which the next night
trains. Nothing is promoted here: the challenger must win the night's gate, on days that this search has not seen. Every
catalog file gives one such DAG, `tune_<catalog>`; it starts by itself if the file has `schedule: {tune: "0 5 * * 6"}`,
and whenever somebody triggers it.

    begin > trial, trial, trial, ... > finish

- **`begin`** reads the input as a night would, and pins the study. The same input, code, file and champion as an
  earlier study: that one goes on.
- **`trial`** is one recipe. The list of its mapped tasks shows the value (NDCG@20) and recipe of each; as many run
  at once as the machine has cores, with one thread each unless `RECJOBS_THREADS` says otherwise.
- **`finish`** compares the best recipe with and without a second stage, and writes the page (best value against time,
  what mattered, every trial), which it links to.

States of the tasks, and what to do:

- **A trial is skipped:** the time was over before it ended. Trigger again with more minutes; finished trials count.
- **A trial says *given up*:** it was far behind after a few iterations.
- **A trial failed:** its log ends with the reason. Remove the cause, then *clear* it, and `finish` after it.
- **`finish` says `challenger: false`:** nothing was better than the recipes it began with. Nothing changes.

**Trigger** opens a form: minutes, trials, and a date to look back from. By hand, on the same study: `recjobs tune
--catalog <catalog>`.
"""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from night_tasks import AS_OF, DAG, INSIDE, OUTSIDE, ReportLink, airflow_states, check_names, cron, pod

from recjobs.catalog.file import Catalog
from recjobs.catalog.files import read_catalogs
from recjobs.config import load_settings

THREADS = load_settings().threads or 1
CONCURRENT = max(1, (os.cpu_count() or 1) // THREADS)
"""Concurrent trials: two with one thread each finish sooner than two in a row with two threads."""
FORM = {
    "minutes": Param(15, type="number", exclusiveMinimum=0, description="How long trials may run, all in all."),
    "trials": Param(60, type="integer", minimum=1, maximum=1000, description="How many there are at most."),
    "as_of": AS_OF,
}


@task(execution_timeout=timedelta(hours=2), **OUTSIDE)
def begin(catalog_name: str, params: Any, dag_run: Any, ti: Any) -> list[int]:
    """Return the numbers of the study's trials; its id is the XCom study_id."""
    from recjobs.catalog.files import load_catalog
    from recjobs.operations import tune as search

    with airflow_states():
        check_names(dag_run, FORM)
        study = search.begin(load_catalog(catalog_name), as_of=params["as_of"], publish=True)
    ti.xcom_push("study_id", study["study_id"])
    return list(range(params["trials"]))


@task(
    execution_timeout=timedelta(hours=4),
    max_active_tis_per_dagrun=CONCURRENT,
    map_index_template="{{ trial_was }}",
    executor_config=pod("trial"),
    **INSIDE,
)
def trial(catalog_name: str, study_id: str, number: int, params: Any) -> dict[str, Any]:
    """Return the result of one trial."""
    from airflow.sdk.exceptions import AirflowSkipException

    from recjobs.night.catalogs import known_catalog
    from recjobs.operations import tune as search

    context = get_current_context()
    with airflow_states():
        result = search.trial(known_catalog(catalog_name), study_id, number, 60 * params["minutes"], THREADS)
        context["trial_was"] = result["said"][:200]  # Airflow keeps 250 characters of it
        if result["state"] == "skipped":
            raise AirflowSkipException(f"the {params['minutes']:g} minutes were over before trial {number} ended")
        return result


@task(execution_timeout=timedelta(hours=4), trigger_rule="none_failed", executor_config=pod("trial"), **OUTSIDE)
def finish(catalog_name: str, batch_id: str) -> dict[str, Any]:
    """Return the result of the study; batch_id: its id, under which the web app shows its page."""
    from recjobs.night.catalogs import known_catalog
    from recjobs.operations import tune as search

    with airflow_states():
        return search.finish(known_catalog(catalog_name), batch_id)


def tune(catalog: Catalog) -> None:
    """Make the DAG of one catalog."""
    schedule: Any = None
    if at := catalog.schedule.tune:
        schedule = cron(at, catalog.schedule.timezone)

    @dag(
        dag_id=f"tune_{catalog.name}",
        description=f"Search for a better recipe: {catalog.description}",
        doc_md=__doc__,
        schedule=schedule,
        dagrun_timeout=timedelta(hours=20),
        params=FORM,
        tags=["recjobs", catalog.name],
        **DAG,
    )
    def search() -> None:
        numbers = begin(catalog_name=catalog.name)
        study_id = numbers["study_id"]
        results = trial.partial(catalog_name=catalog.name, study_id=study_id).expand(number=numbers)
        last = finish(catalog_name=catalog.name, batch_id=study_id)
        last.operator.operator_extra_links = (ReportLink(),)
        results >> last

    search()


# A file that cannot be read is the import error of catalog_files.py; the other catalogs keep their searches.
for each in read_catalogs()[0].values():
    tune(each)
