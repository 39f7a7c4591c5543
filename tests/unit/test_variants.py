"""Recipes that share a fit are judged by it, in one pass, as each would be alone."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import generate
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search import variants
from recjobs.core.search.attempt import attempt
from recjobs.core.search.folds import random_fold
from recjobs.core.search.search import Trial, Variant, best, chosen, judged
from recjobs.core.search.space import space_of
from recjobs.core.search.trials import run_trial
from recjobs.core.search.variants import variants_near, variants_of

RECIPE = Recipe(factors=8, alpha=10, regularization=5, iterations=2)
NONE_ENDS = {"is_over": lambda: False}


def never(look, value):
    return False


def world(view, n_items=1500, n_asked=120):
    past = generate.interactions(600, n_items, 15_000, spread=2.0)
    return space_of(past, [RECIPE], repeats=view == "repeats"), [random_fold(past, view, 1)[0].asking(n_asked, 1)]


@pytest.mark.parametrize("few", [variants.CANDIDATES, 25, 1])
@pytest.mark.parametrize("view", ["discovery", "repeats"])
def test_each_is_worth_what_it_is_worth_alone(view, few, monkeypatch):
    monkeypatch.setattr(variants, "CANDIDATES", few)  # with few, most lists are made of all items
    space, held_out = world(view)
    recipe = replace(RECIPE, blend=0.35, random_walk=0.7, own_frequency=0.4 if view == "repeats" else 0.0)
    others = variants_of(space, recipe)[:: 5 if view == "repeats" else 3]
    trial = attempt(space, recipe, held_out, 1, Engine(), never, variants=others)
    alone = [attempt(space, one, held_out, 1, Engine(), never).folds for one in (recipe, *others)]
    assert len(set(alone)) > len(alone) / 2
    together = [trial.folds, *(one.folds for one in trial.variants)]
    np.testing.assert_allclose(together, alone, atol=1e-9)


def test_so_it_is_in_a_small_catalog_and_for_users_whom_the_model_does_not_know():
    space, held_out = world("discovery", n_items=40)
    [fold] = held_out
    unknown = np.isin(fold.train.user_idx, fold.questions.users[:20])
    held_out = [replace(fold, train=fold.train.where(~unknown))]
    others = variants_of(space, RECIPE)
    trial = attempt(space, RECIPE, held_out, 1, Engine(), never, variants=others)
    alone = [attempt(space, one, held_out, 1, Engine(), never).folds for one in others]
    np.testing.assert_allclose([one.folds for one in trial.variants], alone, atol=1e-9)


def test_they_differ_in_nothing_that_a_fit_depends_on():
    space, _ = world("repeats")
    others = variants_of(space, RECIPE)
    assert len(others) == len(set(others)) == 47
    assert RECIPE not in others
    assert {replace(one, blend=0.0, random_walk=0.0, own_frequency=0.0) for one in others} == {RECIPE}
    assert len(variants_of(world("discovery")[0], RECIPE)) == 15
    assert variants_of(space, replace(RECIPE, blend=1.0)) == []


def test_near_the_best_only_mixtures_like_its_own_are_judged():
    for view, n in (("discovery", 8), ("repeats", 26)):
        space, _ = world(view)
        recipe = replace(RECIPE, blend=0.35, random_walk=0.95, own_frequency=0.05 if view == "repeats" else 0.0)
        others = variants_near(space, recipe)
        assert len(others) == n
        for name, expected in (("blend", {0.25, 0.35, 0.45}), ("random_walk", {0.85, 0.95, 1.0})):
            assert {getattr(one, name) for one in (recipe, *others)} == expected
        assert {replace(one, blend=0.0, random_walk=0.0, own_frequency=0.0) for one in others} == {RECIPE}
    assert variants_near(space, replace(RECIPE, blend=1.0)) == []
    assert max(one.blend for one in variants_near(space_of_all_blends(), replace(RECIPE, blend=0.99))) == 0.95


def space_of_all_blends():
    past = generate.interactions(60, 40, 600, spread=2.0)
    return space_of(past, [replace(RECIPE, blend=1.0)])


def test_a_trial_is_led_by_the_best_of_its_recipes_unless_the_search_began_with_it():
    space, held_out = world("discovery")
    first, later = (
        run_trial(space, [RECIPE], held_out, [], 0, seed=1, threads=1, is_over=is_over)
        for is_over in (None, NONE_ENDS["is_over"])
    )
    assert first.recipe == RECIPE
    every = first.judged(space)
    assert [one.recipe for one in every] == [RECIPE, *variants_of(space, RECIPE)]
    assert later.recipe == best(every).recipe != RECIPE
    assert later.value == max(one.value for one in every) > 1.02 * first.value
    assert {one.recipe for one in later.judged(space)} == {one.recipe for one in every}
    assert later.looks == first.looks


def test_a_pruned_trial_has_judged_nothing_and_is_worth_what_its_best_recipe_reached():
    space, held_out = world("discovery")
    asked = []
    recipe = replace(RECIPE, iterations=5)
    trial = attempt(
        space,
        recipe,
        held_out,
        1,
        Engine(),
        lambda look, value: asked.append(value) or True,
        variants=variants_of(space, recipe),
    )
    assert (trial.state, trial.variants, asked) == ("pruned", (), [trial.value])
    assert trial.judged(space) == [trial]


def test_the_recipe_that_is_chosen_may_be_any_that_was_judged():
    space, _ = world("discovery")
    blended = replace(RECIPE, blend=0.3)
    trial = Trial(
        0, RECIPE, space.params(RECIPE), "complete", 0.1, {}, (0.1, 0.1), variants=(Variant(blended, (0.2, 0.4)),)
    )
    top = chosen(space, [RECIPE], [trial])
    assert (top.recipe, top.value, top.folds) == (blended, pytest.approx(0.3), (0.2, 0.4))
    again = Trial.from_json(json.loads(json.dumps(trial.to_json())))
    assert again == trial
    assert judged(space, [again])[1] == top
    stored = trial.to_json()
    del stored["variants"]
    assert Trial.from_json(stored).variants == (), "of an earlier study"
