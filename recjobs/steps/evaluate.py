"""Evaluate candidate, champion and baselines on the holdout, by the lists that would have been served, and choose which
list each group of users gets; measure what lists of items and the live batch's lists were worth."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.adapters import machine
from recjobs.core.evaluation import integrity
from recjobs.core.evaluation.as_served import contest
from recjobs.core.evaluation.confidence import short_lists
from recjobs.core.evaluation.exam import VIEWS, Answer, Exam, K, Rows, exam, measure_views
from recjobs.core.evaluation.goods import similar_rows, together_rows
from recjobs.core.evaluation.price import price_rows, rotation_row
from recjobs.core.evaluation.side_by_side import kept_lists, whole_lists
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.one_pass import rank_views
from recjobs.core.lists.popularity import WINDOWS
from recjobs.core.lists.rotation import shown_places
from recjobs.core.lists.together import Baskets
from recjobs.core.model.ranking import Ranked
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions, RowBlocks
from recjobs.errors import ModelUnreadable
from recjobs.night.exposure import rotation_at_cutoff
from recjobs.night.night import Night
from recjobs.night.spark_pairs import user_items_of
from recjobs.night.stored import stored_rows
from recjobs.night.worth import measure_worth

ROWS = "split", "train.parquet"


def run(night: Night) -> dict[str, float | int]:
    """Write the metrics of each model and view with intervals, and by user; the list choices; and the result of the
    integrity checks of the candidate."""
    train, holdout = _train(night), night.holdout()
    now = microseconds(night.cutoff().at)
    with user_items_of(night, *ROWS, train, now) as user_items:
        return _evaluated(night, Past(train, now, night.engine, user_items), holdout)


def _evaluated(night: Night, past: Past, holdout: Interactions) -> dict[str, float | int]:
    train, seed = past.rows, night.request.seed
    known = night.known_at_cutoff(train)
    candidate, check = _candidate(night, train, holdout)
    models, baselines = _models(night, candidate), {"neighbours": Model(None, night.catalog.recipe)}

    measured: dict[str, tuple[list[Answer], dict[str, np.ndarray]]] = {}
    n_users: dict[str, int] = {}
    choices: dict[str, ListChoice] | None = None
    followed: dict[str, ListChoice] = {}
    exams = {  # the deciding view first: list choices come from it
        view: exam(train, holdout, view, seed, now=past.now, after_days=night.catalog.after_days)
        for view in dict.fromkeys((night.catalog.view, *VIEWS))
    }
    machine.give_back_freed()
    with night.writing("evaluate") as files, ThreadPoolExecutor(1) as beside:  # what no list depends on
        checking = beside.submit(check)
        ranked = rank_views(past, known, baselines | _once(models), list(exams.values()), K)
        machine.give_back_freed()
        judging_goods = beside.submit(_goods, night, past, holdout, candidate)
        measuring_worth = beside.submit(measure_worth, night)
        findings = checking.result()
        for (view, questions), of_models in zip(exams.items(), ranked, strict=True):
            outcome = contest(past, known, questions, models, baselines, seed, choices, of_models)
            answers, choices = outcome.answers, outcome.choices
            activity = past.activity[questions.users]
            answered = answers["candidate"].n_model > 0
            segments = choices["candidate"].groups(activity) | {"model": answered, "ladder": ~answered}
            measured[view] = (list(answers.values()), segments)
            columns: dict[str, np.ndarray] = {"user_idx": questions.users.astype(np.int32)}
            for answer in answers.values():
                columns |= {f"{answer.name}.{metric}": values for metric, values in answer.per_user.items()}
            columns |= {f"is_{name}": mask for name, mask in segments.items()}
            files.save_table(f"{view}.parquet", pa.table(columns))
            if view == night.catalog.view:
                served, followed = (answers["candidate"], choices["candidate"]), choices
                prices = price_rows(past, known.without_each_setting(), questions, candidate, *served, seed)
                if after := night.catalog.top_n.rotate_after:
                    maker = ListMaker(past, known, candidate, questions.kept_out, choices["candidate"])
                    top_n, rotation = night.catalog.top_n, rotation_at_cutoff(night, train, questions.users)
                    places = shown_places(top_n.served)
                    prices += rotation_row(maker, questions, rotation, after, top_n.stored, places, seed)
                if confidence := night.catalog.top_n.min_confidence:
                    followed, price = short_lists(
                        past, known, questions, models, night.catalog.recipe, choices, confidence, seed
                    )
                    prices += [price] if price else []
                if prices:
                    files.save_json("prices.json", {"rows": [_finite(row) for row in prices]})
                files.save_table("lists.parquet", kept_lists(questions, {n: one.lists for n, one in answers.items()}))
                popular = [answers[window].lists[answered] for window in WINDOWS]
                share = integrity.popular_share(answers["candidate"].lists[answered], popular, train.n_items)
                if "trace" in findings:  # else its rows are invalid, and all its lists are popular ones
                    findings |= {"popular": share, "defect": integrity.defect_of_lists(share) or findings["defect"]}
            n_users[view] = len(questions.users)
        if "trace" in findings and "candidate" in ranked[-1]:
            lists = _unfiltered(past, known, candidate, exams["repeats"], ranked[list(exams).index("repeats")])
            files.save_table("unfiltered.parquet", lists)
        rows = measure_views(measured, train, seed)
        metrics = [_finite(row) for view in dict.fromkeys((*VIEWS, night.catalog.view)) for row in rows[view]]
        lists = {name: choice.to_json() for name, choice in followed.items()}
        files.save_json("evaluation.json", {"metrics": metrics, "users": n_users, "lists": lists})
        files.save_json("integrity.json", findings)
        files.save_json("goods.json", {"rows": [_finite(row) for row in judging_goods.result()]})
        live = measuring_worth.result()
        files.save_json("worth.json", live)
    deciding = (row for row in rows[night.catalog.view] if (row["segment"], row["metric"]) == ("all", "ndcg_at_20"))
    ndcg = {f"ndcg_at_20.{row['model']}": round(row["value"], 5) for row in deciding if np.isfinite(row["value"])}
    return {"users": n_users[night.catalog.view], **ndcg, **_worth(night, live)}


def _train(night: Night) -> RowBlocks:
    """The interactions before the cutoff. On Spark they are read some at a time, so that the memory of this process
    does not grow with them; here they are held, which takes less time."""
    return stored_rows(night, *ROWS) if night.catalog.engine == "spark" else night.train()


def _candidate(night: Night, train: RowBlocks, holdout: Interactions) -> tuple[Model, Callable[[], dict[str, Any]]]:
    """Return (the candidate, what returns the findings of its integrity checks); invalid factors are replaced by
    zeros."""
    recipe, sides = night.catalog.recipe, (night.ids("users"), night.ids("items"))
    unknown = Model(np.zeros((len(sides[1]), recipe.factors), np.float32), recipe)
    try:
        model = night.candidate()
    except ModelUnreadable as error:
        unreadable = str(error)
        return unknown, lambda: {"defect": unreadable}
    if defect := integrity.defect_of_rows(model, *sides, train, recipe):
        return unknown, lambda: {"defect": defect}

    def of_fit() -> dict[str, Any]:
        now, as_of = microseconds(night.cutoff().at), night.now
        trace, defect = integrity.defect_of_fit(
            model.factors, train, holdout, recipe, now=now, as_of=as_of, seed=night.request.seed
        )
        return {"defect": defect, "trace": trace.to_json()}

    return Model(model.factors.item_factors, recipe, model.ranker), of_fit


def _goods(night: Night, past: Past, holdout: Interactions, candidate: Model) -> Rows:
    """What the lists of items are worth."""
    gap, least, seed = night.catalog.orders.gap, night.catalog.orders.min_orders, night.request.seed
    baskets = Baskets.of(past.rows, past.now, gap)
    machine.give_back_freed()  # what was counted block by block
    rows = together_rows(past, baskets, holdout, seed, gap_minutes=gap, min_orders=least)
    enough = baskets.orders >= least
    del baskets
    return rows + similar_rows(past, enough, holdout, candidate, seed)


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


def _once(models: dict[str, Model]) -> dict[str, Model]:
    """The models without those that are another's factors and recipe, such as a champion of tonight's recipe."""
    distinct = {(id(model.item_factors), model.recipe): name for name, model in reversed(models.items())}
    return {name: models[name] for name in distinct.values()}


def _unfiltered(past: Past, known: Knowledge, candidate: Model, questions: Exam, ranked: dict[str, Ranked]) -> pa.Table:
    """The lists that the refit's are compared with: the candidate's own, with no group's in place of them."""
    maker = ListMaker(past, known.of_everybody, candidate, questions.kept_out)
    lists = maker.finish(ranked["candidate"], questions.users)
    return whole_lists(questions.users, lists.ranked.item_idx)


def _worth(night: Night, live: dict[str, Any]) -> dict[str, float]:
    return {
        f"worth.{row['model']}.{row['metric'].removeprefix('hit_share_at_')}": round(row["value"], 5)
        for row in live.get("rows", [])
        if (row["view"], row["segment"]) == (night.catalog.view, "all") and row["metric"].startswith("hit_share_at_")
    }


def _finite(row: dict[str, object]) -> dict[str, object]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
