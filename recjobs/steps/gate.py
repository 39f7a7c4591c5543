"""Decide which recipe is in charge after tonight."""

import numpy as np

from recjobs.catalog import Catalog
from recjobs.core.als import Factors
from recjobs.core.gate import SEGMENTS, Bounds, decide
from recjobs.core.recipe import Recipe
from recjobs.night import Night

BASELINE = "popularity_30d"


def run(catalog: Catalog, batch_id: str) -> dict[str, float | str | None]:
    """Write the Verdict. A refused candidate is a result: the night goes on with the champion."""
    night = Night.open(catalog, batch_id)
    each = night.artifacts.load_table("evaluate", f"{night.view}.parquet")
    rows = night.artifacts.load_json("evaluate", "evaluation.json")["metrics"]
    champion = night.request.champion
    gate = night.catalog.gate

    verdict = decide(
        each["candidate.ndcg"].to_numpy(),
        each["champion.ndcg"].to_numpy() if champion else None,
        each[f"{BASELINE}.ndcg"].to_numpy(),
        BASELINE,
        same_recipe=champion is not None and Recipe.from_json(champion.recipe) == night.catalog.recipe,
        segments={name: each[f"is_{name}"].to_numpy().astype(bool) for name in SEGMENTS},
        coverage=next(
            (r["value"] for r in rows if (r["model"], r["view"], r["metric"]) == ("candidate", night.view, "coverage")),
            0.0,
        ),
        defect=Factors(**night.artifacts.load_arrays("train", "candidate.npz")).defect(),
        bounds=Bounds(
            gate.max_relative_drop, gate.max_segment_drop, gate.min_coverage, night.catalog.min_holdout_users
        ),
        seed=night.request.seed,
    )
    with night.artifacts.writing("gate") as files:
        files.save_json("verdict.json", verdict.to_json())
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "ndcg_at_20": _rounded(verdict.candidate),
        "baseline": _rounded(verdict.baseline),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 5)
