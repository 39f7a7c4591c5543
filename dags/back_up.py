"""
# Back-up

Backs up every catalog, the artifacts that it needs, and MLflow's and Airflow's databases, every day, to the place that
the setting `RECJOBS_BACKUPS` names (a folder or `s3://...`), and removes all but the latest `RECJOBS_BACKUPS_KEPT`.
Nights and readers go on; a prune waits.

**The task is skipped:** `RECJOBS_BACKUPS` is not set. **It waits for its retry:** a prune or an erasure runs, or a
system does not answer. **It failed:** its log ends with the reason; what it wrote by then does not count.

By hand: `recjobs back-up --to <place>`. The way back: `recjobs restore --from <place>`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException
from night_tasks import DAG, OUTSIDE, airflow_states, cron


@dag(
    doc_md=__doc__,
    description="Back up the catalogs, their artifacts, MLflow and Airflow",
    # After most nights, and before the prune, which would wait.
    schedule=cron("30 9 * * *", "UTC"),
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=20),
    tags=["recjobs"],
    **DAG,
)
def back_up() -> None:
    """Make the DAG: one task."""

    @task(execution_timeout=timedelta(hours=8), **OUTSIDE)
    def back_up() -> dict[str, Any]:
        from recjobs.config import load_settings
        from recjobs.operations import back_up

        with airflow_states():
            settings = load_settings()
            if not settings.backups:
                raise AirflowSkipException("RECJOBS_BACKUPS is not set: it says where back-ups go")
            return back_up.run(settings.backups, settings.backups_kept)

    back_up()


back_up()
