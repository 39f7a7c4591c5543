"""One trial of a search: which recipe, how good it is, and when to stop it."""

from collections.abc import Callable, Sequence

from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search import search
from recjobs.core.search.folds import Fold
from recjobs.core.search.search import Trial
from recjobs.core.search.space import Space


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
    """Run trial `number`, after the finished ones; None if the search was over before its end.

    is_over: whether the search's time is up, asked at each look; None: no time limit, and no pruning.
    """
    hopeless = search.hopeless(space, finished)

    def give_up(look: int, value: float) -> bool:
        if is_over is None:
            return False
        if is_over():
            raise _Over
        return hopeless(look, value)

    recipe = search.propose(space, known, finished, number, seed)
    try:
        return search.attempt(space, recipe, folds, seed, Engine(threads), give_up, number)
    except _Over:
        return None


class _Over(Exception):
    """The search's time is up."""
