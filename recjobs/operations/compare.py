"""Hold two recipes against each other on past dates: each is fit on what was before, and asked what came afterwards."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from recjobs.catalog.file import Catalog
from recjobs.catalog.recipes import recipe_of
from recjobs.config import load_settings
from recjobs.core.evaluation.as_served import contest
from recjobs.core.evaluation.bootstrap import Interval, geometric_mean_difference, relative_difference
from recjobs.core.evaluation.exam import VIEWS, exam
from recjobs.core.lists.maker import Model, Past
from recjobs.core.lists.popularity import DEFAULT_WINDOW
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.errors import DataRefused, Misuse
from recjobs.night.night import Night, database, registry

SIDES = ("a", "b")
BASELINES = (DEFAULT_WINDOW, "neighbours")


def recipes(catalog: Catalog, said: Sequence[str]) -> list[Recipe]:
    """The recipes that are called so: `catalog`, `champion`, `challenger`, a file, or `factors=32,alpha=5`.

    Raises Misuse, or what the database raises when it is asked for a recipe that it keeps.
    """
    kept = {
        "catalog": lambda: catalog.recipe,
        "champion": lambda: _in_database(catalog, "champion", "`recjobs night` makes the first"),
        "challenger": lambda: _in_database(catalog, "challengers", "`recjobs tune` finds one", as_of=datetime.now(UTC)),
    }
    return [recipe_of(catalog, one, kept) for one in said]


def _in_database(catalog: Catalog, query: str, hint: str, **parameters: Any) -> Recipe:
    with database(load_settings(), catalog, "publisher").connect() as session:
        found = session.row(query, **parameters)
    if found is None:
        raise Misuse(f"catalog {catalog.name}: there is no {query.removesuffix('s')} yet; {hint}")
    return Recipe.from_json(found["recipe"])


@dataclass(frozen=True)
class _Date:
    """What came out on one date: the result, and NDCG@20 of each user by view and contestant."""

    result: dict[str, Any]
    ndcg: dict[str, dict[str, np.ndarray]]


def run(
    catalog: Catalog, said: Sequence[str], asked: Sequence[Recipe], nights: Iterator[tuple[str, str]]
) -> dict[str, Any]:
    """Fit and ask both recipes on each night's split; the differences are of the second against the first.

    said: what the recipes are called. nights: date and batch of each; they were split and are not to be published.
    Leaves an MLflow run, and under it one of each date and recipe; writes nothing else.
    """
    since = time.monotonic()
    runs = registry(load_settings(), catalog)
    names = dict(zip(SIDES, said, strict=True))
    kept = {side: recipe.to_json() for side, recipe in zip(SIDES, asked, strict=True)}
    parent = runs.start(f"compare {said[0]} with {said[1]}", {"recipe_a": said[0], "recipe_b": said[1]})
    dates: list[_Date] = []
    for date, batch_id in nights:
        night = Night.open(catalog, batch_id)
        dates.append(_date(date, night, asked))
        result = dates[-1].result
        for side in SIDES:
            # not called batch_id: by that tag a night finds the run of its own
            run_id = runs.start(f"{date} {names[side]}", {"side": side, "night": batch_id}, parent)
            metrics = {f"{view}.ndcg_at_20": of[side] for view, of in result["views"].items() if of[side] is not None}
            params = {**kept[side], "seed": night.request.seed, "as_of": result["as_of"], "cutoff": result["cutoff"]}
            runs.log(run_id, params=params, metrics=metrics | {"seconds": result["seconds"][side]}, tags={})
            runs.finish(run_id)
    overall = {view: _overall(dates, view, catalog.seed) for view in dates[0].ndcg}
    runs.log(parent, params={}, metrics=_flat(overall), tags={})
    runs.finish(parent)
    return {
        "catalog": catalog.name,
        "names": names,
        "recipes": kept,
        "dates": [date.result for date in dates],
        "overall": overall,
        "view": Night.open(catalog, dates[0].result["batch_id"]).view,
        "seconds": time.monotonic() - since,
        "mlflow_run": parent,
    }


def _date(date: str, night: Night, asked: Sequence[Recipe]) -> _Date:
    train, holdout = night.train(), night.holdout()
    now, seed = microseconds(night.cutoff().at), night.request.seed
    if not len(train):
        raise DataRefused(f"{date}: nothing to learn from before {night.cutoff().at:%Y-%m-%d}; say a later date")
    past, known = Past(train, now, night.engine), night.known_at_cutoff(train)
    models, seconds = dict[str, Model](), dict[str, float]()
    for side, recipe in zip(SIDES, asked, strict=True):
        began = time.monotonic()
        if models and recipe == asked[0]:  # several threads would not give the very same factors again
            models[side] = models[SIDES[0]]
        else:
            factors = past.engine.fit(past.confidence(recipe), recipe, seed)
            models[side] = Model(np.nan_to_num(factors.item_factors), recipe)
        seconds[side] = time.monotonic() - began
    baselines = {"neighbours": Model(None, night.catalog.recipe)}
    views, ndcg, choices = dict[str, Any](), dict[str, dict[str, np.ndarray]](), None
    for view in dict.fromkeys((night.view, *VIEWS)):
        questions = exam(train, holdout, view, seed, now=now, after_days=night.after_days)
        outcome = contest(past, known, questions, models, baselines, seed, choices)
        choices = outcome.choices
        ndcg[view] = {name: outcome.answers[name].per_user["ndcg"] for name in (*SIDES, *BASELINES)}
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


def _values(ndcg: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """The mean of each contestant, and the relative difference of the second recipe against the first; None where there
    was nobody to ask."""
    if not ndcg["a"].size:
        return {**dict.fromkeys((*SIDES, *BASELINES)), "difference": None}
    means = {name: float(values.mean()) for name, values in ndcg.items()}
    return {**means, "difference": _finite(relative_difference(ndcg["b"], ndcg["a"], seed))}


def _overall(dates: Sequence[_Date], view: str, seed: int) -> dict[str, Any]:
    """Geometric means over the dates on which somebody was asked."""
    found = [date.ndcg[view] for date in dates if date.ndcg[view]["a"].size]
    if not found:
        return {**dict.fromkeys((*SIDES, *BASELINES)), "difference": None, "dates": 0}
    with np.errstate(divide="ignore"):  # a mean of 0 makes all of it 0
        means = {
            name: float(np.exp(np.mean([np.log(ndcg[name].mean()) for ndcg in found]))) for name in (*SIDES, *BASELINES)
        }
    difference = geometric_mean_difference([(ndcg["b"], ndcg["a"]) for ndcg in found], seed)
    return {**means, "difference": _finite(difference), "dates": len(found)}


def _finite(found: Interval) -> dict[str, float | None]:
    return {key: value if np.isfinite(value) else None for key, value in vars(found).items()}


def _flat(overall: dict[str, Any]) -> dict[str, float]:
    flat = {
        f"{view}.{name}": value
        for view, of in overall.items()
        for name, value in {**of, **{f"difference.{k}": v for k, v in (of["difference"] or {}).items()}}.items()
    }
    return {name: float(value) for name, value in flat.items() if isinstance(value, int | float)}
