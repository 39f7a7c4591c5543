"""Recipes that were good on other data: a search tries them before it draws any of its own.

What is best depends on the shape of the data, and a search of minutes that begins from one recipe seldom leaves its
neighbourhood. docs/decisions/0069 has where each comes from.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import Interactions
from recjobs.core.search.space import Space

PER_ROW, CONSTANT = 0.003, 0.001
"""Regularization, times the geometric mean of the numbers of users and items: with a frequency_scaling of 1 PER_ROW, as
lambda x (interactions of the row + rows / alpha) has it (Rendle et al., RecSys 2022); with 0 CONSTANT x alpha."""
_PLAIN = {"frequency_scaling": 0.0, "blend": 0.0, "random_walk": 0.0}
_BY_ROW: dict[str, Any] = {"alpha": 20.0, "frequency_scaling": 1.0}
WIDE: dict[str, Any] = {"factors": 192, **_BY_ROW, "blend": 0.5, "random_walk": 0.6}
"""Three generators at once: not the best lists, but what a second stage orders best (docs/decisions/0096)."""
RECIPES: tuple[dict[str, Any], ...] = (
    {"factors": 64, **_BY_ROW, "blend": 0.5, "random_walk": 0.6},
    {"factors": 64, **_PLAIN, "alpha": 10.0, "blend": 0.3},
    {"factors": 64, **_PLAIN, "alpha": 5.0, "half_life_days": 14.0},
    {"factors": 64, **_PLAIN, "alpha": 5.0, "half_life_days": 60.0, "blend": 0.3},
    {"factors": 128, **_PLAIN, "alpha": 20.0, "blend": 0.2, "random_walk": 0.4},
    {"factors": 128, **_PLAIN, "alpha": 5.0, "regularization": 5.0, "frequency_scaling": 0.5, "blend": 0.3},
    {"factors": 128, **_PLAIN, "alpha": 5.0, "regularization": 50.0, "blend": 0.3},
    WIDE,
    {"factors": 256, **_BY_ROW, "blend": 0.2, "random_walk": 0.0},
)
"""What each sets of the recipe that a search begins with; `regularization`, where it is missing, follows from the size
of the data."""


def portfolio(space: Space, past: Interactions, first: Recipe, *, repeats: bool = False) -> list[Recipe]:
    """The recipes to try after the known ones, few factors first: `first` with item neighbours, where lists may hold
    items that the user had before (`repeats`) also with own items, then those of RECIPES that the data allows."""
    has_ages = any(one.name == "half_life_days" for one in space.ranges)
    starts: list[dict[str, Any]] = [{"blend": 0.3}]
    if repeats:
        starts = [{"own_frequency": 0.5}, {"own_frequency": 0.5, "blend": 0.3}, *starts]
    fitting = [recipe for recipe in RECIPES if has_ages or "half_life_days" not in recipe]
    others = [_on(past, first, recipe) for recipe in fitting]
    if repeats:
        others = [replace(recipe, own_frequency=0.5) for recipe in others]
    recipes = [space.recipe(space.params(one)) for one in [*(replace(first, **start) for start in starts), *others]]
    return list(dict.fromkeys(sorted(recipes, key=lambda recipe: recipe.factors)))


def wide(past: Interactions, first: Recipe) -> Recipe:
    """`first` with WIDE, as far as the data allows."""
    factors = max(1, min(WIDE["factors"], past.n_users, past.n_items))
    return _on(past, first, {**WIDE, "factors": factors})


def _on(past: Interactions, first: Recipe, recipe: dict[str, Any]) -> Recipe:
    size = float(np.sqrt(past.n_users * past.n_items))
    regularization = size * (PER_ROW if recipe["frequency_scaling"] else CONSTANT * recipe["alpha"])
    return replace(first, **{"regularization": regularization, **recipe})
