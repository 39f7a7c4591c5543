"""Evaluate candidate, champion and baselines on the holdout, by the lists that would have been served, and choose which
list each group of users gets; measure what the live batch's lists were worth since they went live."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.core.evaluation import integrity
from recjobs.core.evaluation.as_served import contest
from recjobs.core.evaluation.exam import VIEWS, Rows, exam, measure
from recjobs.core.evaluation.side_by_side import kept_lists
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.maker import Model, Past
from recjobs.core.lists.popularity import WINDOWS
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.errors import ModelUnreadable
from recjobs.night.night import Night
from recjobs.night.worth import measure_worth


def run(night: Night) -> dict[str, float | int]:
    """Write the metrics of each model and view with intervals, and by user; the list choices; and the result of the
    integrity checks of the candidate."""
    train, holdout, seed = night.train(), night.holdout(), night.request.seed
    past = Past(train, microseconds(night.cutoff().at), night.engine)
    known = night.known_at_cutoff(train)
    candidate, findings = _candidate(night, train, holdout)
    models, baselines = _models(night, candidate), {"neighbours": Model(None, night.catalog.recipe)}

    rows: dict[str, Rows] = {}
    n_users: dict[str, int] = {}
    choices: dict[str, ListChoice] | None = None
    with night.writing("evaluate") as files:
        for view in dict.fromkeys((night.catalog.view, *VIEWS)):  # the deciding view first: list choices come from it
            questions = exam(train, holdout, view, seed, now=past.now, after_days=night.catalog.after_days)
            outcome = contest(past, known, questions, models, baselines, seed, choices)
            answers, choices = outcome.answers, outcome.choices
            activity = past.activity[questions.users]
            answered = answers["candidate"].n_model > 0
            segments = choices["candidate"].groups(activity) | {"model": answered, "ladder": ~answered}
            rows[view] = measure(list(answers.values()), view, train, segments, seed)
            columns: dict[str, np.ndarray] = {"user_idx": questions.users.astype(np.int32)}
            for answer in answers.values():
                columns |= {f"{answer.name}.{metric}": values for metric, values in answer.per_user.items()}
            columns |= {f"is_{name}": mask for name, mask in segments.items()}
            files.save_table(f"{view}.parquet", pa.table(columns))
            if view == night.catalog.view:
                files.save_table("lists.parquet", kept_lists(questions, {n: one.lists for n, one in answers.items()}))
                popular = [answers[window].lists[answered] for window in WINDOWS]
                share = integrity.popular_share(answers["candidate"].lists[answered], popular, train.n_items)
                if "trace" in findings:  # else its rows are invalid, and all its lists are popular ones
                    findings |= {"popular": share, "defect": integrity.defect_of_lists(share) or findings["defect"]}
            n_users[view] = len(questions.users)
        metrics = [_finite(row) for view in dict.fromkeys((*VIEWS, night.catalog.view)) for row in rows[view]]
        lists = {name: asdict(choice) for name, choice in (choices or {}).items()}
        files.save_json("evaluation.json", {"metrics": metrics, "users": n_users, "lists": lists})
        files.save_json("integrity.json", findings)
        live = measure_worth(night)
        files.save_json("worth.json", live)
    deciding = (row for row in rows[night.catalog.view] if (row["segment"], row["metric"]) == ("all", "ndcg_at_20"))
    ndcg = {f"ndcg_at_20.{row['model']}": round(row["value"], 5) for row in deciding if np.isfinite(row["value"])}
    return {"users": n_users[night.catalog.view], **ndcg, **_worth(night, live)}


def _candidate(night: Night, train: Interactions, holdout: Interactions) -> tuple[Model, dict[str, Any]]:
    """Return (the candidate, findings of the integrity checks); invalid factors are replaced by zeros."""
    recipe, sides = night.catalog.recipe, (night.ids("users"), night.ids("items"))
    unknown = Model(np.zeros((len(sides[1]), recipe.factors), np.float32), recipe)
    try:
        model = night.candidate()
    except ModelUnreadable as error:
        return unknown, {"defect": str(error)}
    if defect := integrity.defect_of_rows(model, *sides, train, recipe):
        return unknown, {"defect": defect}
    now, as_of = microseconds(night.cutoff().at), night.now
    trace, defect = integrity.defect_of_fit(
        model.factors, train, holdout, recipe, now=now, as_of=as_of, seed=night.request.seed
    )
    candidate = Model(model.factors.item_factors, recipe, model.ranker)
    return candidate, {"defect": defect, "trace": trace.to_json()}


def _models(night: Night, candidate: Model) -> dict[str, Model]:
    models = {"candidate": candidate}
    if champion := night.request.champion:
        recipe = Recipe.from_json(champion.recipe)
        if champion.data_cutoff <= night.cutoff().at:
            models["champion"] = Model(night.aligned_champion().item_factors, recipe, night.champion_model().ranker)
        elif recipe == night.catalog.recipe:
            models["champion"] = candidate
        else:
            factors, ranker = night.champion_recipe_fit()
            models["champion"] = Model(np.nan_to_num(factors.item_factors), recipe, ranker)
    return models


def _worth(night: Night, live: dict[str, Any]) -> dict[str, float]:
    return {
        f"worth.{row['model']}.{row['metric'].removeprefix('hit_share_at_')}": round(row["value"], 5)
        for row in live.get("rows", [])
        if (row["view"], row["segment"]) == (night.catalog.view, "all") and row["metric"].startswith("hit_share_at_")
    }


def _finite(row: dict[str, object]) -> dict[str, object]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
