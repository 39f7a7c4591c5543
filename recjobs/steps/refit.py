"""Promoted: fit the recipe on everything, starting from tonight's candidate, and check it once more.
Refused: the champion's model is used again. Without either, tonight's lists are the popular ones."""

import hashlib
from typing import Any

import numpy as np

from recjobs.core.evaluation.exam import Contestant, exam, lists_of
from recjobs.core.evaluation.metrics import per_user
from recjobs.core.evaluation.refit import defect_of_refit
from recjobs.core.model import als
from recjobs.core.model.ranking import overlap_at
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows.instants import microseconds
from recjobs.night.night import Night


def run(night: Night) -> dict[str, Any]:
    """Write and register the model that tonight's lists are made of: a version, not yet in charge."""
    verdict = night.verdict()
    champion = night.request.champion
    refused = None if verdict.promoted else verdict.reason

    with night.writing("refit") as files:
        version = champion.model_version if champion else None
        if refused is None:
            factors, defect = _refit(night)
            if defect:
                refused = f"the refit was refused: {defect}"
            else:
                model = StoredModel(factors, night.ids("users"), night.ids("items"))
                files.save_arrays("model.npz", **model.to_arrays())
                version = _register(night, files.hashes["model.npz"], files.read("model.npz"))
        source = "none" if version is None else "refit" if refused is None else "champion"
        summary = {
            "verdict": "promoted" if refused is None else "refused",
            "reason": verdict.reason if refused is None else refused,
            "source": source,
            "model_version": version,
            "champion_version": version,
        }
        files.save_json("model.json", summary)
    return {"verdict": summary["verdict"], "model_version": version, "lists_from": source}


def _refit(night: Night) -> tuple[als.Factors, str | None]:
    recipe, threads = night.catalog.recipe, night.threads
    interactions = night.interactions()
    candidate = night.candidate().factors
    now = microseconds(night.request.as_of)
    factors = als.fit(interactions.confidence(recipe, now), recipe, night.request.seed, threads, start=candidate)
    if found := factors.defect():
        return factors, found

    train = night.train()
    holdout = night.holdout()
    questions = exam(train, holdout, "repeats", night.request.seed)
    before, _ = lists_of(
        Contestant("candidate", candidate.item_factors, recipe),
        train,
        microseconds(night.cutoff().at),
        questions,
        20,
        threads,
    )
    after, _ = lists_of(Contestant("refit", factors.item_factors, recipe), interactions, now, questions, 20, threads)
    champion = night.aligned_champion().item_factors if night.request.champion else None
    return factors, defect_of_refit(
        factors,
        champion,
        ndcg_refit=_ndcg(after, questions.holdout),
        ndcg_candidate=_ndcg(before, questions.holdout),
        overlap=overlap_at(before, after),
        min_overlap=night.catalog.gate.min_overlap_after_refit,
    )


def _ndcg(lists: np.ndarray, holdout: Any) -> float:
    return float(np.nanmean(per_user(lists, holdout, 20)["ndcg"])) if len(lists) else 0.0


def _register(night: Night, sha256: str, content: bytes) -> str:
    assert hashlib.sha256(content).hexdigest() == sha256
    registry = night.registry()
    tags = {"input_hash": night.request.input["hash"], "code_version": night.request.code_version}
    version = registry.register(night.mlflow_run(registry), night.request.batch_id, content, sha256, tags)
    with night.database("publisher").connect() as session:
        session.rows(
            "register_model",
            model_version=version,
            batch_id=night.request.batch_id,
            uri=night.files.where("refit", "model.npz"),
            sha256=sha256,
            data_cutoff=night.request.as_of,
            recipe=night.catalog.recipe.to_json(),
        )
    return version
