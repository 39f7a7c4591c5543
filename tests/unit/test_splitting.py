"""The cut: nothing lost, nothing twice, nothing of the future on the past's side."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.evaluation.split import choose_cutoff, split_at, split_at_random
from recjobs.core.lists.popularity import popular_order
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import DAY
from tests.unit.worlds import NOON, NOW, interactions

ONE_USER_A_DAY = interactions([(day, 0, day + 0.5) for day in range(40)])


def days_ago(days):
    return NOON - timedelta(days=days)


def test_without_a_champion_the_last_days_are_held_out():
    cutoff = choose_cutoff(ONE_USER_A_DAY, NOON, None, 30, 1)
    assert (cutoff.at, cutoff.rule) == (days_ago(30), "holdout_days")
    assert "no champion" in cutoff.why


def test_with_enough_users_since_the_holdout_begins_where_the_champions_knowledge_ends():
    cutoff = choose_cutoff(ONE_USER_A_DAY, NOON, days_ago(7), 30, 7)
    assert (cutoff.at, cutoff.rule) == (days_ago(7), "champion")
    assert "7 users" in cutoff.why


def test_with_one_user_too_few_since_the_champion_it_is_the_last_days():
    cutoff = choose_cutoff(ONE_USER_A_DAY, NOON, days_ago(7), 30, 8)
    assert (cutoff.at, cutoff.rule) == (days_ago(30), "holdout_days")
    assert "only 7 users" in cutoff.why


def test_users_are_counted_once_however_often_they_came():
    often = interactions([(user, item, 1) for user in range(3) for item in range(50)])
    assert choose_cutoff(often, NOON, days_ago(7), 30, 4).rule == "holdout_days"
    assert choose_cutoff(often, NOON, days_ago(7), 30, 3).rule == "champion"


def test_a_champion_of_the_future_leaves_nobody_and_is_not_used():
    assert choose_cutoff(ONE_USER_A_DAY, NOON, NOON + timedelta(days=1), 30, 1).rule == "holdout_days"


def test_an_interaction_at_the_very_cutoff_is_held_out():
    cutoff = days_ago(1)
    given_ = interactions([(0, 0, 1), (1, 0, 1)])
    given_.occurred_at[0] -= 1
    train, holdout = split_at(given_, cutoff)
    assert train.user_idx.tolist() == [0]
    assert holdout.user_idx.tolist() == [1]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 20)), max_size=40), st.integers(-1, 21))
def test_train_and_holdout_are_all_and_share_nothing(rows, days):
    whole = interactions(rows, n_users=5, n_items=7)
    train, holdout = split_at(whole, days_ago(days))
    together = sorted(
        (u, i, t)
        for part in (train, holdout)
        for u, i, t in zip(part.user_idx, part.item_idx, part.occurred_at, strict=True)
    )
    assert together == sorted(zip(whole.user_idx, whole.item_idx, whole.occurred_at, strict=True))
    assert (train.occurred_at < microseconds(days_ago(days))).all()
    assert (holdout.occurred_at >= microseconds(days_ago(days))).all()
    assert {(p.n_users, p.n_items) for p in (train, holdout)} == {(5, 7)}


def test_what_everybody_took_after_the_cut_is_not_popular_before_it():
    whole = interactions([(0, 0, 5), (1, 0, 5), (2, 1, 5), *((user, 2, 1) for user in range(3))])
    train, _ = split_at(whole, days_ago(2))
    order, _ = popular_order(train, NOW - 2 * DAY)
    assert order.tolist() == [0, 1, 2]


def test_an_instant_in_microseconds_is_exact():
    assert microseconds(NOON + timedelta(microseconds=1)) == NOW + 1
    assert NOW % 1_000_000 == 0
    np.testing.assert_array_equal(split_at(ONE_USER_A_DAY, NOON)[0].occurred_at, ONE_USER_A_DAY.occurred_at)


def ids_of(n):
    return [f"id {k}" for k in range(n)]


MANY = interactions([(user, item, 0) for user in range(60) for item in range(40)])


def pairs_of(part):
    return set(part.distinct_pairs().tolist())


def test_a_random_holdout_has_a_fifth_of_the_pairs_and_all_rows_of_each():
    twice = MANY.joined(MANY)
    train, holdout = split_at_random(twice, ids_of(60), ids_of(40), seed=7)
    assert len(train) + len(holdout) == len(twice)
    assert not pairs_of(train) & pairs_of(holdout)
    assert 0.17 < len(holdout) / len(twice) < 0.23


def test_a_pair_lies_on_the_same_side_whatever_else_there_is():
    _, holdout = split_at_random(MANY, ids_of(60), ids_of(40), seed=7)
    some = MANY.where((MANY.user_idx % 2 == 0) & (MANY.item_idx >= 10))
    users = [f"id {k}" for k in range(60)]
    _, of_some = split_at_random(some, users, ids_of(40), seed=7)
    assert pairs_of(of_some) == pairs_of(some) & pairs_of(holdout)


def test_another_seed_draws_another_holdout():
    first, second = (pairs_of(split_at_random(MANY, ids_of(60), ids_of(40), seed)[1]) for seed in (7, 8))
    assert len(first & second) < len(first) / 3


def test_nobody_loses_their_only_pair():
    single = interactions([(user, user % 40, 0) for user in range(60)])
    train, holdout = split_at_random(single, ids_of(60), ids_of(40), seed=7)
    assert (len(train), len(holdout)) == (60, 0)
    pair = interactions([(user, user % 20 + item, 0) for user in range(60) for item in (0, 20)])
    train, _ = split_at_random(pair, ids_of(60), ids_of(40), seed=7)
    assert set(train.user_idx.tolist()) == set(range(60))
