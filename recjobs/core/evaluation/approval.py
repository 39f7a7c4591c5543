"""A person's answer to an inconclusive verdict."""

from dataclasses import dataclass, replace
from typing import Any

from recjobs.core.evaluation.verdict import Verdict


@dataclass(frozen=True)
class Answer:
    """A person's answer, as in answer.json. at: ISO; late: it came after the night had gone on with the champion."""

    approved: bool
    by: str
    at: str
    reason: str
    timed_out: bool
    late: bool


def is_open(verdict: Verdict, asked: str) -> bool:
    """Whether a person decides: only an interval with 0 inside refuses, and `gate.approval` is `required`."""
    return verdict.inconclusive and asked == "required"


def decided(verdict: Verdict, answer: Answer | None) -> Verdict:
    """Return the verdict with the answer: the candidate is promoted if approved, else it stays refused.

    answer: None without a question or an answer.
    """
    if answer is None:
        return verdict
    outcome, reason = verdict.verdict, f"{verdict.reason}; refused by {answer.by} ({answer.reason})"
    if answer.approved:
        outcome = "promoted"
        reason = f"approved by {answer.by} ({answer.reason}); the gate said: {verdict.reason}"
    elif answer.timed_out:
        reason = f"{verdict.reason}; nobody answered in time"
    return replace(
        verdict,
        verdict=outcome,
        reason=reason,
        approval="timed out" if answer.timed_out else "approved" if answer.approved else "refused",
        approved_by=answer.by,
        approved_at=answer.at,
        approval_reason=answer.reason,
    )


def comparison(verdict: Verdict, rows: list[dict[str, Any]], report: str | None, changed: str, hours: float) -> str:
    """The comparison that a person decides by, in Markdown.

    rows: of the evaluations view; changed: the recipe's differences from the champion's; hours: the time to answer.
    """
    cells = {(r["model"], r["view"]): r for r in rows if (r["segment"], r["metric"]) == ("all", "ndcg_at_20")}
    views = list(dict.fromkeys(view for _, view in cells))
    rise = verdict.smallest_rise
    lines = [
        f"The candidate has a **changed recipe** (`{changed}`). Against the champion on {verdict.n_users:,} users "
        f"of the holdout it is at **{_percent(verdict.diff)}** (95%: {_percent(verdict.diff_low)} to "
        f"{_percent(verdict.diff_high)}). Zero lies inside, so the gate cannot tell. Without an answer within "
        f"{hours:g} hours the champion stays.",
        "",
        f"| NDCG@20 | {' | '.join(views)} |",
        f"|---|{'---|' * len(views)}",
        *(
            f"| {model} | {' | '.join(_cell(cells.get((model, view))) for view in views)} |"
            for model in dict.fromkeys(model for model, _ in cells)
        ),
        "",
        "What else was asked:",
        "",
        *(f"- {check.sentence}" for check in verdict.checks if check.name != "better"),
        *([] if rise is None else [f"- this holdout tells an improvement of {rise:.1%} from none four times in five"]),
    ]
    return "\n".join([*lines, "", f"[The report]({report}) shows whose lists would change, and how." if report else ""])


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return ""
    interval = "" if row["low"] is None else f" ({row['low']:.4f} to {row['high']:.4f})"
    return f"{row['value']:.4f}{interval}"


def _percent(share: float | None) -> str:
    return "no bound" if share is None else f"{share:+.1%}"
