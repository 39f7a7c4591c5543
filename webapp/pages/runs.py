"""The run page: what the nights did, what the running one does, what is live, and the way back."""

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.operators import operator_name, operator_required
from webapp.api.parameters import an_id, query
from webapp.pages import plots
from webapp.pages.formatting import STEPS
from webapp.pages.page_context import around_all, opened
from webapp.pages.plots import Value
from webapp.postgres.connection_pool import Session
from webapp.postgres.editor import change, offered

blueprint = Blueprint("runs", __name__)

N_NIGHTS, N_LOG = 14, 8

NIGHT = (
    "batch_id", "as_of", "input_state", "input_reason", "n_accepted", "n_quarantined", "verdict", "reason", "metric",
    "candidate", "champion", "baseline", "baseline_name", "lift", "kept_batch", "model_version", "published_at",
    "is_live", "rolled_back_at", "pruned_at", "n_users", "has_report",
)  # fmt: skip
STEP = ("batch_id", "step", "state", "started_at", "ended_at")
LOG = ("at", "action", "batch_id", "previous_batch_id", "model_version", "previous_model_version", "reason", "actor")
FINDING = ("batch_id", "reason", "action", "column", "n_rows", "example")
DRIFT = ("batch_id", "feature", "value", "threshold", "compared_with")


@blueprint.get("/runs")
def nights() -> str:
    """The last nights of a catalog."""
    return _page(an_id("catalog", query("catalog").get("catalog")))


@blueprint.post("/runs/roll-back")
@operator_required
def roll_back() -> Response:
    """Put an earlier batch in charge; the log says who and why."""
    query()
    catalog, batch_id, why = (request.form.get(name, "").strip() for name in ("catalog", "batch_id", "why"))
    if not why or request.form.get("sure") != "yes":
        page = _page(an_id("catalog", catalog), "Say why, and that you are sure")
        return Response(page, 400, content_type="text/html; charset=utf-8")
    change(an_id("catalog", catalog), "roll_back", an_id("batch_id", batch_id), f"{why} ({operator_name()})")
    return redirect(url_for("runs.nights", catalog=catalog), 303)


def _page(catalog: str, wrong: str | None = None) -> str:
    with opened(catalog, around_all(), "runs", whole=True) as (session, frame):
        found = _rows(session, NIGHT, "nights", N_NIGHTS)
        ids = [night["batch_id"] for night in found]
        steps = _rows(session, STEP, "steps", ids)
        for night in found:
            night["steps"] = _in_order([step for step in steps if step["batch_id"] == night["batch_id"]])
            night["seconds"] = _seconds(night["steps"])
            night["outcome"], night["said"] = outcome(night)
        latest = max(found, key=lambda night: _newest(night["steps"]) or night["as_of"], default=None)
        return render_template(
            "runs.html",
            nights=found,
            latest=latest if latest and latest["steps"] else None,
            log=_rows(session, LOG, "publish_log", N_LOG),
            findings=_rows(session, FINDING, "findings", ids[:5]),
            drift=_rows(session, DRIFT, "drift", ids[:5]),
            plots=_plots(found[::-1]),
            back=[night for night in found if _may_be_live_again(night)] if offered() else [],
            wrong=wrong,
            **frame,
        )


def outcome(night: dict[str, Any]) -> tuple[str, str]:
    """What became of a night: a word for the style, and what people read."""
    running = [step["step"] for step in night["steps"] if step["state"] == "running"]
    stopped = [step for step in night["steps"] if step["state"] in ("failed", "refused", "waiting")]
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
        return "stopped", f"Stopped: {STEPS[stopped[-1]['step']]}"
    return "open", "Not published"


def _may_be_live_again(night: dict[str, Any]) -> bool:
    return bool(night["published_at"]) and not night["pruned_at"] and not night["is_live"]


def _plots(nights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Three plots over time, oldest night first; a plot of nothing is left out."""
    if len(nights) < 2:
        return []
    names = [f"{night['as_of']:%d %b}".lstrip("0") for night in nights]
    metric = next((night["metric"] for night in reversed(nights) if night["metric"]), "ndcg_at_20")
    quality: dict[tuple[str, str], list[Value]] = {
        ("Tonight's candidate", "candidate"): [night["candidate"] for night in nights],
        ("The model in charge", "champion"): [night["champion"] for night in nights],
        ("Popular items", "baseline"): [night["baseline"] for night in nights],
    }
    kinds = ["live" if night["is_live"] else "" for night in nights]
    accepted: list[Value] = [night["n_accepted"] for night in nights]
    minutes: list[Value] = [night["seconds"] / 60 if night["seconds"] else None for night in nights]
    title = f"Quality of the lists, {metric.replace('_at_', '@').upper()}"
    drawn = [
        (plots.lines(title, names, quality), [name for name, _ in quality], list(quality.values()), 4),
        (plots.bars("Interactions read and accepted", names, accepted, kinds), ["Interactions"], [accepted], 0),
        (plots.bars("Minutes the night took", names, minutes, kinds), ["Minutes"], [minutes], 1),
    ]
    return [
        {"plot": plot, "columns": columns, "rows": list(zip(names, *values, strict=True)), "places": places}
        for plot, columns, values, places in drawn
        if plot
    ]


def _rows(session: Session, names: tuple[str, ...], statement: str, *parameters: object) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in session.rows(statement, *parameters)]


def _in_order(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A night's steps as they follow on each other; those to come have no state."""
    known = {step["step"]: step for step in steps}
    return (
        [known.get(name, {"step": name, "state": None, "started_at": None, "ended_at": None}) for name in STEPS]
        if known
        else []
    )


def _newest(steps: list[dict[str, Any]]) -> datetime | None:
    return max((step["started_at"] for step in steps if step["started_at"]), default=None)


def _seconds(steps: list[dict[str, Any]]) -> float | None:
    """How long the steps took together; what a night waits between them (for a person, say) does not count."""
    took = [(s["ended_at"] - s["started_at"]).total_seconds() for s in steps if s["started_at"] and s["ended_at"]]
    return sum(took) if took else None
