"""Rotation: what a list has shown for so many nights, and its user has not taken, stands behind the rest."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.exam import exam
from recjobs.core.evaluation.price import rotation_row
from recjobs.core.lists.finished import Lists
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.maker import ListMaker, Past
from recjobs.core.lists.reasons import Because
from recjobs.core.lists.rotation import Rotation, shown_places
from recjobs.core.model.engine import Engine
from recjobs.core.model.ranking import Ranked
from tests.unit.worlds import NOW, interactions

N_USERS, N_ITEMS = 3, 8


def lists(*rows: list[int], n_model: list[int], n_category: list[int] | None = None) -> Lists:
    width = max(map(len, rows))
    item_idx = np.array([row + [-1] * (width - len(row)) for row in rows], np.int32)
    scores = np.where(item_idx >= 0, np.arange(width, 0, -1), np.nan).astype(np.float32)
    counts = np.array(n_category or [0] * len(rows))
    return Lists(Ranked(item_idx, scores), np.array(n_model), counts, np.zeros(len(rows), bool))


def rotation(after: int, shown: dict[tuple[int, int], int]) -> Rotation:
    """shown: nights by (user, item)."""
    nights = np.zeros((N_USERS, N_ITEMS), np.int32)
    for pair, n in shown.items():
        nights[pair] = n
    return Rotation(after, csr_matrix(nights))


def test_items_shown_for_so_many_nights_stand_behind_the_others_in_order():
    """User 2 was shown items 4 and 6 twice, 5 once; user 0 was shown 4 and 6 twice, but has another list."""
    shown = {(2, 4): 2, (2, 5): 1, (2, 6): 2, (0, 4): 2, (0, 6): 2}
    before = lists([4, 5, 6, 7], [1, 2, 4, 3], n_model=[4, 4])
    after = rotation(2, shown).applied(before, np.array([2, 0]))
    assert after.ranked.item_idx.tolist() == [[5, 7, 4, 6], [1, 2, 3, 4]]
    np.testing.assert_array_equal(after.ranked.scores, before.ranked.scores)


def test_what_has_been_in_front_twice_as_long_stands_behind_what_has_been_once():
    """Three nights each: item 0 for six, 1 and 3 for three to five, 2 for two."""
    before = lists([0, 1, 2, 3], n_model=[4])
    after = rotation(3, {(0, 0): 6, (0, 1): 3, (0, 3): 5, (0, 2): 2}).applied(before, np.array([0]))
    assert after.ranked.item_idx.tolist() == [[2, 1, 3, 0]]


def test_nothing_shown_or_all_of_it_leaves_lists_as_they_are():
    before = lists([0, 1, 2, 3], [7, 6], n_model=[4, 2])
    for shown in ({}, {(user, item): 1 for user in range(N_USERS) for item in range(N_ITEMS)}):
        after = rotation(1, shown).applied(before, np.array([0, 1]))
        np.testing.assert_array_equal(after.ranked.item_idx, before.ranked.item_idx)


def test_items_of_model_categories_and_popularity_are_ordered_among_themselves():
    """Two items each, of which the first was shown; the list ends behind them."""
    shown = {(1, 0): 1, (1, 2): 1, (1, 4): 1}
    before = lists([0, 1, 2, 3, 4, 5], [7], n_model=[2, 0], n_category=[2, 1])
    after = rotation(1, shown).applied(before, np.array([1, 0]))
    assert after.ranked.item_idx.tolist() == [[1, 0, 3, 2, 5, 4], [7, -1, -1, -1, -1, -1]]


def test_reasons_move_with_their_items_and_the_last_places_may_have_none():
    because = Because(np.array([[5, 6, 0]], np.int32), np.array([1, 3], np.int32), np.array([2]))
    before = lists([0, 1, 2, 3], n_model=[4])
    before = Lists(before.ranked, before.n_model, before.n_category, before.again, because)
    after = rotation(1, {(0, 0): 1}).applied(before, np.array([0]))
    assert after.ranked.item_idx.tolist() == [[1, 2, 3, 0]]
    assert after.because is not None
    assert after.because.packed.tolist() == [[6, 0, 0, 5]]
    assert after.because.item_idx.tolist() == [1, 3]


def test_some_users_have_the_order_that_they_have_among_all():
    """As a task on Spark is told of its own users, who count from 0."""
    whole = rotation(1, {(0, 3): 1, (1, 0): 1, (1, 1): 2, (2, 2): 1})
    before = lists([0, 1, 2, 3], [3, 2, 1, 0], n_model=[4, 4])
    some, among_all = whole.of_users(1, 3).applied(before, np.arange(2)), whole.applied(before, np.array([1, 2]))
    assert some.ranked.item_idx.tolist() == among_all.ranked.item_idx.tolist() == [[2, 3, 0, 1], [3, 1, 0, 2]]


def test_what_is_answered_without_a_number_is_shown_but_never_more_than_is_served():
    assert (shown_places(50), shown_places(10)) == (20, 10)


def priced(shown: Rotation | None) -> dict[str, float]:
    """Four popular items, by popularity 0 to 3, two of which count as shown; each of three users takes item 2."""
    buyers = [(3 + k, item, 9.0) for item in range(4) for k in range(8 - item)]
    train = interactions(buyers, n_users=11, n_items=N_ITEMS)
    holdout = interactions([(user, 2, -1.0) for user in range(N_USERS)], n_users=11, n_items=N_ITEMS)
    maker = ListMaker(Past(train, NOW, Engine(1)), Knowledge.of_train(train), None, None)
    questions = exam(train, holdout, "repeats", 1)
    (row,) = rotation_row(maker, questions, shown, 3, 4, 2, 1)
    return row


def test_the_price_is_that_of_what_had_been_shown_at_the_cutoff():
    """Items 0 and 1 were shown to user 0: item 2 stands first for them, and third for the other two."""
    nights = np.zeros((11, N_ITEMS), np.int32)
    nights[0, :2] = 3
    row = priced(Rotation(3, csr_matrix(nights)))
    assert row["without"] == pytest.approx(1 / 2)
    assert row["ndcg_at_20"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert row["difference"] == pytest.approx(1 / 3)
    assert row["moved"] == pytest.approx(1 / 3)


def test_without_lists_of_that_time_the_price_is_the_mean_over_a_whole_rotation():
    """Of two phases: item 2 stands third, then first."""
    row = priced(None)
    assert row["without"] == pytest.approx(1 / 2)
    assert row["ndcg_at_20"] == pytest.approx((1 / 2 + 1) / 2)
    assert row["phases"] == 2
