"""What a search may change: bounds that follow the data, and points that are recipes and back."""

import numpy as np
import pytest

from recjobs.core.recipe import Recipe
from recjobs.core.search.space import Space, space_of
from tests.unit.worlds import interactions

WIDE = [(user, item, ago) for user in range(30) for item, ago in enumerate(range(0, 100, 4))]
PAST = interactions(WIDE)
KINDS = (("purchase", 5.0), ("return", -2.0), ("view", 1.0))


def ranges(space):
    return {one.name: one for one in space.ranges}


def test_factors_are_never_more_than_rows():
    assert ranges(space_of(PAST, [Recipe(factors=8)]))["factors"].high == 25
    tiny = ranges(space_of(interactions([(0, 0, 1), (1, 1, 9)]), [Recipe(factors=1)]))["factors"]
    assert (tiny.low, tiny.high) == (1, 2)


def test_a_half_life_is_searched_where_times_say_something():
    assert "half_life_days" in ranges(space_of(PAST, [Recipe()]))
    at_once = interactions([(user, item, 5) for user, item, _ in WIDE])
    assert "half_life_days" not in ranges(space_of(at_once, [Recipe()]))


def test_own_items_are_searched_where_lists_may_hold_them():
    assert "own_frequency" not in ranges(space_of(PAST, [Recipe()]))
    space = space_of(PAST, [Recipe()], repeats=True)
    assert {"own_frequency", "own_half_life_days"} <= set(ranges(space))
    recipe = Recipe(own_frequency=0.5, own_half_life_days=30.0)
    assert space.recipe(space.params(recipe)) == recipe
    assert space.recipe({**space.params(recipe), "own_frequency": -0.05}).own_frequency == 0


def test_weights_are_searched_where_they_differ():
    weighted = interactions([(*row, 1.0 + row[0]) for row in WIDE])
    assert space_of(PAST, [Recipe()]).scales == ()
    assert set(space_of(weighted, [Recipe()]).scales) == {"one", "linear", "log"}
    assert "weight_cap" not in ranges(space_of(PAST, [Recipe()]))
    assert "weight_cap" in ranges(space_of(weighted, [Recipe()]))
    assert "weight_cap" in ranges(space_of(interactions(WIDE * 2), [Recipe()]))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(alpha=0.01, regularization=9000.0, factors=3, half_life_days=5000.0, weight_cap=900.0),
        Recipe(blend=0.9, frequency_scaling=0.5, weight_scale="log", half_life_days=14.0, weight_cap=2.0),
    ],
)
def test_the_bounds_are_wide_enough_for_what_the_search_begins_with(recipe):
    weighted = interactions([(*row, 1.0 + row[0]) for row in WIDE])
    space = space_of(weighted, [Recipe(iterations=7), recipe])
    found = space.recipe(space.params(recipe))
    assert found == Recipe(**{**vars(recipe), "iterations": 7})
    for one in space.ranges:
        assert one.low <= space.params(recipe)[one.name] <= one.high


def test_nothing_is_a_value_too():
    space = space_of(interactions(WIDE * 2), [Recipe()])
    middle = space.params(Recipe(half_life_days=10.0, weight_cap=3.0))
    assert space.recipe(middle).half_life_days == 10
    none = space.recipe({**middle, "half_life_days": 399.0, "weight_cap": 99.0, "blend": -0.05})
    assert (none.half_life_days, none.weight_cap, none.blend) == (None, None, 0)


def test_kinds_keep_their_sign_and_the_heaviest_its_weight():
    space = space_of(PAST, [Recipe(kinds=KINDS)])
    found = space.recipe({**space.params(space.base), "kinds.view": 0.5, "kinds.return": 3.0})
    assert dict(found.kinds) == {"purchase": 5.0, "return": -3.0, "view": 0.5}
    assert "kinds.purchase" not in ranges(space)


def test_a_champion_that_knew_other_kinds_can_be_tried():
    space = space_of(PAST, [Recipe(kinds=KINDS), Recipe()])
    assert space.params(Recipe())["kinds.view"] == 1.0


def test_a_space_is_stored_as_json():
    space = space_of(interactions(WIDE * 2), [Recipe(kinds=KINDS)])
    assert Space.from_json(space.to_json()) == space


def test_a_recipe_is_nearer_to_what_differs_less():
    space = space_of(interactions([(*row, 1.0 + row[0]) for row in WIDE]), [Recipe()])
    half, double, other = Recipe(alpha=10.0), Recipe(alpha=40.0), Recipe(alpha=10.0, weight_scale="log")
    assert space.distance(Recipe(), Recipe()) == 0
    assert space.distance(Recipe(), half) == pytest.approx(space.distance(Recipe(), double), rel=1e-6)
    assert 0 < space.distance(Recipe(), half) < space.distance(Recipe(), other) < 1


def test_a_recipe_near_another_differs_in_some_numbers_a_little_and_stays_in_the_space():
    space = space_of(PAST, [Recipe(factors=8)], repeats=True)
    for recipe in (Recipe(factors=8, blend=0.3), Recipe(factors=25, alpha=200.0), Recipe(factors=16, alpha=0.5)):
        near = [space.near(recipe, np.random.default_rng(seed)) for seed in range(200)]
        assert np.mean([one != recipe for one in near]) > 0.8  # a number at its bound may be moved beyond it
        assert all(space.recipe(space.params(one)) == one for one in near)
        distances = [space.distance(recipe, one) for one in near]
        assert 0.005 < np.mean(distances) < 0.03
        assert max(distances) < 0.1
        here, params = space.params(recipe), [space.params(one) for one in near]
        moved = np.array([[of[name] != here[name] for name in here] for of in params])
        assert 0.2 < moved.mean() < 0.7
        alphas = [one.alpha for one in near]
        assert (min(alphas) < recipe.alpha, max(alphas) > recipe.alpha) == (recipe.alpha > 0.5, recipe.alpha < 200)
