"""A search for a better recipe: which to try next, and how good one is. Optuna's TPE proposes; nothing is stored.

Akiba et al., "Optuna", KDD 2019; Watanabe, "Tree-structured Parzen estimator", arXiv 2304.11127. The study is rebuilt
from the finished trials each time, so that trials may come from any number of processes.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from recjobs.core.evaluation.bootstrap import DECIMALS
from recjobs.core.recipe import Recipe
from recjobs.core.search import preview
from recjobs.core.search.space import Range, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)

LOOKS = (2, 4, 8)
"""Iterations of the first fold after which a trial may be pruned."""
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
class Variant:
    """A recipe that was judged by another one's fit, and its NDCG@20 on each fold."""

    recipe: Recipe
    folds: tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried, with those that share its fit.

    state: complete; pruned (hopeless: value is what it had reached); failed (its factors are unusable).
    value: mean NDCG@20 over the folds. looks: NDCG@20 in the preview, by iteration of the first fold, and at each
    fold's end, of the best recipe that shares the fit. began_at, seconds: the clock's. variants: the other recipes that
    were judged by this fit, if it is complete. near: whether its recipe was one near the best, see `refines`.
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
    variants: tuple[Variant, ...] = ()
    near: bool = False

    def judged(self, space: Space) -> "list[Trial]":
        """A trial for each recipe that was judged on all folds, this one first; only itself if it is not complete."""
        others = [(one.recipe, one.folds) for one in self.variants]
        return [self, *(self._of(space, recipe, folds) for recipe, folds in others)]

    def led_by_best(self, space: Space) -> "Trial":
        """The same trial, with the best of its recipes in front."""
        top = best(self.judged(space)) or self
        if top is self:
            return self
        variants = [one for one in self.variants if one.recipe != top.recipe]
        return replace(top, variants=(Variant(self.recipe, self.folds), *variants))

    def _of(self, space: Space, recipe: Recipe, folds: tuple[float, ...]) -> "Trial":
        value, params = float(np.mean(folds)), space.params(recipe)
        return replace(self, recipe=recipe, params=params, value=value, folds=folds, variants=())

    @property
    def state_text(self) -> str:
        """The state, for people."""
        return {"complete": "", "pruned": "given up"}.get(self.state, f"unusable: {self.defect}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        variants = [{"recipe": one.recipe.to_json(), "folds": list(one.folds)} for one in self.variants]
        return {**asdict(self), "recipe": self.recipe.to_json(), "folds": list(self.folds), "variants": variants}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Trial":
        """The inverse of `to_json`."""
        looks = {int(at): value for at, value in stored["looks"].items()}
        recipe, variants = (
            Recipe.from_json(stored["recipe"]),
            tuple(Variant(Recipe.from_json(one["recipe"]), tuple(one["folds"])) for one in stored.get("variants", [])),
        )
        typed = {"recipe": recipe, "looks": looks, "folds": tuple(stored["folds"]), "variants": variants}
        return cls(**{**stored, **typed})


def propose(space: Space, known: Sequence[Recipe], trials: Sequence[Trial], number: int, seed: int) -> Recipe:
    """The recipe of trial `number`: the known ones first, then by turns what TPE draws and one near the best so far:
    TPE finds the region, and is slow to find the best place in it.

    known: at least one. The same finished trials, number and seed give the same recipe.
    """
    if number < len(known):
        return known[number]
    rng, leader = np.random.default_rng([seed, number]), best(trials)
    if leader and refines(known, trials, number):
        return space.near(leader.recipe, rng)
    params = study_of(space, trials, int(rng.integers(2**32))).ask(_distributions(space)).params
    if len(trials) < AT_RANDOM:
        kept = space.params(leader.recipe if leader else known[0])
        params = {name: kept[name] if rng.random() < 0.5 else value for name, value in params.items()}
    return space.recipe(params)


def refines(known: Sequence[Recipe], trials: Sequence[Trial], number: int) -> bool:
    """Whether trial `number` is of a recipe near the best one so far."""
    return number >= max(len(known), AT_RANDOM) and number % 2 == 1 and best(trials) is not None


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


def judged(space: Space, trials: Sequence[Trial]) -> list[Trial]:
    """A trial for each recipe of these trials."""
    return [one for trial in trials for one in trial.judged(space)]


def best(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the highest value, of equals the earliest; None before any."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: (round(trial.value, DECIMALS), -trial.number)) if complete else None


def chosen(space: Space, known: Sequence[Recipe], trials: Sequence[Trial]) -> Trial | None:
    """The trial to go on with: of those that cannot be told from the best, the nearest to a known recipe.

    The highest of a hundred values is partly luck. A trial is as good if its mean shortfall by fold is not above the
    standard error (Breiman et al. 1984, the 1 SE rule); with fewer than three folds only the best is.
    """
    trials = judged(space, trials)
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
    most first, adding up to 1; empty with fewer than 2 * COMPARED complete trials. Those near the best do not count:
    what all of them have would seem to decide."""
    complete = [trial for trial in trials if trial.state == "complete" and not trial.near]
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


def spent(trials: Sequence[Trial]) -> float:
    """Seconds in which at least one trial ran; trials of parallel processes count once."""
    total, until = 0.0, float("-inf")
    for trial in sorted(trials, key=lambda trial: trial.began_at):
        end = trial.began_at + trial.seconds
        total += max(0.0, end - max(until, trial.began_at))
        until = max(until, end)
    return total
