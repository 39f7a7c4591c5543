"""Compare two recipes on past dates: each is fit on what came before, and evaluated on what came afterwards."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from recjobs.catalog.file import Catalog
from recjobs.catalog.recipes import recipe_of
from recjobs.core.evaluation.as_served import contest
from recjobs.core.evaluation.bootstrap import Interval, geometric_mean_difference, relative_difference
from recjobs.core.evaluation.exam import VIEWS, exam
from recjobs.core.lists.maker import Model, Past
from recjobs.core.lists.popularity import DEFAULT_WINDOW
from recjobs.core.model.ranker import Ranker
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.core.search.second_stage import train_ranker
from recjobs.errors import DataRefused, Misuse
from recjobs.night.night import Night, database, registry

SIDES = ("a", "b")
CONTESTANTS = (*SIDES, DEFAULT_WINDOW, "neighbours")


def run(catalog: Catalog, names: Sequence[str], nights: Iterator[tuple[str, str]]) -> dict[str, Any]:
    """Fit and evaluate two recipes on each night's split; differences are of the second against the first.

    names: each `catalog`, `champion`, `challenger`, a file, or `factors=32,alpha=5`. nights: date and batch of each,
    already split. Leaves an MLflow run, and under it one of each date and recipe. Raises Misuse for an unknown recipe.
    """
    since = time.monotonic()
    stored = {
        "catalog": lambda: catalog.recipe,
        "champion": lambda: _in_database(catalog, "champion", "`recjobs night` makes the first"),
        "challenger": lambda: _in_database(catalog, "challengers", "`recjobs tune` finds one", as_of=datetime.now(UTC)),
    }
    recipes = {side: recipe_of(catalog, name, stored) for side, name in zip(SIDES, names, strict=True)}
    runs = registry(catalog)
    parent = runs.start(f"compare {names[0]} with {names[1]}", {"recipe_a": names[0], "recipe_b": names[1]})
    dates: list[_Date] = []
    for date, batch_id in nights:
        night = Night.open(catalog, batch_id)
        dates.append(_date(date, night, recipes))
        result = dates[-1].result
        for side, name in zip(SIDES, names, strict=True):
            # the tag is not called batch_id: a night finds its own run by that
            run_id = runs.start(f"{date} {name}", {"side": side, "night": batch_id}, parent)
            metrics = {f"{view}.ndcg_at_20": of[side] for view, of in result["views"].items() if of[side] is not None}
            params = {**recipes[side].to_json(), "seed": night.request.seed}
            params |= {key: result[key] for key in ("as_of", "cutoff")}
            runs.log(run_id, params=params, metrics=metrics | {"seconds": result["seconds"][side]}, tags={})
            runs.finish(run_id)
    overall = {view: _overall(dates, view, catalog.seed) for view in dates[0].ndcg}
    runs.log(parent, params={}, metrics=_flat(overall), tags={})
    runs.finish(parent)
    return {
        "catalog": catalog.name,
        "names": dict(zip(SIDES, names, strict=True)),
        "recipes": {side: recipe.to_json() for side, recipe in recipes.items()},
        "dates": [date.result for date in dates],
        "overall": overall,
        "view": Night.open(catalog, dates[0].result["batch_id"]).catalog.view,
        "seconds": time.monotonic() - since,
        "mlflow_run": parent,
    }


def _in_database(catalog: Catalog, query: str, hint: str, **parameters: Any) -> Recipe:
    with database(catalog, "publisher").connect() as session:
        row = session.row(query, **parameters)
    if row is None:
        raise Misuse(f"catalog {catalog.name}: there is no {query.removesuffix('s')} yet; {hint}")
    return Recipe.from_json(row["recipe"])


@dataclass(frozen=True)
class _Date:
    """The result of one date, and NDCG@20 of each user by view and contestant."""

    result: dict[str, Any]
    ndcg: dict[str, dict[str, np.ndarray]]


def _date(date: str, night: Night, recipes: dict[str, Recipe]) -> _Date:
    train, holdout = night.train(), night.holdout()
    now, seed = microseconds(night.cutoff().at), night.request.seed
    if not len(train):
        raise DataRefused(f"{date}: nothing to learn from before {night.cutoff().at:%Y-%m-%d}; say a later date")
    past, known = Past(train, now, night.engine), night.known_at_cutoff(train)
    engine = night.fitting_engine()
    models, seconds = dict[str, Model](), dict[str, float]()
    for side, recipe in recipes.items():
        began = time.monotonic()
        if models and recipe == recipes["a"]:  # a second fit with several threads would differ slightly
            models[side] = models["a"]
        else:
            factors = engine.fit(past.confidence(recipe), recipe, seed)
            ranker = _ranker(night, train, now, recipe) if recipe.rerank else None
            models[side] = Model(np.nan_to_num(factors.item_factors), recipe, ranker)
        seconds[side] = time.monotonic() - began
    baselines = {"neighbours": Model(None, night.catalog.recipe)}
    views, ndcg, choices = dict[str, Any](), dict[str, dict[str, np.ndarray]](), None
    for view in dict.fromkeys((night.catalog.view, *VIEWS)):
        questions = exam(train, holdout, view, seed, now=now, after_days=night.catalog.after_days)
        outcome = contest(past, known, questions, models, baselines, seed, choices)
        choices = outcome.choices
        ndcg[view] = {name: outcome.answers[name].per_user["ndcg"] for name in CONTESTANTS}
        views[view] = {"users": questions.users.size, **_values(ndcg[view], seed)}
    result = {
        "date": date,
        "as_of": night.request.as_of.isoformat(),
        "batch_id": night.batch_id,
        "cutoff": night.cutoff().at.isoformat(),
        "seconds": seconds,
        "views": views,
    }
    return _Date(result, ndcg)


def _ranker(night: Night, train: Interactions, now: int, recipe: Recipe) -> Ranker | None:
    return train_ranker(
        train,
        now,
        recipe,
        night.fitting_engine(),
        view=night.catalog.view,
        holdout_days=night.catalog.holdout_days,
        seed=night.request.seed,
        after_days=night.catalog.after_days,
    ).ranker


def _values(ndcg: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """The mean of each contestant and the relative difference of b against a; None without users."""
    if not ndcg["a"].size:
        return {**dict.fromkeys(CONTESTANTS), "difference": None}
    means = {name: float(values.mean()) for name, values in ndcg.items()}
    return {**means, "difference": _finite(relative_difference(ndcg["b"], ndcg["a"], seed))}


def _overall(dates: Sequence[_Date], view: str, seed: int) -> dict[str, Any]:
    """Geometric means over the dates with users."""
    per_date = [date.ndcg[view] for date in dates if date.ndcg[view]["a"].size]
    if not per_date:
        return {**dict.fromkeys(CONTESTANTS), "difference": None, "dates": 0}
    with np.errstate(divide="ignore"):  # a mean of 0 makes all of it 0
        means = {name: float(np.exp(np.mean([np.log(ndcg[name].mean()) for ndcg in per_date]))) for name in CONTESTANTS}
    difference = geometric_mean_difference([(ndcg["b"], ndcg["a"]) for ndcg in per_date], seed)
    return {**means, "difference": _finite(difference), "dates": len(per_date)}


def _finite(interval: Interval) -> dict[str, float | None]:
    return {key: value if np.isfinite(value) else None for key, value in vars(interval).items()}


def _flat(overall: dict[str, Any]) -> dict[str, float]:
    """The numbers of `overall` by dotted names, for MLflow."""
    flat = dict[str, Any]()
    for view, of in overall.items():
        flat |= {f"{view}.{name}": value for name, value in of.items()}
        flat |= {f"{view}.difference.{name}": value for name, value in (of["difference"] or {}).items()}
    return {name: float(value) for name, value in flat.items() if isinstance(value, int | float)}
