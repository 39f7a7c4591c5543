"""Approve or refuse a candidate whose verdict is inconclusive."""

import logging
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from recjobs.catalog.names import Named
from recjobs.core.evaluation.approval import Answer, comparison, is_open
from recjobs.errors import Misuse, RecjobsError
from recjobs.night.decision import awaits_approval, recipe_changes
from recjobs.night.night import Night, database
from recjobs.night.runner import note_approval
from recjobs.reports.night import night_page

log = logging.getLogger(__name__)


def run(
    catalog: Named,
    batch_id: str,
    *,
    approved: bool,
    by: str,
    reason: str,
    at: str | None = None,
    timed_out: bool = False,
) -> dict[str, Any]:
    """Write answer.json: who approved or refused the candidate, when and why.

    If the night's refit is over, it used the champion; running the same night again then begins anew with this answer.
    Raises Misuse if the verdict is conclusive, or the catalog requires no approval.
    """
    night = Night.open(catalog, batch_id)
    if not reason.strip():
        raise Misuse("an answer needs a reason: it is stored with the verdict")
    verdict = night.gate_verdict()
    if not is_open(verdict, night.catalog.gate.approval):
        why = "gate.approval is not `required`" if verdict.inconclusive else f"it is {verdict.verdict}"
        raise Misuse(
            f"nothing to approve in {batch_id}: {why} ({verdict.reason}). `recjobs promote` puts a registered "
            "version in charge by hand"
        )
    late = any(night.is_done(step) for step in ("refit", "report"))
    at = at or datetime.now(UTC).replace(microsecond=0).isoformat()
    answer = Answer(approved, by, at, reason.strip(), timed_out, late)
    stored = night.answer()
    if stored is None or replace(stored, late=late) != answer:  # else it is stored, perhaps as one in time
        with night.writing("approve") as files:
            files.save_json("answer.json", asdict(answer))
    _audit(night, answer)
    note_approval(night)
    again = f"recjobs night --catalog {catalog.name}, as it was asked before"
    return {
        "batch_id": batch_id,
        "answer": "timed out" if timed_out else "approved" if approved else "refused",
        "by": by,
        "next": again if approved or not late else "nothing: it is over",
    }


def _audit(night: Night, answer: Answer) -> None:
    what = "timed out" if answer.timed_out else "approved" if answer.approved else "refused"
    try:
        with database(night.catalog, "publisher").connect() as session:
            about = {"batch": night.request.batch_id, "by_whom": answer.by}
            session.call("log_approval", **about, answer=what, why=answer.reason)
    except RecjobsError as error:  # the answer is stored all the same, and is recorded with the verdict
        log.warning("the answer is not in the audit: %s", error)


def question(catalog: Named, batch_id: str) -> str | None:
    """Return the question to a person, in Markdown; None if the night awaits no approval.

    Publishes the report so far, which the question links to.
    """
    night = Night.open(catalog, batch_id)
    verdict = night.gate_verdict()
    if not awaits_approval(night):
        return None
    with database(night.catalog, "publisher").connect() as session:
        session.call("record_report", batch=batch_id, page=night_page(night))
    link = f"{night.settings.webapp_url}/reports/{night.catalog.name}/{batch_id}"
    rows = night.evaluation().metrics
    return comparison(verdict, rows, link, recipe_changes(night), night.catalog.gate.approval_hours)
