"""What a night decided in the end: the gate's verdict, a person's answer to it, the refit's, and what follows."""

from dataclasses import replace
from typing import Any

from recjobs.core.evaluation.approval import is_open
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.recipe import Recipe
from recjobs.night.night import Night


def kept_batch(night: Night, step: str) -> str | None:
    """The live batch that stays in place of lists that `step` would make or publish: the candidate was refused, and
    the catalog says `gate.on_refused: keep`. None: the night makes lists.

    Without a champion or a live batch there is nothing worth keeping, and a night that was forced publishes.
    """
    request = night.request
    if night.catalog.gate.on_refused != "keep" or request.force or not (request.champion and request.live_batch):
        return None
    return None if final(night, step).promoted else request.live_batch.batch_id


def final(night: Night, step: str = "report") -> Verdict:
    """The verdict that counts when a step begins: that of the gate and of the person who was asked; after the refit
    the refit's own."""
    verdict = night.verdict()
    if step != "refit" and verdict.promoted and night.is_done("refit"):
        chosen = night.chosen_model()
        verdict = replace(verdict, verdict=chosen.verdict, reason=chosen.reason)
    return verdict


def asks(night: Night) -> bool:
    """Whether a person is asked about tonight's candidate, and has not answered."""
    return is_open(night.verdict(), night.catalog.gate.approval) and not night.is_done("approve")


def unlike_champion(night: Night) -> str:
    """Where tonight's recipe differs from that of the champion it is held against; empty without one."""
    champion = night.request.champion
    return night.catalog.recipe.unlike(Recipe.from_json(champion.recipe)) if champion else ""


def record(night: Night, session: Any) -> None:
    """Store the verdict and all metrics of the night in the database, and let the challenger that made tonight's recipe
    follow; a second time changes nothing."""
    kept = kept_batch(night, "publish")
    promotion = final(night).to_json() | {
        "decided_at": night.request.began_at,
        "as_of": night.request.as_of,
        "cutoff": night.cutoff().at,
        "kept_batch": kept,
    }
    session.call("record_night", batch=night.batch_id, promotion=promotion, metrics=night.evaluation().metrics)
    challenger, champion = night.request.challenger, night.request.champion
    if challenger:
        session.call(
            "decide_challenger",
            study=challenger.study_id,
            batch=night.batch_id,
            verdict=promotion["verdict"],
            contested=champion is None or Recipe.from_json(champion.recipe) != night.catalog.recipe,
        )
