"""
# Prune

Removes what old nights left, every day, catalog by catalog: the lists of all but the latest five published batches
(never the live one's), then the artifacts and records that nothing needs any more. `keep` in a catalog's file says how
long the artifacts of unpublished nights stay. Readers notice nothing; `recjobs roll-back`
can go to any batch that is kept. The task `_airflow` removes Airflow's own old log files and runs
(`RECJOBS_AIRFLOW_LOG_DAYS`, `RECJOBS_AIRFLOW_DAYS`); where no setting leads to Airflow's database, its result says so.

**A task waits for its retry:** a reader or a publish holds what it needs (exit code 75). What it did stays done, and
the next try, or tomorrow's, goes on. **It failed:** its log ends with the reason.

**Trigger** with *dry run* first, if in doubt: the result of each task then lists what would be removed.
By hand: `recjobs prune --catalog <catalog> [--dry-run]`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from night_tasks import DAG, OUTSIDE, airflow_states, cron

from recjobs.catalog.files import read_catalogs


@dag(
    doc_md=__doc__,
    description="Remove what old nights left",
    # Midday: most nights are over, and somebody is there.
    schedule=cron("30 11 * * *", "UTC"),
    max_active_tasks=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=20),
    params={"dry_run": Param(False, type="boolean", title="dry run", description="Only list what would be removed.")},
    tags=["recjobs"],
    **DAG,
)
def prune() -> None:
    """Make the DAG: an independent task per catalog, and one for Airflow itself."""

    @task(execution_timeout=timedelta(hours=4), **OUTSIDE)
    def prune(catalog_name: str, params: Any) -> dict[str, Any]:
        from recjobs.catalog.files import load_catalog
        from recjobs.operations import prune

        with airflow_states():
            return prune.run(load_catalog(catalog_name), params["dry_run"])

    # A catalog whose file cannot be read is pruned once it can: see catalog_files.py.
    for name in read_catalogs()[0]:
        prune.override(task_id=name)(catalog_name=name)

    @task(task_id="_airflow", execution_timeout=timedelta(hours=4), **OUTSIDE)  # no catalog can be called that
    def clean_airflow(params: Any) -> dict[str, Any]:
        from recjobs.operations import clean_airflow

        with airflow_states():
            return clean_airflow.run(params["dry_run"])

    clean_airflow()


prune()
