"""The decision of a night: the verdict of gate, person and refit, and what follows from it."""

from dataclasses import replace
from typing import Any

from recjobs.core.evaluation.approval import is_open
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.recipe import Recipe
from recjobs.night.night import Night


def kept_batch(night: Night, step: str) -> str | None:
    """Return the live batch if it stays because the candidate was refused and `gate.on_refused` is `keep`; else None.

    A night without a champion or a live batch, or one that was forced, always makes lists.
    """
    request = night.request
    if night.catalog.gate.on_refused != "keep" or request.force or not (request.champion and request.live_batch):
        return None
    return None if final_verdict(night, step).promoted else request.live_batch.batch_id


def final_verdict(night: Night, step: str = "report") -> Verdict:
    """Return the verdict in effect when a step begins: that of gate and approval, or the refit's once it is done."""
    verdict = night.verdict()
    if step != "refit" and verdict.promoted and night.is_done("refit"):
        chosen = night.chosen_model()
        verdict = replace(verdict, verdict=chosen.verdict, reason=chosen.reason)
    return verdict


def awaits_approval(night: Night) -> bool:
    """Whether the verdict is inconclusive, the catalog requires approval, and nobody has answered."""
    return is_open(night.verdict(), night.catalog.gate.approval) and not night.is_done("approve")


def recipe_changes(night: Night) -> str:
    """Return where tonight's recipe differs from the champion's; empty without a champion."""
    champion = night.request.champion
    return night.catalog.recipe.differences(Recipe.from_json(champion.recipe)) if champion else ""


def record(night: Night, session: Any) -> None:
    """Store the verdict and all metrics of the night in Postgres, and the state of the challenger that tonight's recipe
    is from. A second time changes nothing."""
    kept, worth = kept_batch(night, "publish"), night.worth()
    promotion = final_verdict(night).to_json() | {
        "decided_at": night.request.began_at,
        "as_of": night.request.as_of,
        "cutoff": night.cutoff().at,
        "kept_batch": kept,
        "measured_batch": worth.get("live_batch"),
        "measured_since": worth.get("since"),
    }
    metrics = night.evaluation().metrics + worth.get("rows", [])
    session.call("record_night", batch=night.batch_id, promotion=promotion, metrics=metrics)
    challenger, champion = night.request.challenger, night.request.champion
    if challenger:
        session.call(
            "decide_challenger",
            study=challenger.study_id,
            batch=night.batch_id,
            verdict=promotion["verdict"],
            contested=champion is None or Recipe.from_json(champion.recipe) != night.catalog.recipe,
        )
