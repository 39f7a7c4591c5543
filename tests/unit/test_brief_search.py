"""A search in one go: within its time, on a part of train that is held out, never worse than where it began."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search import brief
from recjobs.core.search.attempt import attempt
from recjobs.core.search.folds import before, random_fold
from recjobs.core.search.space import space_of
from tests.unit.worlds import interactions

BAD = Recipe(factors=1, alpha=0.5, regularization=1, iterations=3)


def tastes(n_users=60, n_items=40, spread_days=100.0):
    """Users of four tastes with 6 of the 10 items of their own, over some days."""
    rng = np.random.default_rng(3)
    rows = [
        (user, item, rng.uniform(0, spread_days))
        for user in range(n_users)
        for item in rng.choice(np.arange(n_items)[np.arange(n_items) % 4 == user % 4], 6, replace=False)
    ]
    return interactions(sorted(rows), n_users, n_items)


def found(train, *, has_times=False, seconds=200, told=lambda trials: None):
    """The clock says one second more each time it is asked."""
    ticks = itertools.count()
    return brief.brief_search(
        train, BAD, has_times=has_times, seconds=seconds, seed=7, threads=1, clock=lambda: next(ticks), told=told
    )


def test_a_bad_recipe_is_left_behind_and_what_is_told_are_all_trials_so_far():
    told = []
    result = found(tastes(), seconds=60, told=lambda trials: told.append(len(trials)))
    assert result.trials[0].recipe == BAD
    assert told == list(range(1, len(result.trials) + 1))
    best = max(result.trials, key=lambda trial: trial.value if trial.state == "complete" else 0)
    assert result.recipe == best.recipe
    assert best.value > 1.2 * result.trials[0].value
    assert result.asked.startswith("10% of the pairs, at random, ")


def test_the_first_trial_comes_to_its_end_even_when_there_is_no_time():
    result = found(tastes(), seconds=0)
    assert [(trial.state, trial.recipe) for trial in result.trials] == [("complete", BAD)]
    assert replace(result.recipe, blend=0.0, random_walk=0.0) == BAD, "its own recipe or one that shares its fit"


def test_a_trial_that_is_running_when_the_time_is_up_does_not_count():
    # two ticks pass before the second trial begins; from its first look on the time is up
    result = found(tastes(), seconds=3)
    assert [trial.number for trial in result.trials] == [0]


def test_with_times_the_last_days_are_held_out_and_of_a_short_history_a_fifth(monkeypatch):
    monkeypatch.setattr(brief, "HELD_OUT_DAYS", 10.0)
    assert found(tastes(), has_times=True, seconds=0).asked.startswith("the 10 days from ")
    assert found(tastes(spread_days=20), has_times=True, seconds=0).asked.startswith("the 4 days from ")


def test_the_same_seed_draws_the_same_trials():
    first, second = (found(tastes(), seconds=30) for _ in range(2))
    assert [trial.recipe for trial in first.trials] == [trial.recipe for trial in second.trials]


def test_fewer_users_are_asked_where_there_are_many(monkeypatch):
    monkeypatch.setattr(brief, "ASKED", 5)
    assert found(tastes(), seconds=0).asked == "10% of the pairs, at random, 5 users"


def test_in_the_end_all_users_are_asked_about_the_best_recipes(monkeypatch):
    monkeypatch.setattr(brief, "ASKED", 6)
    train = tastes(spread_days=0)
    result = found(train, seconds=60)
    end = int(train.occurred_at.max()) + 1
    [fold], space = random_fold(before(train, end), "discovery", 7), space_of(train, [BAD])
    assert fold.questions.users.size > 6

    def by_all(recipe):
        return attempt(space, recipe, [fold], 7, Engine(1), lambda *_: False).value

    by_few = sorted(
        (one for trial in result.trials if trial.state == "complete" for one in trial.judged(space)),
        key=lambda one: -one.value,
    )
    assert by_all(result.recipe) > by_all(by_few[0].recipe), "not the one that a few users like best"


@pytest.mark.parametrize("rows", [[(0, 0, 1)], [(0, 0, 1), (1, 1, 2)]])
def test_where_nothing_can_be_held_out_nothing_is_found(rows):
    assert found(interactions(rows)) is None
