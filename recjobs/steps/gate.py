"""Decide which recipe is in charge after tonight."""

from dataclasses import fields

import numpy as np

from recjobs.core.evaluation.gate import SEGMENTS, Bounds, Shown, decide
from recjobs.core.lists.choice import NEIGHBOURS, OWN_FREQUENCY
from recjobs.core.lists.popularity import WINDOWS
from recjobs.core.recipe import Recipe
from recjobs.night.night import Night


def run(night: Night) -> dict[str, float | str | None]:
    """Write the verdict. A refusal is a result, not an error: the night continues with the champion."""
    each = night.user_metrics(night.catalog.view)
    evaluation = night.evaluation()
    rows = evaluation.metrics
    champion = night.request.champion

    def contestant(model: str) -> Shown:
        of_lists = {r["metric"]: r["value"] for r in rows if (r["model"], r["view"]) == (model, night.catalog.view)}
        return Shown(each[f"{model}.ndcg"].to_numpy(), *(of_lists.get(m, 0.0) for m in ("coverage", "gini", "novelty")))

    bounds = night.catalog.gate.model_dump() | {"min_holdout_users": night.catalog.min_holdout_users}
    baselines = (*WINDOWS, NEIGHBOURS, OWN_FREQUENCY)
    verdict = decide(
        contestant("candidate"),
        contestant("champion") if champion else None,
        {name: each[f"{name}.ndcg"].to_numpy() for name in baselines if f"{name}.ndcg" in each.column_names},
        same_recipe=champion is not None and Recipe.from_json(champion.recipe) == night.catalog.recipe,
        segments={name: each[f"is_{name}"].to_numpy().astype(bool) for name in SEGMENTS},
        defect=night.candidate_defect(),
        bounds=Bounds(**{field.name: bounds[field.name] for field in fields(Bounds)}),
        seed=night.request.seed,
        answered=each["is_model"].to_numpy().astype(bool),
        lists=evaluation.lists,
    )
    with night.writing("gate") as files:
        files.save_json("verdict.json", verdict.to_json())
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "ndcg_at_20": _rounded(verdict.candidate),
        "baseline": _rounded(verdict.baseline),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 5)
