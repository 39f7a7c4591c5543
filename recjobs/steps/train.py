"""Fit tonight's candidate on the train part, from the champion's factors if those have not seen the holdout,
or from those of the candidate that it was."""

import logging

import numpy as np

from recjobs.adapters import gpu
from recjobs.adapters.statsd import Metrics
from recjobs.core.model.engine import Engine
from recjobs.core.model.stored import StoredModel, ranker_arrays
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.stored_rows import StoredRows
from recjobs.core.search.second_stage import Trained, train_ranker
from recjobs.night.devices import note_device
from recjobs.night.earlier_candidate import earlier_candidate
from recjobs.night.night import Night
from recjobs.night.spark_pairs import user_items_of
from recjobs.night.stored import stored_rows

ROWS = "split", "train.parquet"


def run(night: Night) -> dict[str, int | bool]:
    """Write the candidate: factors and, if the recipe asks for it, the second stage; also those of the champion's
    recipe if it differs and the champion has seen the holdout. Factors may be not finite; the gate refuses those."""
    train = stored_rows(night, *ROWS)
    cutoff = night.cutoff()
    recipe, champion = night.catalog.recipe, night.request.champion
    other = Recipe.from_json(champion.recipe) if champion else recipe
    now = microseconds(cutoff.at)

    start = None
    if champion and champion.data_cutoff <= cutoff.at and other.factors == recipe.factors:
        start = night.aligned_champion()
    elif not night.catalog.has_times:
        start = earlier_candidate(night)
    warm = start is not None
    engine, settings = night.fitting_engine(), night.settings
    metrics = Metrics(settings.statsd_host, settings.statsd_port, night.catalog.name, "train")
    with gpu.gauges(metrics.gauge), user_items_of(night, *ROWS, train, now) as user_items:
        candidate = engine.fit(user_items(recipe), recipe, night.request.seed, start)
    device = note_device(candidate, "the candidate")
    second = _second_stage(night, train, recipe, engine)
    with night.writing("train") as files:
        model = StoredModel(candidate, night.ids("users"), night.ids("items"), second.ranker if second else None)
        files.save_arrays("candidate.npz", **model.to_arrays())
        if champion and champion.data_cutoff > cutoff.at and other != recipe:
            with user_items_of(night, *ROWS, train, now) as user_items:
                again = engine.fit(user_items(other), other, night.request.seed)
            stage = _second_stage(night, train, other, engine)
            factors = {"user_factors": again.user_factors, "item_factors": again.item_factors}
            files.save_arrays("champion_recipe.npz", **factors, **ranker_arrays(stage.ranker if stage else None))
        files.save_json(
            "train.json",
            {
                "recipe": recipe.to_json(),
                "warm": warm,
                "iterations": candidate.iterations,
                "interactions": len(train),
                **device,
                **({"second_stage": second.to_json()} if second else {}),
            },
        )
    return {
        "warm": warm,
        "iterations": candidate.iterations,
        "factors": recipe.factors,
        "users": int(np.count_nonzero(candidate.user_factors.any(axis=1))),
        "items": int(np.count_nonzero(candidate.knows_items())),
        **({"second_stage": second.ranker is not None} if second else {}),
    }


def _second_stage(night: Night, train: StoredRows, recipe: Recipe, engine: Engine) -> Trained | None:
    """The second stage of a recipe, trained before the cutoff; None if the recipe has none."""
    if not recipe.rerank:
        return None
    catalog, end = night.catalog, microseconds(night.cutoff().at)
    trained = train_ranker(
        train.whole(),
        end,
        recipe,
        engine,
        view=catalog.view,
        holdout_days=catalog.holdout_days,
        seed=night.request.seed,
        after_days=catalog.after_days,
    )
    if trained.why_not:
        logging.getLogger(__name__).warning("the lists have no second stage: %s", trained.why_not)
    return trained
