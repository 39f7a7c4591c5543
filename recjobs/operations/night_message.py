"""Tell of a night in one screen of plain text: published or kept and why, quality, what changed, where to look."""

from typing import Any

from recjobs.catalog.names import Named
from recjobs.config import load_settings, without_secrets
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.lists.popularity import WINDOWS, title
from recjobs.night.decision import final_verdict, kept_batch, recipe_changes
from recjobs.night.night import Night
from recjobs.night.runner import latest_attempt

STOPPED = {
    "failed": "stopped",
    "skipped": "was skipped",
}
"""What a night did that made no lists, by Airflow's state of its task."""


def of_finished(catalog: Named, batch_id: str) -> dict[str, str]:
    """Return title, text and link of a night whose report is written.

    A night that was overtaken is told of as the attempt in its place.
    """
    batch_id = latest_attempt(catalog, batch_id)
    night = Night.open(catalog, batch_id)
    verdict, kept = final_verdict(night), kept_batch(night, "report")
    said = f"kept {kept}" if kept else f"published {batch_id}"
    lines = [
        f"The candidate was {verdict.verdict}: {verdict.reason}.",
        *_quality(verdict),
        *([] if kept else _changes(night)),
        _input(night),
    ]
    if changed := recipe_changes(night):
        lines.append(f"Recipe: {changed}.")
    return _message(catalog, said, lines, f"reports/{catalog.name}/{batch_id}")


def of_stopped(catalog_name: str, batch_id: str | None, step: str, state: str, reason: str) -> dict[str, str]:
    """Return title, text and link of a night that a task ended. state: of the task, a key of STOPPED; reason: its
    error, told without secrets."""
    lines = [
        f"{without_secrets(reason.strip())[:600] or 'No reason was given; see the log of the task.'}",
        "The lists that were live before are still live.",
    ]
    night = f" ({batch_id})" if batch_id else ""
    return _message(catalog_name, f"{STOPPED[state]} in {step}{night}", lines, f"runs?catalog={catalog_name}")


def _message(catalog: Named | str, said: str, lines: list[str], path: str) -> dict[str, str]:
    name = catalog if isinstance(catalog, str) else catalog.name
    link = f"{load_settings().webapp_url}/{path}"
    headline = f"{name}: the night {said}"
    return {"title": headline, "text": "\n".join([headline, *lines, link]), "link": link}


def _quality(verdict: Verdict) -> list[str]:
    """The deciding metric beside the model in charge and the best popular list."""
    if verdict.candidate is None:
        return []
    line = f"NDCG@20 of the candidate {verdict.candidate:.4f}"
    if verdict.champion:
        line += f", of the model in charge {verdict.champion:.4f} ({verdict.candidate / verdict.champion - 1:+.1%})"
    if verdict.baseline:
        name = title(verdict.baseline_name) if verdict.baseline_name in WINDOWS else verdict.baseline_name
        line += f", of the list {name} {verdict.baseline:.4f} ({verdict.candidate / verdict.baseline - 1:+.1%})"
    return [f"{line}, on {verdict.n_users:,} users."]


def _changes(night: Night) -> list[str]:
    values: dict[str, Any] = night.inspection().values
    lists = f"Lists: {values['users_covered']:.1%} of the users have one"
    if (overlap := values.get("overlap_with_live")) is not None:
        lists += f"; {overlap:.0%} of the first ten items are those of the night before"
    if (fallback := values.get("fallback_share")) is not None:
        lists += f"; {fallback:.1%} of the users get popular items"
    return [f"{lists}."]


def _input(night: Night) -> str:
    counts = night.input_account().counts
    before = next((past.n_accepted for past in night.request.history), None)
    line = f"Data: {counts['accepted']:,} interactions"
    if before:
        line += f" ({counts['accepted'] / before - 1:+.1%} against the last accepted night)"
    warned = [each["reason"] for each in night.input_account().findings if each["action"] == "warned"]
    return f"{line}, {counts['quarantined']:,} rows set aside{'; warned of ' + ', '.join(warned) if warned else ''}."
