"""One trial of a search: which recipe, how good it is, and when to stop it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search import search
from recjobs.core.search.attempt import attempt
from recjobs.core.search.folds import Fold
from recjobs.core.search.search import Trial
from recjobs.core.search.space import Space
from recjobs.core.search.variants import variants_near, variants_of


def run_trial(
    space: Space,
    known: Sequence[Recipe],
    folds: Sequence[Fold],
    finished: Sequence[Trial],
    number: int,
    *,
    seed: int,
    threads: int,
    is_over: Callable[[], bool] | None,
) -> Trial | None:
    """Run trial `number`, after the finished ones, with the variants of its recipe, the best of all in front.

    None if the search was over before its end.

    is_over: whether the search's time is up, asked at each look; None: no time limit, no pruning,
    and the recipe stays in front.
    """
    hopeless = search.hopeless(space, finished)

    def give_up(look: int, value: float) -> bool:
        if is_over is None:
            return False
        if is_over():
            raise _Over
        return hopeless(look, value)

    recipe = search.propose(space, known, finished, number, seed)
    near, engine = search.refines(known, finished, number), Engine(threads)
    variants = variants_near(space, recipe) if near else variants_of(space, recipe)
    try:
        # A preview cannot tell a recipe from the best one nearby.
        trial = attempt(space, recipe, folds, seed, engine, give_up, number, variants, may_preview=not near)
    except _Over:
        return None
    trial = replace(trial, near=near)
    return trial if is_over is None else trial.led_by_best(space)


class _Over(Exception):
    """The search's time is up."""
