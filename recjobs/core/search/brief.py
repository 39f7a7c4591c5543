"""A search for a recipe in one process, within a time limit, without stored trials."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.core.search import search
from recjobs.core.search.folds import ASKED, before, folds, random_fold
from recjobs.core.search.portfolio import portfolio
from recjobs.core.search.search import Trial
from recjobs.core.search.space import space_of
from recjobs.core.search.trials import run_trial

HELD_OUT_DAYS, HELD_OUT_SHARE = 30.0, 0.2
"""By time, the last days are held out; of a short history that share of it."""
Told = Callable[[list[Trial]], None]
"""Is told all trials, after each."""


@dataclass(frozen=True)
class SearchResult:
    """The best recipe, every trial, and what they were asked, in words."""

    recipe: Recipe
    trials: list[Trial]
    asked: str


def brief_search(
    train: Interactions,
    first: Recipe,
    *,
    has_times: bool,
    seconds: float,
    seed: int,
    threads: int,
    clock: Callable[[], float],
    told: Told,
) -> SearchResult | None:
    """The best recipe on a held-out part of train: by time where there are times, else pairs drawn at random.

    Tries `first` first, so the result is never worse there; runs until the time is up. None: nothing can be asked.
    """
    began, end = clock(), int(train.occurred_at.max(initial=0)) + 1
    past = before(train, end)
    span = float(np.ptp(past.occurred_at)) / DAY if has_times and len(past) else 0.0
    days = round(min(HELD_OUT_DAYS, HELD_OUT_SHARE * span), 1)
    asked = folds(past, end, days, "discovery", seed) if days else random_fold(past, "discovery", seed)
    if not asked:
        return None
    asked = [fold.asking(ASKED, seed) for fold in asked]
    space = space_of(past, [first])
    known = list(dict.fromkeys([first, *portfolio(space, past, first)]))
    trials: list[Trial] = []
    while clock() - began < seconds or not trials:
        is_over = (lambda: clock() - began >= seconds) if trials else None
        trial = run_trial(space, known, asked, trials, len(trials), seed=seed, threads=threads, is_over=is_over)
        if trial is None:
            break
        trials.append(trial)
        told(trials)
    best = search.best(search.judged(space, trials))
    return SearchResult(
        best.recipe if best else first,
        trials,
        "; ".join(f"{fold.name}, {fold.questions.users.size:,} users" for fold in asked),
    )
