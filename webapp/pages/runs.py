"""The page of nights: what they did, what the running one does, what is live, and rolling back."""

from datetime import UTC, datetime

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.operators import operator_name, operator_required
from webapp.api.parameters import query, read_id
from webapp.pages import plots
from webapp.pages.formatting import STEPS
from webapp.pages.page_context import Record, catalog_page, records, site_context
from webapp.postgres import editor

blueprint = Blueprint("runs", __name__)

N_NIGHTS, N_LOG, N_BEGINS = 14, 8, 3

NIGHT = (
    "batch_id", "as_of", "input_state", "input_reason", "n_accepted", "n_quarantined", "verdict", "reason", "metric",
    "candidate", "champion", "baseline", "baseline_name", "lift", "kept_batch", "model_version", "published_at",
    "is_live", "rolled_back_at", "pruned_at", "n_users", "has_report",
)  # fmt: skip
STEP = ("batch_id", "step", "state", "started_at", "ended_at", "reason")
BEGIN = ("began_at", "as_of", "state", "reason")
LOG = ("at", "action", "batch_id", "previous_batch_id", "model_version", "previous_model_version", "reason", "actor")
STOPPED = ("failed", "refused", "waiting", "skipped")
FINDING = ("batch_id", "reason", "action", "column", "n_rows", "example")
DRIFT = ("batch_id", "feature", "value", "threshold", "compared_with")


@blueprint.get("/runs")
def nights() -> str:
    """The last nights of a catalog."""
    return _page(read_id("catalog", query("catalog").get("catalog")))


@blueprint.post("/runs/roll-back")
@operator_required
def roll_back() -> Response:
    """Roll back to an earlier batch; the log has who did it and why."""
    query()
    catalog, batch_id, why = (request.form.get(name, "").strip() for name in ("catalog", "batch_id", "why"))
    if not why or request.form.get("sure") != "yes":
        page = _page(read_id("catalog", catalog), "Say why, and that you are sure")
        return Response(page, 400, content_type="text/html; charset=utf-8")
    editor.call(read_id("catalog", catalog), "roll_back", read_id("batch_id", batch_id), f"{why} ({operator_name()})")
    return redirect(url_for("runs.nights", catalog=catalog), 303)


def _page(catalog: str, error: str | None = None) -> str:
    with catalog_page(catalog, site_context(), "runs", long=True) as (session, context):
        nights = records(session, NIGHT, "nights", N_NIGHTS)
        batch_ids = [night["batch_id"] for night in nights]
        steps = records(session, STEP, "steps", batch_ids)
        for night in nights:
            night["steps"] = _in_order([step for step in steps if step["batch_id"] == night["batch_id"]])
            night["seconds"] = _seconds(night["steps"])
            night["outcome"], night["label"] = outcome(night)
            night["why"] = _why(night)
        targets = [n for n in nights if n["published_at"] and not n["pruned_at"] and not n["is_live"]]
        for night in nights:
            night["progress"], night["left"] = _progress(night["steps"], [n["steps"] for n in nights])
        latest = max(nights, key=lambda night: _last_start(night["steps"]) or night["as_of"], default=None)
        return render_template(
            "runs.html",
            nights=nights,
            latest=latest if latest and latest["steps"] else None,
            log=records(session, LOG, "publish_log", N_LOG),
            begins=records(session, BEGIN, "begins", N_BEGINS),
            findings=records(session, FINDING, "findings", batch_ids[:5]),
            drift=records(session, DRIFT, "drift", batch_ids[:5]),
            plots=plots.of_nights(nights[::-1]),
            targets=targets if editor.can_edit() else [],
            error=error,
            **context,
        )


def outcome(night: Record) -> tuple[str, str]:
    """The outcome of a night: its CSS class, and its label."""
    running = [step["step"] for step in night["steps"] if step["state"] == "running"]
    stopped = [step["step"] for step in night["steps"] if step["state"] in ("failed", "refused", "waiting")]
    if running:
        return "running", f"Running: {STEPS[running[-1]]}"
    if night["is_live"]:
        return "live", "Live"
    if night["rolled_back_at"]:
        return "undone", "Rolled back"
    if night["published_at"]:
        return "past", "Published"
    if night["input_state"] == "skipped":
        return "skipped", "Skipped: input late"
    if night["input_state"] == "refused":
        return "stopped", "Input refused"
    if night["kept_batch"]:
        return "kept", "Earlier lists kept"
    if stopped:
        return "stopped", f"Stopped: {STEPS[stopped[-1]]}"
    return "open", "Not published"


def _why(night: Record) -> str | None:
    """Why the night stopped: what its last step that stopped said, else the codes of the rules that its input broke."""
    if night["outcome"] not in ("stopped", "skipped"):
        return None
    reasons = [step["reason"] for step in night["steps"] if step["state"] in STOPPED and step["reason"]]
    why: str | None = reasons[-1] if reasons else night["input_reason"]
    return why


def _in_order(steps: list[Record]) -> list[Record]:
    """The steps of a night in their order; those that have not started have no state."""
    known = {step["step"]: step for step in steps}
    unknown = {"state": None, "started_at": None, "ended_at": None, "reason": None}
    return [known.get(name, {"step": name, **unknown}) for name in STEPS] if known else []


def _progress(steps: list[Record], nights: list[list[Record]]) -> tuple[float, float | None]:
    """How much of a night is over (0 to 1), and the seconds that are left by the latest ends of the same steps in the
    nights, the newest first; None where no night says how long a step takes."""
    passed, left = 0.0, 0.0
    for step in steps:
        took = next(
            (took for one in nights for s in one if s["step"] == step["step"] and (took := _took(s)) is not None), None
        )
        if step["state"] == "running":
            so_far = (datetime.now(UTC) - step["started_at"]).total_seconds()
        elif step["state"] is not None:
            passed += _took(step) or 0
            continue
        else:
            so_far = 0.0
        if took is None:
            return 0.0, None
        passed, left = passed + so_far, left + max(0.0, took - so_far)
    return passed / (passed + left) if passed + left else 0.0, left


def _took(step: Record) -> float | None:
    """The seconds that a step which is done took."""
    is_done = step["state"] == "done" and step["started_at"] and step["ended_at"]
    return (step["ended_at"] - step["started_at"]).total_seconds() if is_done else None


def _last_start(steps: list[Record]) -> datetime | None:
    return max((step["started_at"] for step in steps if step["started_at"]), default=None)


def _seconds(steps: list[Record]) -> float | None:
    """The duration of all steps together, without the time that a night waits between them."""
    durations = [(s["ended_at"] - s["started_at"]).total_seconds() for s in steps if s["started_at"] and s["ended_at"]]
    return sum(durations) if durations else None
