"""The preview of a trial: few factors, iterations and users, before it costs what a whole one does.

All interactions count in it. A tenth of the users would be cheaper and says little: what is best for a tenth of the
data is not what is best for all (docs/decisions/0069).
"""

from collections.abc import Sequence
from dataclasses import replace

from recjobs.core.recipe import Recipe
from recjobs.core.search.folds import Fold

LOOK = 1
"""Its place among a trial's looks: before all others."""
ROWS = 100_000
"""Interactions of the first fold below which there is none: whole trials take little time."""
FACTORS, ITERATIONS, USERS = 64, 4, 500
"""At most."""
KEPT = 100 / 3
"""Percentage of the trials that go on: the best so far (successive halving, asynchronous: Li et al., MLSys 2020)."""
COMPARED = 3
"""Trials with a preview before one is compared."""


def is_worth_it(folds: Sequence[Fold]) -> bool:
    """Whether trials on these folds begin with a preview."""
    return len(folds[0].train) >= ROWS


def preview_of(recipe: Recipe) -> Recipe:
    """The recipe by which a trial's is judged in its preview."""
    return replace(recipe, factors=min(recipe.factors, FACTORS), iterations=min(recipe.iterations, ITERATIONS))
