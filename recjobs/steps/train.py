"""Fit tonight's candidate on the train part, from the champion's factors if those have not seen the holdout."""

import numpy as np

from recjobs.adapters import gpu
from recjobs.adapters.statsd import Metrics
from recjobs.core.model.stored import StoredModel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.night.devices import note_device
from recjobs.night.night import Night


def run(night: Night) -> dict[str, int | bool]:
    """Write the candidate's factors; also those of the champion's recipe if it differs and the champion has seen the
    holdout. Factors may be not finite; the gate refuses those."""
    train = night.train()
    cutoff = night.cutoff()
    recipe, champion = night.catalog.recipe, night.request.champion
    other = Recipe.from_json(champion.recipe) if champion else recipe
    now = microseconds(cutoff.at)

    start = None
    if champion and champion.data_cutoff <= cutoff.at and other.factors == recipe.factors:
        start = night.aligned_champion()
    warm = start is not None
    engine, settings = night.fitting_engine(), night.settings
    metrics = Metrics(settings.statsd_host, settings.statsd_port, night.catalog.name, "train")
    with gpu.gauges(metrics.gauge):
        candidate = engine.fit(train.confidence(recipe, now), recipe, night.request.seed, start)
    device = note_device(candidate, "the candidate")
    with night.writing("train") as files:
        model = StoredModel(candidate, night.ids("users"), night.ids("items"))
        files.save_arrays("candidate.npz", **model.to_arrays())
        if champion and champion.data_cutoff > cutoff.at and other != recipe:
            again = engine.fit(train.confidence(other, now), other, night.request.seed)
            files.save_arrays("champion_recipe.npz", user_factors=again.user_factors, item_factors=again.item_factors)
        files.save_json(
            "train.json",
            {
                "recipe": recipe.to_json(),
                "warm": warm,
                "iterations": candidate.iterations,
                "interactions": len(train),
                **device,
            },
        )
    return {
        "warm": warm,
        "iterations": candidate.iterations,
        "factors": recipe.factors,
        "users": int(np.count_nonzero(candidate.user_factors.any(axis=1))),
        "items": int(np.count_nonzero(candidate.knows_items())),
    }
