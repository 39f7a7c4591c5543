"""The page of a study: best value against time, importance of parameters, trials, and the best recipe."""

from typing import Any

import numpy as np

from recjobs.core.search import search
from recjobs.core.search.search import Trial
from recjobs.core.search.space import Space
from recjobs.night.study import Study
from recjobs.reports import plots
from recjobs.reports.page import page

SHOWN = 200
"""Recipes in the table, the best first."""


def study_page(
    study: Study,
    trials: list[Trial],
    best: Trial,
    in_file: float | None,
    stages: dict[str, Any] | None = None,
    *,
    is_challenger: bool,
) -> str:
    """Return the HTML page of a study, without script.

    best: the recipe that is kept. stages: how it compares with and without a second stage; empty: not compared.
    """
    request = study.request
    judged = search.judged(study.space, trials)
    weighed, values = search.importance(study.space, trials), best.recipe.to_json()
    return page(
        "study.html.jinja",
        request=request,
        catalog=request.catalog,
        folds=[(fold.name, len(fold.train), len(fold.questions.users)) for fold in study.folds],
        trials=sorted(judged, key=lambda t: (t.state != "complete", -t.value))[:SHOWN],
        n_trials=len(trials),
        n_recipes=sum(trial.state == "complete" for trial in judged),
        n_judged=len(judged),
        n_complete=sum(trial.state == "complete" for trial in trials),
        minutes=search.spent(trials) / 60,
        best=best,
        top=search.best(judged) or best,
        in_file=in_file,
        stages=stages,
        is_challenger=is_challenger,
        is_known=best.recipe in study.known,
        against_time=_against_time(study.space, trials, in_file),
        importance=plots.shares(list(weighed), list(weighed.values()), "share (%)") if weighed else "",
        names=[*study.space.params(best.recipe)],
        shown=_shown,
        rows=[(key, _shown(old), _shown(values[key])) for key, old in request.catalog.recipe.to_json().items()],
    )


def _against_time(space: Space, trials: list[Trial], in_file: float | None) -> str:
    ended = sorted(trials, key=lambda trial: trial.began_at + trial.seconds)
    minutes = [search.spent(ended[: n + 1]) / 60 for n in range(len(ended))]
    values, complete = (
        [max(one.value for one in trial.judged(space)) for trial in ended],
        [trial.state == "complete" for trial in ended],
    )
    return plots.best_against_time(minutes, values, complete, in_file, "NDCG@20")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{kind} {weight:g}" for kind, weight in value.items()) or "none"
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)
