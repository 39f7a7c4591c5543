"""The portfolio: recipes that were good elsewhere, fitted to the data, the cheap ones first."""

from dataclasses import replace

import pytest

from recjobs.core.recipe import Recipe
from recjobs.core.search.portfolio import CONSTANT, PER_ROW, RECIPES, portfolio
from recjobs.core.search.space import space_of
from tests.unit.worlds import interactions

PAST = interactions([(user, item, ago) for user in range(30) for item, ago in enumerate(range(0, 100, 4))], 300, 300)
AT_ONCE = interactions([(user, item, 5) for user in range(30) for item in range(25)], 300, 300)
FIRST = Recipe(factors=32, alpha=7.0, weight_scale="one")


def of(past, first=FIRST, **options):
    return portfolio(space_of(past, [first], **options), past, first, **options)


def test_few_factors_come_first_and_nothing_comes_twice():
    recipes = of(PAST)
    factors = [recipe.factors for recipe in recipes]
    assert factors == sorted(factors)
    assert len(set(recipes)) == len(recipes) == len(RECIPES) + 1
    assert recipes[0] == replace(FIRST, blend=0.3)


def test_every_recipe_is_one_that_the_search_could_reach():
    space = space_of(PAST, [FIRST])
    assert all(space.recipe(space.params(recipe)) == recipe for recipe in of(PAST))


def test_the_fixed_blend_is_in_it_with_regularization_by_size():
    (fixed,) = (recipe for recipe in of(PAST) if (recipe.factors, recipe.alpha) == (192, 20))
    assert (fixed.blend, fixed.random_walk, fixed.frequency_scaling) == (0.5, 0.6, 1)
    assert fixed.regularization == pytest.approx(PER_ROW * 300, rel=1e-2)
    (constant,) = (recipe for recipe in of(PAST) if (recipe.factors, recipe.alpha) == (64, 10))
    assert constant.regularization == pytest.approx(CONSTANT * 10 * 300, rel=1e-2)


def test_without_ages_no_recipe_has_a_half_life():
    assert any(recipe.half_life_days for recipe in of(PAST))
    assert not any(recipe.half_life_days for recipe in of(AT_ONCE))


def test_own_items_where_lists_may_hold_them():
    assert not any(recipe.own_frequency for recipe in of(PAST))
    assert all(recipe.own_frequency or recipe == replace(FIRST, blend=0.3) for recipe in of(PAST, repeats=True))


def test_factors_fit_the_data():
    tiny = interactions([(user, item, 1 + item) for user in range(9) for item in range(8)])
    assert max(recipe.factors for recipe in of(tiny, replace(FIRST, factors=4))) == 8
