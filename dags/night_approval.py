"""Approval of inconclusive verdicts: two tasks between `gate` and `refit`, of catalogs that require it."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, task
from night_tasks import INSIDE, ReportLink, airflow_states, explain_failure

APPROVE, KEEP = "Put the candidate in charge", "Keep the champion"


class AskIfOpen(HITLOperator):
    """Asks a person about a night's candidate if its verdict is inconclusive; else succeeds at once."""

    template_fields = ("subject", "body", "op_kwargs")

    def __init__(self, *, op_kwargs: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op_kwargs = op_kwargs

    def execute(self, context: Any) -> Any:
        """Ask, and wait for the answer without holding a worker."""
        from recjobs.night.catalogs import known_catalog
        from recjobs.operations import approve

        with airflow_states():
            catalog = known_catalog(self.op_kwargs["catalog_name"])
            self.body = approve.question(catalog, self.op_kwargs["batch_id"])
        if self.body is None:
            self.log.info("the verdict is conclusive, or has been answered")
            return None
        return super().execute(context)


def approval_tasks(catalog_name: str, batch_id: Any, hours: float) -> list[Any]:
    """Return the two tasks in order: ask, store the answer. No answer in time keeps the champion."""

    @task(
        task_id="note_answer",
        execution_timeout=timedelta(hours=1),
        on_failure_callback=explain_failure,
        doc_md=f"By hand: `recjobs approve --catalog {catalog_name} --batch-id <batch id> --reason <why>`",
        **INSIDE,
    )
    def note(catalog_name: str, batch_id: str, answer: dict[str, Any] | None) -> dict[str, Any]:
        from recjobs.night.catalogs import known_catalog
        from recjobs.operations import approve

        if answer is None:
            return {"asked": False}
        person = answer["responded_by_user"]
        reason = (answer["params_input"] or {}).get("reason")
        with airflow_states():
            return approve.run(
                known_catalog(catalog_name),
                batch_id,
                approved=answer["chosen_options"] == [APPROVE],
                by=person["name"] if person else "nobody",
                reason=reason or ("no reason was given" if person else "no answer"),
                at=str(answer["responded_at"]),
                timed_out=person is None,
            )

    question = AskIfOpen(
        task_id="ask_a_person",
        op_kwargs={"catalog_name": catalog_name, "batch_id": batch_id},
        subject=f"{catalog_name}: put the candidate in charge?",
        options=[APPROVE, KEEP],
        defaults=[KEEP],
        params={"reason": Param("", type="string", description="Why; it is stored with the verdict.")},
        response_timeout=timedelta(hours=hours),
        execution_timeout=timedelta(hours=1),
        on_failure_callback=explain_failure,
        doc_md="Waits for a person where the verdict is inconclusive; *Required Actions* shows the comparison.",
        **INSIDE,
    )
    question.operator_extra_links = (ReportLink(),)
    return [question, note(catalog_name=catalog_name, batch_id=batch_id, answer=question.output)]
