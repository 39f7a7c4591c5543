"""The search: known recipes first, then better ones; hopeless ones end early; trials may come from any process."""

import json

import numpy as np
import pytest

from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search import preview
from recjobs.core.search.attempt import attempt
from recjobs.core.search.folds import folds
from recjobs.core.search.search import FOLD, Trial, best, chosen, hopeless, importance, propose, refines, spent
from recjobs.core.search.space import space_of
from recjobs.core.search.trials import run_trial
from recjobs.core.search.variants import variants_of
from tests.unit.worlds import NOW, interactions

SOUND = Recipe(factors=4, alpha=10, regularization=1, iterations=6)
ABSURD = Recipe(factors=1, alpha=0.5, regularization=1, iterations=6)  # one number cannot tell two tastes apart


def two_tastes():
    """60 users of two tastes take 9 of their 15 items, one every four days."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(60):
        own = rng.permutation(15)[:9] * 2 + user % 2
        rows += [(user, item, 1 + 4 * place + rng.uniform()) for place, item in enumerate(own)]
    return interactions(rows, 60, 30)


@pytest.fixture(scope="module")
def world():
    past = two_tastes()
    return space_of(past, [SOUND, ABSURD]), folds(past, NOW, 10, "discovery", 1)


def never(look, value):
    return False


def trial(space, number, recipe, value, state="complete", looks=None, **clock):
    return Trial(
        number, recipe, space.params(recipe), state, value, looks or {2: value, FOLD: value}, (value,), **clock
    )


def test_a_sound_recipe_is_worth_more_than_an_absurd_one(world):
    space, held_out = world
    sound, absurd = (attempt(space, recipe, held_out, 1, Engine(), never) for recipe in (SOUND, ABSURD))
    assert len(held_out) == 2
    assert sound.state == absurd.state == "complete"
    assert sound.value == pytest.approx(np.mean(sound.folds))
    assert sound.value > 1.2 * absurd.value
    assert set(sound.looks) <= {2, 4, FOLD, 2 * FOLD}
    assert (sound.looks[FOLD], sound.looks[2 * FOLD]) == (sound.folds[0], sound.value)


def test_the_same_recipe_is_worth_the_same_again(world):
    space, held_out = world
    first, second = (attempt(space, SOUND, held_out, 1, Engine(), never, number) for number in (3, 4))
    assert (first.value, first.looks) == (second.value, second.looks)


def test_an_attempt_ends_where_it_is_given_up(world):
    space, held_out = world
    asked = []

    def at_the_first_look(look, value):
        asked.append(look)
        return True

    given_up = attempt(space, SOUND, held_out, 1, Engine(), at_the_first_look)
    assert asked == [2]
    assert given_up.state == "pruned"
    assert given_up.folds == ()
    assert given_up.value == given_up.looks[2] > 0


def test_the_second_fold_is_spared_a_hopeless_recipe(world):
    space, held_out = world
    given_up = attempt(space, SOUND, held_out, 1, Engine(), lambda look, value: look == FOLD)
    assert (given_up.state, len(given_up.folds)) == ("pruned", 1)


def test_a_recipe_whose_factors_are_unusable_is_worth_nothing(world):
    space, held_out = world
    broken = attempt(space, Recipe(factors=4, alpha=1e39, regularization=1e-30), held_out, 1, Engine(), never)
    assert (broken.state, broken.value) == ("failed", 0)
    assert broken.defect


def test_the_known_recipes_come_first(world):
    space, _ = world
    assert [propose(space, [SOUND, ABSURD], [], n, 1) for n in (0, 1)] == [SOUND, ABSURD]
    assert propose(space, [SOUND, ABSURD], [], 2, 1) not in (SOUND, ABSURD)


def made(space, n):
    """n trials whose value falls with the distance of alpha from 3."""
    trials = []
    for number in range(n):
        recipe = propose(space, [SOUND], trials, number, 1)
        value, near = float(1 / (1 + abs(np.log(recipe.alpha / 3)))), refines([SOUND], trials, number)
        trials.append(trial(space, number, recipe, value, near=near))
    return trials


def test_a_proposal_hangs_on_the_finished_trials_alone(world):
    space, _ = world
    trials = made(space, 14)
    again = [Trial.from_json(json.loads(json.dumps(one.to_json()))) for one in reversed(trials)]
    assert propose(space, [SOUND], trials, 14, 1) == propose(space, [SOUND], again, 14, 1)
    assert propose(space, [SOUND], trials, 14, 1) != propose(space, [SOUND], trials, 15, 1)
    assert propose(space, [SOUND], trials, 14, 1) != propose(space, [SOUND], trials[:-1], 14, 1)


def test_it_learns(world):
    space, _ = world
    trials = made(space, 50)
    distance = [abs(np.log(one.recipe.alpha / 3)) for one in trials]
    assert np.median(distance[-15:]) < 0.5 * np.median(distance[1:12])
    weighed = importance(space, trials)
    assert max(weighed, key=lambda name: weighed[name]) == "alpha"
    assert sum(weighed.values()) == pytest.approx(1)
    assert importance(space, trials[:5]) == {}


def test_every_other_proposal_is_near_the_best_and_is_not_previewed(world, monkeypatch):
    space, held_out = world
    trials = made(space, 20)
    top = best(trials).recipe
    near, drawn = ([propose(space, [SOUND], trials, n, 1) for n in range(first, 60, 2)] for first in (21, 20))
    assert max(space.distance(top, one) for one in near) < np.median([space.distance(top, one) for one in drawn])
    monkeypatch.setattr(preview, "ROWS", 1)
    drawn, near = (
        [run_trial(space, [SOUND], held_out, trials, n, seed=1, threads=1, is_over=lambda: False) for n in numbers]
        for numbers in ((20, 22, 24), (21, 23, 25))
    )
    assert any(preview.LOOK in one.looks for one in drawn)
    assert not any(preview.LOOK in one.looks for one in near)
    assert [one.near for one in (*drawn, *near)] == 3 * [False] + 3 * [True]
    assert not any(refines([SOUND] * 30, trials, n) for n in range(30)), "the known ones come first"


def test_what_lies_far_behind_the_best_is_hopeless_once_it_had_four_iterations(world):
    space, _ = world
    give_up = hopeless(space, [trial(space, 0, SOUND, 0.1, looks={2: 0.08, 4: 0.1, FOLD: 0.1})])
    assert not give_up(2, 0.01)
    assert not give_up(4, 0.09)
    assert give_up(4, 0.08)
    assert not hopeless(space, [])(4, 0.001)


def test_at_the_end_of_a_fold_less_than_that_is_hopeless(world):
    space, _ = world
    give_up = hopeless(space, [trial(space, 0, SOUND, 0.1, looks={2: 0.08, FOLD: 0.1})])
    assert not give_up(FOLD, 0.096)
    assert give_up(FOLD, 0.094)


def test_what_lies_below_the_median_is_hopeless_once_five_are_complete(world):
    space, _ = world
    complete = [trial(space, n, SOUND, 0.1 + n / 1000) for n in range(5)]
    assert not hopeless(space, complete[:4])(2, 0.1)
    assert hopeless(space, complete)(2, 0.101)
    assert not hopeless(space, complete)(2, 0.103)
    pruned = [trial(space, 5 + n, SOUND, 0.2, "pruned") for n in range(9)]
    assert not hopeless(space, complete + pruned)(2, 0.103), "what was given up is no measure"


def test_the_best_is_complete_and_of_equals_the_first(world):
    space, _ = world
    trials = [trial(space, n, SOUND, value) for n, value in enumerate((0.1, 0.2, 0.2))]
    assert best([*trials, trial(space, 3, SOUND, 0.9, "pruned")]).number == 1
    assert best([]) is None


def previewed(space, number, value, state="pruned"):
    return trial(space, number, SOUND, value, state, looks={preview.LOOK: value})


def test_of_the_previews_the_best_third_goes_on_and_those_given_up_count(world):
    space, _ = world
    trials = [previewed(space, n, 0.1 + n / 100, "complete" if n % 3 else "pruned") for n in range(9)]
    assert hopeless(space, trials)(preview.LOOK, 0.15)
    assert not hopeless(space, trials)(preview.LOOK, 0.16)
    assert not hopeless(space, trials[:2])(preview.LOOK, 0.01), "two tell nothing"


def test_a_preview_comes_first_where_there_is_much_data_and_costs_few_factors(world, monkeypatch):
    space, held_out = world
    monkeypatch.setattr(preview, "ROWS", len(held_out[0].train))
    given_up = attempt(space, SOUND, held_out, 1, Engine(), lambda look, value: True)
    assert (given_up.state, set(given_up.looks), given_up.folds) == ("pruned", {preview.LOOK}, ())
    assert given_up.value == given_up.looks[preview.LOOK] > 0
    assert preview.preview_of(Recipe(factors=256, alpha=3)) == Recipe(factors=64, alpha=3, iterations=4)
    monkeypatch.setattr(preview, "ROWS", len(held_out[0].train) + 1)
    assert preview.LOOK not in attempt(space, SOUND, held_out, 1, Engine(), never).looks


def test_stopping_early_keeps_the_best_of_all(world, monkeypatch):
    space, held_out = world
    monkeypatch.setattr(preview, "ROWS", 1)
    recipes = [
        Recipe(factors=factors, alpha=alpha, regularization=regularization, iterations=6)
        for factors in (1, 2, 4, 8) for alpha in (0.5, 10) for regularization in (1, 30)
    ]  # fmt: skip
    whole = [
        attempt(space, recipe, held_out, 1, Engine(), never, n, variants_of(space, recipe)).led_by_best(space)
        for n, recipe in enumerate(recipes)
    ]
    stopped: list[Trial] = []
    for number in range(len(recipes)):
        one = run_trial(space, recipes, held_out, stopped, number, seed=1, threads=1, is_over=lambda: False)
        stopped.append(one)
    given_up = [one for one in stopped if one.state == "pruned"]
    assert len(given_up) >= len(recipes) / 4
    assert best(stopped).value == best(whole).value


def of_folds(space, number, recipe, *values):
    return Trial(number, recipe, space.params(recipe), "complete", float(np.mean(values)), {}, values)


def test_what_cannot_be_told_from_the_best_is_as_good_and_the_nearest_to_what_is_known_counts(world):
    space, _ = world
    near, far = Recipe(factors=4, alpha=12, regularization=1, iterations=6), Recipe(factors=30, alpha=90)
    lucky = of_folds(space, 2, far, 0.13, 0.10, 0.11, 0.10)
    worse = of_folds(space, 0, SOUND, 0.09, 0.09, 0.10, 0.09)
    as_good = of_folds(space, 1, near, 0.11, 0.11, 0.11, 0.10)
    assert best([worse, as_good, lucky]) is lucky
    assert chosen(space, [SOUND], [worse, as_good, lucky]) is as_good
    assert chosen(space, [SOUND], [worse, lucky]) is lucky
    known = of_folds(space, 3, SOUND, 0.12, 0.10, 0.11, 0.10)
    assert chosen(space, [SOUND], [known, as_good, lucky]) is known, "then there is nothing to change"
    assert chosen(space, [SOUND], []) is None


def test_a_better_one_is_chosen_however_far_it_lies(world):
    space, _ = world
    known, better = of_folds(space, 0, SOUND, 0.10, 0.11, 0.12), of_folds(space, 1, ABSURD, 0.12, 0.12, 0.14)
    assert chosen(space, [SOUND], [known, better]) is better


def test_two_folds_cannot_tell_luck(world):
    space, _ = world
    known, better = of_folds(space, 0, SOUND, 0.10, 0.11), of_folds(space, 1, ABSURD, 0.13, 0.09)
    assert chosen(space, [SOUND], [known, better]) is better if better.value > known.value else known


def test_time_in_which_several_trials_ran_counts_once(world):
    space, _ = world
    times = [(100, 10), (105, 10), (106, 2), (200, 5)]
    trials = [trial(space, n, SOUND, 0.1, began_at=at, seconds=took) for n, (at, took) in enumerate(times)]
    assert spent(trials) == 20
    assert spent([]) == 0


@pytest.mark.parametrize(("is_over", "state"), [(None, "complete"), (lambda: False, "complete"), (lambda: True, None)])
def test_a_trial_ends_when_its_search_is_over_unless_it_must_come_to_its_end(world, is_over, state):
    space, held_out = world
    made = run_trial(space, [SOUND], held_out, [], 0, seed=1, threads=1, is_over=is_over)
    assert (made and made.state) == state
