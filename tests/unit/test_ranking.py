"""Ranked lists: what is filtered stays away, rows match users, nothing is invented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.model.neighbours import Blend, similarity_of
from recjobs.core.model.ranking import CHUNK, Ranking, best_items, first_unseen
from tests.unit.worlds import sets

# Three users, four items, two factors: scores are 3 2 1 0 / 0 1 2 3 / 0 0 0 0 by eye.
USERS = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
ITEMS = np.array([[3, 0], [2, 1], [1, 2], [0.5, 3]], np.float32)
ALL = np.ones(4, bool)


def test_the_best_come_first_and_each_row_is_its_users():
    ranked = best_items(USERS, ITEMS, 2, None, ALL)
    assert ranked.item_idx.tolist() == [[0, 1], [3, 2], [-1, -1]]
    assert ranked.scores[:2].tolist() == [[3, 2], [3, 2]]
    assert ranked.lengths.tolist() == [2, 2, 0]


def test_a_user_the_model_does_not_know_gets_an_empty_list():
    ranked = best_items(USERS, ITEMS, 4, None, ALL)
    assert ranked.lengths[2] == 0
    assert np.isnan(ranked.scores[2]).all()


def test_filtered_items_never_come_back_when_fewer_than_n_remain():
    ranked = best_items(USERS, ITEMS, 4, sets([0, 1, 2], [3], [], n_items=4), ALL)
    assert ranked.item_idx.tolist() == [[3, -1, -1, -1], [2, 1, 0, -1], [-1, -1, -1, -1]]
    assert np.isnan(ranked.scores[0, 1:]).all()


def test_a_user_who_has_seen_everything_gets_an_empty_list():
    assert best_items(USERS, ITEMS, 2, sets([0, 1, 2, 3], [], [], n_items=4), ALL).lengths.tolist() == [0, 2, 0]


def test_more_than_the_catalogue_is_the_catalogue():
    ranked = best_items(USERS, ITEMS, 50, None, ALL)
    assert ranked.item_idx.shape == (3, 50)
    assert ranked.item_idx[0, :5].tolist() == [0, 1, 2, 3, -1]
    assert ranked.lengths.tolist() == [4, 4, 0]


def test_ineligible_items_are_not_shown_and_the_others_keep_their_numbers():
    ranked = best_items(USERS, ITEMS, 4, sets([1], [], [], n_items=4), np.array([0, 1, 0, 1], bool))
    assert ranked.item_idx[:2].tolist() == [[3, -1, -1, -1], [3, 1, -1, -1]]


def test_without_an_eligible_item_or_a_user_lists_are_empty():
    assert best_items(USERS, ITEMS, 2, None, ~ALL).lengths.tolist() == [0, 0, 0]
    assert best_items(USERS[:0], ITEMS, 2, None, ALL).item_idx.shape == (0, 2)


def test_equal_scores_rank_by_item():
    same = np.ones((5, 1), np.float32)
    assert best_items(np.ones((1, 1), np.float32), same, 5, None, np.ones(5, bool)).item_idx.tolist() == [
        [0, 1, 2, 3, 4]
    ]


def test_negative_scores_are_scores_like_any_other():
    ranked = best_items(
        np.array([[-1.0]], np.float32), np.array([[1], [2], [3]], np.float32), 2, None, np.ones(3, bool)
    )
    assert ranked.item_idx.tolist() == [[0, 1]]


@pytest.mark.parametrize("threads", [1, 3])
def test_many_users_equal_a_plain_sort_of_all_scores(threads):
    rng = np.random.default_rng(5)
    n_users, n_items, n = 2 * CHUNK + 17, 31, 12
    users, items = (rng.integers(-9, 10, (n, 4)).astype(np.float32) for n in (n_users, n_items))  # exact, with ties
    seen = [rng.choice(n_items, rng.integers(0, 26), replace=False) for _ in range(n_users)]
    eligible = rng.random(n_items) < 0.8
    ranked = best_items(users, items, n, sets(*seen, n_items=n_items), eligible, threads)
    scores = users @ items.T
    for user in range(n_users):
        allowed = [i for i in range(n_items) if eligible[i] and i not in seen[user]]
        expected = sorted(allowed, key=lambda i: -scores[user, i])[:n]
        assert ranked.item_idx[user][ranked.item_idx[user] >= 0].tolist() == expected


@pytest.mark.parametrize("distinct", [3, 40, 10_000])
def test_of_a_wide_catalogue_too_with_many_equal_scores_or_few(distinct):
    rng = np.random.default_rng(6)
    n_users, n_items, n = 70, 2_003, 25
    items = rng.integers(0, distinct, (n_items, 1)).astype(np.float32)
    seen = [rng.choice(n_items, n_items - rng.integers(0, 60), replace=False) for _ in range(n_users // 2)]
    seen += [rng.choice(n_items, 300, replace=False) for _ in range(n_users // 2)]
    ranked = best_items(
        np.ones((n_users, 1), np.float32), items, n, sets(*seen, n_items=n_items), np.ones(n_items, bool)
    )
    for user in range(n_users):
        allowed = np.setdiff1d(np.arange(n_items), seen[user])
        expected = allowed[np.argsort(-items[allowed, 0], kind="stable")][:n]
        assert ranked.item_idx[user][ranked.item_idx[user] >= 0].tolist() == expected.tolist()


def test_a_list_is_the_same_to_the_bit_whoever_else_is_asked_for():
    rng = np.random.default_rng(7)
    users, items = (rng.normal(size=(n, 64)).astype(np.float32) for n in (CHUNK + 30, 1_500))
    rows = sets(*(rng.choice(1_500, 9, replace=False) for _ in range(len(users))), n_items=1_500)
    blend = Blend(rows, similarity_of(rows, 20, 1), 0.3)
    ranking = Ranking(items, np.ones(1_500, bool), blend)
    whole = ranking.best(users, 40, rows, 2, blend)
    for some in ([0], [CHUNK + 29, 3, 5], [*range(10, 77)]):
        part = ranking.best(users[some], 40, rows[some], 1, blend.of(np.array(some)))
        np.testing.assert_array_equal(part.item_idx, whole.item_idx[some])
        np.testing.assert_array_equal(part.scores, whole.scores[some])


def test_the_first_unseen_of_an_order():
    order = np.array([3, 1, 0, 2])
    assert first_unseen(order, 2, sets([3], [1, 0], [], n_items=4), 3).tolist() == [[1, 0], [3, 2], [3, 1]]


def test_the_first_unseen_is_short_where_the_catalogue_is_through():
    assert first_unseen(np.array([3, 1]), 3, sets([3], [0, 1, 2, 3], n_items=4), 2).tolist() == [
        [1, -1, -1],
        [-1, -1, -1],
    ]


def test_without_a_past_everybody_gets_the_order_itself():
    assert first_unseen(np.array([2, 0]), 3, None, 2).tolist() == [[2, 0, -1], [2, 0, -1]]
    assert first_unseen(np.array([2, 0]), 3, None, 0).shape == (0, 3)


@given(
    st.permutations(range(7)).flatmap(lambda p: st.integers(0, 7).map(lambda cut: list(p[:cut]))),
    st.lists(st.sets(st.integers(0, 6)), min_size=1, max_size=5),
    st.integers(1, 9),
)
def test_first_unseen_equals_a_plain_loop(order, seen, n):
    found = first_unseen(np.array(order, int), n, sets(*[sorted(s) for s in seen], n_items=7), len(seen))
    expected = [([i for i in order if i not in s][:n] + [-1] * n)[:n] for s in seen]
    assert found.tolist() == expected
