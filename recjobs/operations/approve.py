"""Note a person's answer to an inconclusive verdict, for the refit to read; and put the question."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from recjobs.catalog.file import Catalog
from recjobs.core.evaluation.approval import Answer, comparison, is_open
from recjobs.errors import Misuse
from recjobs.night.decision import awaits_approval, recipe_changes
from recjobs.night.night import Night
from recjobs.reports.night import night_page


def run(
    catalog: Catalog,
    batch_id: str,
    *,
    approved: bool,
    by: str,
    reason: str,
    at: str | None = None,
    timed_out: bool = False,
) -> dict[str, Any]:
    """Write answer.json: who approved or refused the candidate, when and why.

    A night that is past its refit went on with the champion; then the same night, run again, begins once more with this
    answer. Raises Misuse where nothing was asked: the verdict is conclusive, or the catalog asks nobody.
    """
    night = Night.open(catalog, batch_id)
    if not reason.strip():
        raise Misuse("an answer needs a reason: it is kept with the verdict")
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
    known = night.answer()
    if known is None or replace(known, late=late) != answer:  # else it was noted before, perhaps in time
        with night.writing("approve") as files:
            files.save_json("answer.json", asdict(answer))
    goes_on = approved or not late
    return {
        "batch_id": batch_id,
        "answer": "timed out" if timed_out else "approved" if approved else "refused",
        "by": by,
        "next": f"recjobs night --catalog {catalog.name}, as it was asked before" if goes_on else "nothing: it is over",
    }


def question(catalog: Catalog, batch_id: str) -> str | None:
    """What to ask a person, in Markdown; None where nobody is to be asked, or has answered before.

    The report as far as it goes is put where the question links to.
    """
    night = Night.open(catalog, batch_id)
    verdict = night.gate_verdict()
    if not awaits_approval(night):
        return None
    with night.database("publisher").connect() as session:
        session.call("record_report", batch=batch_id, page=night_page(night))
    link = f"{night.settings.webapp_url}/reports/{night.catalog.name}/{batch_id}"
    rows = night.evaluation().metrics
    return comparison(verdict, rows, link, recipe_changes(night), night.catalog.gate.approval_hours)
