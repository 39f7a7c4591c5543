"""Finished lists: filled, distinct, unseen; similar items; what a user took lately."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.lists.ladder import Ladder, PopularList, as_lists, fill, fill_up, latest
from recjobs.core.lists.similar import similar, similar_items, support_of
from recjobs.core.model.attributes import Completed
from recjobs.core.model.ranking import Ranked
from recjobs.core.rows.interactions import DAY
from tests.unit.worlds import NOW, interactions, sets

POPULAR = PopularList(np.array([4, 3, 2, 1, 0], np.int32), np.array([50, 40, 30, 20, 10], np.float32))


def ranked(*rows, n=4):
    items = np.array([[*row, *[-1] * (n - len(row))] for row in rows], np.int32)
    return Ranked(items, np.where(items >= 0, np.float32(0.5), np.float32(np.nan)))


def test_a_short_list_goes_on_with_what_is_popular_and_not_listed_yet():
    filled, n_model = fill(ranked([3, 0]), POPULAR, None, 5)
    assert filled.item_idx.tolist() == [[3, 0, 4, 2]]
    assert filled.scores.tolist() == [[0.5, 0.5, 50, 30]]
    assert n_model.tolist() == [2]


def test_what_was_seen_does_not_come_back_by_the_popular_list():
    filled, n_model = fill(ranked([3], [], n=3), POPULAR, sets([4], [0, 4, 3], n_items=5), 5)
    assert filled.item_idx.tolist() == [[3, 2, 1], [2, 1, -1]]
    assert n_model.tolist() == [1, 0]


def test_a_full_list_stays_as_it_is():
    given_ = ranked([0, 1, 2, 3])
    assert fill(given_, POPULAR, None, 5)[0] is given_


def test_rows_stay_with_their_users_when_only_some_are_short():
    filled, n_model = fill(ranked([0, 1], [2], [3, 4], n=2), POPULAR, sets([], [4, 3], [], n_items=5), 5)
    assert filled.item_idx.tolist() == [[0, 1], [2, 1], [3, 4]]
    assert n_model.tolist() == [2, 1, 2]


def test_only_eligible_items_fill():
    eligible = np.array([1, 1, 0, 1, 0], bool)
    popular = POPULAR.restricted_to(eligible)
    assert popular.order.tolist() == [3, 1, 0]
    assert popular.score.tolist() == [40, 20, 10]
    assert fill(ranked([]), popular, None, 5)[0].item_idx.tolist() == [[3, 1, 0, -1]]


@st.composite
def half_made(draw):
    n_items, n = draw(st.integers(1, 8)), draw(st.integers(1, 10))
    eligible = draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))
    order = [i for i in draw(st.permutations(range(n_items))) if eligible[i]]
    rows, seen = [], []
    for _ in range(draw(st.integers(1, 4))):
        gone = draw(st.sets(st.integers(0, n_items - 1)))
        own = [i for i in draw(st.permutations(range(n_items))) if eligible[i] and i not in gone]
        rows.append(own[: draw(st.integers(0, n))])
        seen.append(sorted(gone))
    return n_items, n, order, rows, seen


@given(half_made())
def test_filled_lists_are_distinct_unseen_eligible_and_as_long_as_can_be(world):
    n_items, n, order, rows, seen = world
    popular = PopularList(np.array(order, np.int32), np.arange(len(order), 0, -1).astype(np.float32))
    filled, n_model = fill(ranked(*rows, n=n), popular, sets(*seen, n_items=n_items), n_items)
    for row, own, gone, kept in zip(filled.item_idx.tolist(), rows, seen, n_model, strict=True):
        listed = [i for i in row if i >= 0]
        assert listed[:kept] == own
        assert len(set(listed)) == len(listed) == min(n, len(set(order) - set(gone)))
        assert set(listed) <= set(order) - set(gone)
        assert row[len(listed) :] == [-1] * (n - len(listed))


def test_similar_items_point_the_same_way_whatever_their_length():
    items = np.array([[1, 0], [10, 1], [0, 3], [1, 5], [0, 0]], np.float32)
    found = similar(items, 2, np.ones(5, bool), 1)
    assert found.item_idx[:4, 0].tolist() == [1, 0, 3, 2]
    assert found.scores[0, 0] == pytest.approx(10 / np.sqrt(101), rel=2.0**-16)
    assert found.lengths.tolist() == [2, 2, 2, 2, 0]


def test_an_item_is_not_similar_to_itself_and_ineligible_ones_are_not_shown():
    items = np.array([[1, 0], [1, 0], [1, 0.1]], np.float32)
    found = similar(items, 5, np.array([1, 0, 1], bool), 1)
    assert [row[row >= 0].tolist() for row in found.item_idx] == [[2], [0, 2], [0]]


def test_an_item_of_which_little_is_known_comes_behind_one_that_is_a_little_less_alike():
    items = Completed(np.array([[1, 0], [1, 0.02], [1, 0.3], [0, 1]], np.float32), np.zeros(4, bool))
    support = support_of(interactions([(0, 1, 0), *((user, 2, 0) for user in range(40)), (0, 3, 0)], n_items=4), NOW)
    assert support.tolist() == pytest.approx([0, 1 / 11, 0.8, 1 / 11])
    found = similar_items(items, support, np.ones(4, bool), 3, np.ones(4, bool), 1)
    assert found.item_idx[0].tolist() == [2, 1, 3]
    assert found.scores[0, 0] == pytest.approx(0.8 / np.sqrt(1.09), rel=1e-4)


@pytest.mark.parametrize("asked", [None, np.array([0, 3])])
def test_items_on_too_few_orders_come_behind_all_others_and_scores_still_fall(asked):
    rng = np.random.default_rng(3)
    items = Completed(rng.normal(size=(9, 4)).astype(np.float32), np.zeros(9, bool))
    enough = np.arange(9) % 3 > 0
    found = similar_items(items, np.ones(9, np.float32), enough, 7, np.arange(9) != 8, 1, asked)
    for item, listed, scores in zip(range(9) if asked is None else asked, found.item_idx, found.scores, strict=True):
        others = [other for other in range(8) if other != item]
        assert len(listed) == min(7, len(others))
        assert sorted(listed) == others[:7] if len(others) == 7 else set(listed) <= set(others)
        assert enough[listed].tolist() == sorted(enough[listed].tolist(), reverse=True)
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    plenty = similar_items(items, np.ones(9, np.float32), enough, 2, np.ones(9, bool), 1)
    assert enough[plenty.item_idx].all()


def test_the_latest_items_of_each_user_newest_first_and_each_once():
    given_ = interactions([(0, 5, 9), (0, 5, 1), (0, 2, 3), (0, 7, 2), (2, 1, 4)], n_users=3)
    users, items, at = latest(given_, 2)
    assert users.tolist() == [0, 0, 2]
    assert items.tolist() == [5, 7, 1]
    assert at.tolist() == [NOW - DAY, NOW - 2 * DAY, NOW - 4 * DAY]


def test_items_of_one_instant_come_in_order_of_index():
    assert latest(interactions([(0, 3, 1), (0, 1, 1), (0, 2, 1)]), 2)[1].tolist() == [1, 2]


@pytest.mark.parametrize("n_users", [1, 2, 2_500])
def test_the_latest_of_many_users_equal_a_plain_loop_in_whatever_order_rows_come(n_users):
    rng = np.random.default_rng(n_users)
    rows = [(int(rng.integers(n_users)), int(rng.integers(9)), int(rng.integers(20))) for _ in range(3 * n_users + 40)]
    newest: list[dict[int, int]] = [{} for _ in range(n_users)]
    for user, item, age in rows:
        newest[user][item] = min(age, newest[user].get(item, age))
    expected = [
        (user, item, NOW - age * DAY)
        for user, ages in enumerate(newest)
        for age, item in sorted((age, item) for item, age in ages.items())[:3]
    ]
    for given_rows in (rows, sorted(rows)):
        found = latest(interactions(given_rows, n_users=n_users), 3)
        assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


def test_lists_in_arrow_end_where_they_end():
    ids, scores = as_lists(ranked([2, 0], [], [1], n=2), pa.array(["a", "NA", "ü"]))
    assert ids.to_pylist() == [["ü", "a"], [], ["NA"]]
    assert scores.to_pylist() == [[0.5, 0.5], [], [0.5]]
    assert scores.type == pa.list_(pa.float32())


def popular(*items):
    return PopularList(np.array(items, np.int32), np.arange(len(items), 0, -1).astype(np.float32))


def test_lists_go_down_the_ladder_preferred_categories_then_the_segment_then_all():
    overall = popular(0, 1, 2, 3, 4, 5)
    ladder = Ladder(
        overall,
        {"toys": overall.restricted_to(np.array([0, 0, 0, 1, 0, 1], bool)), "books": popular(2)},
        {"new": popular(5, 4, 3, 2, 1, 0)},
        [[], ["toys"], ["toys", "books", "unheard of"], []],
        [None, None, "new", "gone"],
    )
    filled, n_model, n_category = fill_up(ranked([1], [1], [], [], n=4), ladder, np.arange(4), None, 6)
    assert filled.item_idx.tolist() == [[1, 0, 2, 3], [1, 3, 5, 0], [2, 3, 5, 4], [0, 1, 2, 3]]
    assert n_model.tolist() == [1, 1, 0, 0]
    assert n_category.tolist() == [0, 2, 3, 0]


def test_in_a_segment_what_its_users_took_comes_first_and_scores_never_rise():
    segment = PopularList(np.array([3, 1, 0, 2, 4]), np.array([2, 0.5, 0, 0, 0], np.float32))
    found = segment.before(PopularList(np.array([0, 1, 2, 3]), np.array([90, 80, 70, 60], np.float32)))
    assert found.order.tolist() == [3, 1, 0, 2]  # 4 may not be shown
    assert (np.diff(found.score) <= 0).all()
    assert (found.score > 0).all()


def test_what_was_given_back_is_no_history():
    rows = replace(interactions([(0, 0, 2, 1.0, 0), (0, 1, 1, 1.0, 1)], kinds=("buy", "return")), negative=("return",))
    assert latest(rows, 5)[1].tolist() == [0]
