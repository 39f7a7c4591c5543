"""
# Roll back

Makes an earlier batch live again, and the model of that batch the champion, in one transaction: every reader sees it
with its next request. Nothing is computed and nothing is deleted: rolling forward is the same, with the later batch.

Without a batch id it goes back to the batch that was live before. The reason is stored in the publish log
(`select * from <catalog>.publish_log`). A batch that was rolled back is not published again by a rerun of its night.

By hand: `recjobs roll-back --catalog <catalog> [--batch-id <batch id>]`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from night_tasks import DAG, airflow_states

from recjobs.catalog.files import catalog_names


@dag(
    doc_md=__doc__,
    description="Make an earlier batch live again",
    schedule=None,
    is_paused_upon_creation=False,
    params={
        "catalog": Param(type="string", enum=catalog_names(), description="Whose lists to take back."),
        "batch_id": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{8}T\d{6}Z-\d{1,6}$",
            title="batch id",
            description="The batch to return to, as in select batch_id from <catalog>.batches. Empty: the one before.",
        ),
        "reason": Param(type="string", minLength=3, description="Why; it is stored in the publish log."),
    },
    tags=["recjobs"],
    **DAG,
)
def roll_back() -> None:
    """Make the DAG."""

    # No retries: without a batch id, a second try would go back another batch.
    @task(execution_timeout=timedelta(minutes=10), retries=0)
    def roll_back(params: Any, dag_run: Any) -> dict[str, Any]:
        from recjobs.night.catalogs import known_catalog
        from recjobs.operations import roll_back

        with airflow_states():
            catalog, by = known_catalog(params["catalog"]), dag_run.triggering_user_name
            return roll_back.run(catalog, params["batch_id"], params["reason"], by)

    roll_back()


roll_back()
