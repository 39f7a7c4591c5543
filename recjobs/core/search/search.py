"""A search for a better recipe: which to try next, and how good one is. Optuna's TPE proposes; nothing is stored.

Akiba et al., "Optuna", KDD 2019; Watanabe, "Tree-structured Parzen estimator", arXiv 2304.11127. The study is rebuilt
from the finished trials each time, so that trials may come from any number of processes.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from recjobs.core.evaluation.bootstrap import DECIMALS
from recjobs.core.evaluation.exam import answer
from recjobs.core.lists.maker import ListMaker, Model
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search import preview
from recjobs.core.search.folds import Fold
from recjobs.core.search.space import Range, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)

LOOKS = (2, 4, 8)
"""Iterations of the first fold after which a trial may be pruned."""
LOOKED_AT = 1000
"""Users asked at such a look."""
FOLD = 1000
"""The look at the end of a fold: of the first FOLD, of the second 2 * FOLD, ...; then it is the mean of all so far."""
AT_RANDOM = 10
"""Trials before TPE begins to learn. They change about half of the best recipe's parameters: where every number is
random, one bad one spoils the rest."""
COMPARED = 5
"""Complete trials before one below their median is hopeless."""
FAR_BEHIND, BEHIND = 0.85, 0.95
"""A trial below this share of the best one's value is hopeless: FAR_BEHIND from 4 iterations on, BEHIND at the end of
a fold."""

GiveUp = Callable[[int, float], bool]
"""(look, NDCG@20 so far) -> whether to prune the trial."""


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried.

    state: complete; pruned (hopeless: value is what it had reached); failed (its factors are unusable).
    value: mean NDCG@20 over the folds. looks: NDCG@20 in the preview, by iteration of the first fold, and at each
    fold's end. began_at, seconds: the clock's.
    """

    number: int
    recipe: Recipe
    params: dict[str, Any]
    state: str
    value: float
    looks: dict[int, float]
    folds: tuple[float, ...]
    defect: str | None = None
    began_at: float = 0.0
    seconds: float = 0.0

    @property
    def state_text(self) -> str:
        """The state, for people."""
        return {"complete": "", "pruned": "given up"}.get(self.state, f"unusable: {self.defect}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "recipe": self.recipe.to_json(), "folds": list(self.folds)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Trial":
        """The inverse of `to_json`."""
        looks = {int(at): value for at, value in stored["looks"].items()}
        recipe = Recipe.from_json(stored["recipe"])
        return cls(**{**stored, "recipe": recipe, "looks": looks, "folds": tuple(stored["folds"])})


def propose(space: Space, known: Sequence[Recipe], trials: Sequence[Trial], number: int, seed: int) -> Recipe:
    """The recipe of trial `number`: the known ones first, then the most promising by the finished trials.

    known: at least one. The same finished trials, number and seed give the same recipe.
    """
    if number < len(known):
        return known[number]
    rng = np.random.default_rng([seed, number])
    params = study_of(space, trials, int(rng.integers(2**32))).ask(_distributions(space)).params
    if len(trials) < AT_RANDOM:
        kept = space.params(leader.recipe if (leader := best(trials)) else known[0])
        params = {name: kept[name] if rng.random() < 0.5 else value for name, value in params.items()}
    return space.recipe(params)


def hopeless(space: Space, trials: Sequence[Trial]) -> GiveUp:
    """A pruner: is a trial not among the best of all in the preview; later, is it far behind the best one, or below the
    median of all complete ones, at the same look?"""
    study, ahead = study_of(space, trials, 0), best(trials)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=COMPARED, n_min_trials=COMPARED)
    looks: dict[int, float] = {}

    def judge(look: int, value: float) -> bool:
        if look == preview.LOOK:
            return _falls_behind(space, trials, value)
        looks[look] = value
        share = BEHIND if look >= FOLD else FAR_BEHIND
        if ahead and look > LOOKS[0] and value < share * ahead.looks.get(look, 0):
            return True
        running = optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values=dict(looks))
        return bool(pruner.prune(study, running))

    return judge


def _falls_behind(space: Space, trials: Sequence[Trial], value: float) -> bool:
    """Whether a preview's value is not among the best of all. Trials that were given up count too: all were asked
    alike."""
    look = preview.LOOK
    asked = [replace(t, state="complete", looks={look: t.looks[look]}) for t in trials if look in t.looks]
    n = preview.COMPARED
    pruner = optuna.pruners.PercentilePruner(preview.KEPT, n_startup_trials=n, n_min_trials=n)
    running = optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values={look: value})
    return bool(pruner.prune(study_of(space, asked, 0), running))


def attempt(
    space: Space, recipe: Recipe, folds: Sequence[Fold], seed: int, engine: Engine, give_up: GiveUp, number: int = 0
) -> Trial:
    """Fit a recipe to each fold, first as a preview where that pays, and evaluate it as the gate will; prune it where
    `give_up` returns true.

    Exceptions of give_up end the attempt.
    """
    looks: dict[int, float] = {}
    values: list[float] = []

    def ended(state: str, defect: str | None = None) -> Trial:
        reached = values or [*looks.values()][-1:]
        value = float(np.mean(reached)) if defect is None and reached else 0.0
        return Trial(number, recipe, space.params(recipe), state, value, looks, tuple(values), defect)

    if preview.is_worth_it(folds):
        first, reduced = folds[0], preview.preview_of(recipe)
        factors = engine.fit(first.past(reduced, engine).confidence(reduced), reduced, seed)
        value = 0.0 if factors.defect() else _ndcg(first, reduced, engine, factors.item_factors, preview.USERS)
        looks[preview.LOOK] = value
        if give_up(preview.LOOK, value):
            return ended("pruned")
    for index, fold in enumerate(folds):
        confidence = fold.past(recipe, engine).confidence(recipe)
        ndcg = partial(_ndcg, fold, recipe, engine)

        def watch(iteration: int, _: np.ndarray, items: np.ndarray, ndcg: partial[float] = ndcg) -> None:
            if iteration in LOOKS and iteration < recipe.iterations and np.isfinite(items).all():
                looks[iteration] = ndcg(items, most=LOOKED_AT)
                if give_up(iteration, looks[iteration]):
                    raise _Hopeless

        try:
            factors = engine.fit(confidence, recipe, seed, watch=None if index else watch)
        except _Hopeless:
            return ended("pruned")
        if defect := factors.defect():
            return ended("failed", defect)
        values.append(ndcg(factors.item_factors))
        look = FOLD * len(values)
        looks[look] = float(np.mean(values))
        if len(values) < len(folds) and give_up(look, looks[look]):
            return ended("pruned")
    return ended("complete")


def _ndcg(fold: Fold, recipe: Recipe, engine: Engine, item_factors: np.ndarray, most: int | None = None) -> float:
    """NDCG@20 of item factors in the deciding view, of at most `most` users at equal distances."""
    factors, questions = np.where(fold.known.eligible[:, None], item_factors, np.float32(0)), fold.questions
    if most:
        questions = questions.rows(np.arange(0, questions.users.size, -(-questions.users.size // most)))
    maker = ListMaker(fold.past(recipe, engine), fold.known, Model(factors, recipe), questions.kept_out)
    return float(np.mean(answer("trial", maker, questions).per_user["ndcg"]))


def best(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the highest value, of equals the earliest; None before any."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: (round(trial.value, DECIMALS), -trial.number)) if complete else None


def chosen(space: Space, known: Sequence[Recipe], trials: Sequence[Trial]) -> Trial | None:
    """The trial to go on with: of those that cannot be told from the best, the nearest to a known recipe.

    The highest of a hundred values is partly luck. A trial is as good if its mean shortfall by fold is not above the
    standard error (Breiman et al. 1984, the 1 SE rule); with fewer than three folds only the best is.
    """
    top = best(trials)
    if top is None or len(top.folds) < 3:
        return top

    def as_good(trial: Trial) -> bool:
        lacks = np.subtract(top.folds, trial.folds)
        return bool(lacks.mean() <= lacks.std(ddof=1) / np.sqrt(lacks.size))

    def how_far(trial: Trial) -> tuple[float, int]:
        return min(space.distance(trial.recipe, recipe) for recipe in known), trial.number

    return min((trial for trial in trials if trial.state == "complete" and as_good(trial)), key=how_far)


def study_of(space: Space, trials: Sequence[Trial], seed: int) -> optuna.Study:
    """An Optuna study in memory that knows the finished trials."""
    with warnings.catch_warnings(action="ignore"):  # multivariate is called experimental
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=AT_RANDOM)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(_frozen(space, trial) for trial in sorted(trials, key=lambda trial: trial.number))
    return study


def importance(space: Space, trials: Sequence[Trial]) -> dict[str, float]:
    """How much each parameter decides whether a trial is among the best tenth (PED-ANOVA, Watanabe et al., IJCAI 2023),
    most first, adding up to 1; empty with fewer than 2 * COMPARED complete trials."""
    complete = [trial for trial in trials if trial.state == "complete"]
    if len(complete) < 2 * COMPARED:
        return {}
    return optuna.importance.get_param_importances(study_of(space, complete, 0))


def _frozen(space: Space, trial: Trial) -> FrozenTrial:
    pruned = trial.state == "pruned"
    return optuna.trial.create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=None if pruned else trial.value,
        params=trial.params,
        distributions=_distributions(space),
        intermediate_values=trial.looks,
    )


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    def of(one: Range) -> BaseDistribution:
        if one.whole:
            return IntDistribution(int(one.low), int(one.high), log=one.log)
        return FloatDistribution(one.low, one.high, log=one.log)

    numbers = {one.name: of(one) for one in space.ranges}
    return numbers | ({"weight_scale": CategoricalDistribution(space.scales)} if space.scales else {})


class _Hopeless(Exception):
    """The trial is pruned."""


def spent(trials: Sequence[Trial]) -> float:
    """Seconds in which at least one trial ran; trials of parallel processes count once."""
    total, until = 0.0, float("-inf")
    for trial in sorted(trials, key=lambda trial: trial.began_at):
        end = trial.began_at + trial.seconds
        total += max(0.0, end - max(until, trial.began_at))
        until = max(until, end)
    return total
