"""A search for a recipe in one process, within a time limit, without stored trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.core.search import search
from recjobs.core.search.attempt import attempt
from recjobs.core.search.folds import ASKED, Fold, before, folds, random_fold
from recjobs.core.search.portfolio import portfolio
from recjobs.core.search.search import Trial
from recjobs.core.search.space import Space, space_of
from recjobs.core.search.trials import run_trial

HELD_OUT_DAYS, HELD_OUT_SHARE = 30.0, 0.2
"""By time, the last days are held out; of a short history that share of it."""
FINALS, FITS, OF_FIT = 0.1, 6, 4
"""Share of the time in which all users are asked about the best recipes: at most OF_FIT of each of FITS fits."""
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

    Tries `first` first, so the result is never worse there; runs until the time is up. Trials ask ASKED users of a
    fold; where there are more, all of them are asked about the best recipes in the end, as the highest of a thousand
    values is partly luck. None: nothing can be asked.
    """
    began, end = clock(), int(train.occurred_at.max(initial=0)) + 1
    past = before(train, end)
    span = float(np.ptp(past.occurred_at)) / DAY if has_times and len(past) else 0.0
    days = round(min(HELD_OUT_DAYS, HELD_OUT_SHARE * span), 1)
    everybody = folds(past, end, days, "discovery", seed) if days else random_fold(past, "discovery", seed)
    if not everybody:
        return None
    asked = [fold.asking(ASKED, seed) for fold in everybody]
    has_finals = asked != everybody
    until = began + seconds * (1 - FINALS if has_finals else 1)
    space = space_of(past, [first])
    known = list(dict.fromkeys([first, *portfolio(space, past, first)]))
    trials: list[Trial] = []
    while clock() < until or not trials:
        is_over = (lambda: clock() >= until) if trials else None
        trial = run_trial(space, known, asked, trials, len(trials), seed=seed, threads=threads, is_over=is_over)
        if trial is None:
            break
        trials.append(trial)
        told(trials)
    best = search.best(search.judged(space, trials))
    if has_finals:
        best = _best_of_all_users(space, trials, everybody, seed, threads, lambda: clock() - began >= seconds) or best
    return SearchResult(
        best.recipe if best else first,
        trials,
        "; ".join(f"{fold.name}, {fold.questions.users.size:,} users" for fold in asked),
    )


def _best_of_all_users(
    space: Space, trials: Sequence[Trial], folds: Sequence[Fold], seed: int, threads: int, is_over: Callable[[], bool]
) -> Trial | None:
    """The best of the finalists by the answers of all users; None if the time is over before it is known of one. One
    that is running then does not count."""
    complete = [trial for trial in trials if trial.state == "complete"]
    finals: list[Trial] = []
    for trial in sorted(complete, key=lambda trial: -trial.value)[:FITS]:
        if is_over():
            break
        top, *others = (one.recipe for one in sorted(trial.judged(space), key=lambda one: -one.value)[:OF_FIT])
        final = attempt(
            space, top, folds, seed, Engine(threads), lambda *_: is_over(), trial.number, others, may_preview=False
        )
        finals += final.judged(space)
    return search.best(finals)
