"""Folds of the past: cut as the gate cuts, blind for what comes after, by chance only where times say nothing."""

from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY
from recjobs.core.search.folds import before, folds, random_fold
from tests.unit.worlds import NOW, interactions

ROWS = [(user, item, ago) for user in range(4) for item, ago in enumerate((50, 40, 25, 15, 8, 3))]
PAST = interactions(ROWS)


def by_time(past, **changes):
    return folds(past, NOW, **{"holdout_days": 10, "view": "discovery", "seed": 1} | changes)


def test_folds_lie_one_before_the_other():
    latest, earlier, *_ = by_time(PAST)
    assert (latest.now, earlier.now) == (NOW - 10 * DAY, NOW - 20 * DAY)
    assert len(latest.train) == 16
    assert len(earlier.train) == 12
    assert latest.questions.holdout.toarray()[0].tolist() == [0, 0, 0, 0, 1, 1]
    assert earlier.questions.holdout.toarray()[0].tolist() == [0, 0, 0, 1, 0, 0]


def test_a_fold_that_would_ask_too_few_is_left_out():
    past = interactions([row for row in ROWS if row[1] != 3 or row[0] == 0])
    assert [fold.now for fold in by_time(past)] == [NOW - 10 * DAY]


def test_where_nothing_lies_before_the_first_cut_a_part_is_drawn_at_random():
    at_once = interactions([(user, item, 5) for user in range(10) for item in range(10)])
    (fold,) = by_time(at_once)
    assert "random" in fold.name
    assert len(fold.train) == 90
    held_out = fold.questions.holdout
    assert held_out.nnz == 10
    rows = fold.train.pairs()[fold.questions.users]
    assert rows.multiply(held_out).nnz == 0, "a pair is in one part only"


def test_a_pair_goes_into_one_part_with_all_its_interactions():
    twice = interactions([(user, item, ago) for user in range(10) for item in range(10) for ago in (1, 2)])
    (fold,) = random_fold(twice, "discovery", 1)
    assert len(fold.train) == 180


@pytest.mark.parametrize("rows", [[], [(0, 0, 5)]])
def test_nothing_to_ask_about_is_no_fold(rows):
    assert by_time(interactions(rows, 1, 1)) == []


def test_what_came_later_changes_nothing():
    later = [(9, 9, 1), (0, 3, 2), (1, 8, 0)]
    both = [interactions(ROWS + rows, 10, 10) for rows in (later, [])]
    first, second = (before(rows, NOW - 3 * DAY + 1) for rows in both)
    assert (first.n_users, first.n_items) == (4, 6)
    assert (second.n_users, second.n_items) == (4, 6)
    np.testing.assert_array_equal(first.pairs().toarray(), second.pairs().toarray())


def test_users_and_items_keep_their_order():
    part = before(interactions([(5, 7, 9), (2, 3, 9), (4, 7, 1)]), NOW - 5 * DAY)
    assert part.user_idx.tolist() == [1, 0]
    assert part.item_idx.tolist() == [1, 0]


def test_repeats_are_asked_for_where_they_decide():
    again = replace(PAST, item_idx=np.zeros_like(PAST.item_idx))
    assert by_time(again, view="repeats")[0].questions.users.size == 4
    assert all("random" in fold.name for fold in by_time(again))


def test_recipes_that_count_interactions_alike_share_what_was_computed():
    (latest, *_), engine = by_time(PAST), Engine()
    past = latest.past(Recipe(alpha=3, blend=0.3), engine)
    assert latest.past(Recipe(factors=9), engine) is past
    other = latest.past(Recipe(half_life_days=9.0), engine)
    assert other is not past
    assert latest.past(Recipe(half_life_days=9.0, own_frequency=0.5), engine) is not other
    assert latest.past(Recipe(), engine) is not past, "one is kept"
    assert (past.interactions, past.now) == (latest.train, latest.now)


def test_item_neighbours_are_those_of_one_trial_at_a_time():
    """A search of an hour would hold hundreds of them."""
    (latest, *_), engine = by_time(PAST), Engine()
    one, other = Recipe(blend=0.3, random_walk=0.2), Recipe(blend=0.3, random_walk=0.4)
    similarity = latest.past(one, engine).similarity(one)
    assert latest.past(replace(one, factors=9), engine).similarity(one) is similarity
    latest.past(other, engine).similarity(other)
    again = latest.past(one, engine).similarity(one)
    assert again is not similarity
    np.testing.assert_array_equal(again.toarray(), similarity.toarray())
