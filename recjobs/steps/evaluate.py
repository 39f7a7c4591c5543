"""Ask the candidate, the champion, item neighbours and popularity about the same unseen interactions."""

from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.core.evaluation import integrity
from recjobs.core.evaluation.exam import VIEWS, Answer, Contestant, Rows, answer, exam, measure, with_neighbours
from recjobs.core.evaluation.gate import segments_by_activity
from recjobs.core.evaluation.side_by_side import kept_lists
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.errors import ModelUnreadable
from recjobs.night.night import Night


def run(night: Night) -> dict[str, float | int]:
    """Write each metric of each model and view with its interval, and of each holdout user; and what speaks against
    the candidate's factors, whatever their metrics."""
    train = night.train()
    holdout = night.holdout()
    now = microseconds(night.cutoff().at)
    candidate, found = _candidate(night, train, holdout)
    contestants = [with_neighbours(asked, train, now, night.threads) for asked in _contestants(night, candidate)]

    rows: Rows = []
    smallest: dict[str, int] = {}
    with night.writing("evaluate") as files:
        for view in dict.fromkeys((*VIEWS, night.view)):
            questions = exam(train, holdout, view, night.request.seed, now=now, after_days=night.after_days)
            activity = np.bincount(train.user_idx, minlength=train.n_users)[questions.users]
            segments = segments_by_activity(activity)
            answers = [answer(contestant, train, now, questions, night.threads) for contestant in contestants]
            rows += measure(answers, view, train, segments, night.request.seed)
            columns: dict[str, np.ndarray] = {"user_idx": questions.users.astype(np.int32)}
            for given in answers:
                columns |= {f"{given.name}.{metric}": values for metric, values in given.per_user.items()}
            columns |= {f"is_{name}": mask for name, mask in segments.items()}
            files.save_table(f"{view}.parquet", pa.table(columns))
            if view == night.view:
                files.save_table("lists.parquet", kept_lists(questions, {given.name: given.lists for given in answers}))
                share = _popular_share(answers, activity > 0, train.n_items)
                if "trace" in found:  # else its rows are at fault already, and all lists are the popular ones
                    found |= {"popular": share, "defect": integrity.defect_of_lists(share) or found["defect"]}
            smallest[view] = len(questions.users)
        files.save_json("evaluation.json", {"metrics": [_finite(row) for row in rows], "users": smallest})
        files.save_json("integrity.json", found)
    deciding = {
        r["model"]: r["value"]
        for r in rows
        if (r["segment"], r["view"], r["metric"]) == ("all", night.view, "ndcg_at_20")
    }
    return {
        "users": smallest[night.view],
        **{f"ndcg_at_20.{k}": round(v, 5) for k, v in deciding.items() if np.isfinite(v)},
    }


def _candidate(night: Night, train: Interactions, holdout: Interactions) -> tuple[np.ndarray, dict[str, Any]]:
    """(item factors to ask, what was found out about them). One whose rows cannot be told apart knows no item."""
    recipe, sides = night.catalog.recipe, (night.ids("users"), night.ids("items"))
    unknown = np.zeros((len(sides[1]), recipe.factors), np.float32)
    try:
        model = night.candidate()
    except ModelUnreadable as error:
        return unknown, {"defect": str(error)}
    if defect := integrity.defect_of_rows(model, *sides, train, recipe):
        return unknown, {"defect": defect}
    now, as_of = microseconds(night.cutoff().at), microseconds(night.request.as_of)
    trace, defect = integrity.defect_of_fit(
        model.factors, train, holdout, recipe, now=now, as_of=as_of, seed=night.request.seed
    )
    return model.factors.item_factors, {"defect": defect, "trace": trace.to_json()}


def _popular_share(answers: list[Answer], known: np.ndarray, n_items: int) -> float | None:
    lists = {given.name: given.lists[known] for given in answers}
    return integrity.popular_share(lists["candidate"], [lists["popularity_30d"], lists["popularity_all"]], n_items)


def _contestants(night: Night, candidate: np.ndarray) -> list[Contestant]:
    found = [Contestant("candidate", candidate, night.catalog.recipe)]
    champion = night.request.champion
    if champion:
        recipe = Recipe.from_json(champion.recipe)
        if champion.data_cutoff <= night.cutoff().at:
            found.append(Contestant("champion", night.aligned_champion().item_factors, recipe))
        elif recipe == night.catalog.recipe:
            found.append(Contestant("champion", found[0].item_factors, recipe))
        else:
            again = night.champion_recipe_factors()
            found.append(Contestant("champion", np.nan_to_num(again.item_factors), recipe))
    return [
        *found,
        Contestant("neighbours", None, night.catalog.recipe),
        Contestant("popularity_30d", None, None, 30),
        Contestant("popularity_all", None, None, None),
    ]


def _finite(row: dict[str, object]) -> dict[str, object]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
