"""What a user needs again now: by eye, and against a computation pair by pair."""

import numpy as np
import pytest

from recjobs.core.lists.again import again_lists
from recjobs.core.rows.interactions import DAY
from tests.unit.worlds import NOW, interactions


def lists(rows, n=9, *, eligible=None, returned=None, **shape):
    """Each user's (items, scores)."""
    world = interactions(rows, **shape)
    mask = np.ones(world.n_items, bool) if eligible is None else np.isin(np.arange(world.n_items), eligible)
    found = again_lists(world, NOW, n, mask, returned)
    places = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    return [(found.item_idx[first:last].tolist(), found.scores[first:last].tolist()) for first, last in places]


WEEKLY = [(0, 0, 6 + 7 * week) for week in range(20)]
"""Milk, every week for twenty weeks, six days ago last."""


def test_what_is_taken_every_week_comes_before_what_was_taken_twice_or_once():
    twice, once = [(0, 1, 30), (0, 1, 60)], [(0, 2, 7)]
    assert lists(WEEKLY + twice + once)[0][0] == [0, 1]


def test_what_was_just_taken_comes_behind_what_is_due():
    just = [(0, 1, 0.5 + 7 * week) for week in range(20)]
    assert lists(WEEKLY + just)[0][0] == [0, 1]


def test_what_a_user_gave_up_comes_behind_what_they_take():
    given_up = [(0, 1, 200 + 7 * week) for week in range(20)]
    assert lists(WEEKLY + given_up)[0][0] == [0, 1]


def test_when_the_interval_has_just_passed_the_score_is_the_frequency():
    (items, scores), *_ = lists([(0, 0, 10), (0, 0, 20), (0, 0, 30)])
    assert items == [0]
    assert scores[0] == pytest.approx(sum(0.5 ** (days / 90) for days in (10, 20, 30)), rel=1e-4)


def test_two_purchases_on_one_day_are_no_interval():
    assert lists([(0, 0, 10), (0, 0, 10.1), (0, 0, 10.2)]) == [([], [])]


def test_items_that_are_not_sold_or_were_returned_are_left_out():
    rows = WEEKLY + [(0, 1, 6 + 7 * week) for week in range(20)]
    assert lists(rows, eligible=[1])[0][0] == [1]
    returns = interactions([(0, 0, 1)], n_users=1, n_items=2).pairs()
    assert lists(rows, returned=returns)[0][0] == [1]


def test_only_so_many_are_listed_and_a_user_without_any_has_an_empty_list():
    rows = WEEKLY + [(0, 1, 8 + 7 * week) for week in range(20)]
    assert [items for items, _ in lists(rows, n=1, n_users=2)] == [[0], []]
    assert lists([], n_users=2, n_items=1) == [([], []), ([], [])]


def by_hand(rows):
    """user -> {item: score}, pair by pair."""
    times = {}
    for user, item, ago in rows:
        times.setdefault((user, item), []).append(NOW - round(ago * DAY))
    result = {}
    for (user, item), at in times.items():
        days = sorted({each // DAY for each in at})
        if len(days) > 1:
            interval = (days[-1] - days[0]) / (len(days) - 1)
            passed = (NOW - max(at)) / DAY / interval
            firsts = [min(each for each in at if each // DAY == day) for day in days]
            frequency = sum(0.5 ** ((NOW - first) / DAY / 90) for first in firsts)
            result.setdefault(user, {})[item] = frequency * (1 + min(passed, 1 / passed)) / 2
    return result


def test_lists_are_those_of_a_computation_by_hand():
    rng = np.random.default_rng(5)
    rows = [(int(rng.integers(9)), int(rng.integers(12)), float(rng.uniform(0, 90))) for _ in range(600)]
    expected = by_hand(rows)
    for user, (items, scores) in enumerate(lists(rows, n=12)):
        assert sorted(items) == sorted(expected[user])
        np.testing.assert_allclose(scores, [expected[user][item] for item in items], rtol=1e-4, atol=1e-4)
        assert scores == sorted(scores, reverse=True)
    assert sum(len(items) for items, _ in lists(rows, n=12)) > 80


def test_rows_in_any_order_make_the_same_lists():
    rng = np.random.default_rng(6)
    rows = [(int(rng.integers(5)), int(rng.integers(6)), float(rng.uniform(0, 90))) for _ in range(200)]
    shuffled = [rows[k] for k in rng.permutation(len(rows))]
    assert lists(rows) == lists(shuffled)
