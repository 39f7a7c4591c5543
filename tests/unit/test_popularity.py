"""Popular items: users counted once, the recent first, ties by all time and then by index."""

from recjobs.core.lists.popularity import popular_order, popularity
from tests.unit.worlds import NOW, interactions


def test_a_user_counts_once_for_an_item_however_often():
    assert popularity(interactions([(0, 0, 1), (0, 0, 2), (1, 0, 1), (0, 1, 1)], n_items=3)).tolist() == [2, 1, 0]


def test_the_last_thirty_days_come_before_all_time():
    old_hit = [(user, 0, 40) for user in range(5)]
    order, score = popular_order(interactions([*old_hit, (0, 1, 10), (1, 1, 10), (2, 2, 10)]), NOW)
    assert order.tolist() == [1, 2, 0]
    assert (score[:-1] > score[1:]).all()


def test_items_as_popular_lately_rank_by_all_time_and_then_by_index():
    rows = [(0, 3, 1), (0, 1, 1), (0, 2, 1), (1, 2, 90), (2, 2, 90)]
    order, _ = popular_order(interactions(rows, n_items=5), NOW)
    assert order.tolist() == [2, 1, 3, 0, 4]


def test_without_days_all_time_alone_decides():
    old_hit = [(user, 1, 400) for user in range(3)]
    order, score = popular_order(interactions([*old_hit, (0, 0, 1)]), NOW, None)
    assert order.tolist() == [1, 0]
    assert score.tolist() == [3, 1]


def test_an_interaction_of_exactly_thirty_days_counts_as_lately():
    order, _ = popular_order(interactions([(0, 1, 30), (1, 0, 30.001), (2, 0, 31)]), NOW)
    assert order.tolist() == [1, 0]


def test_nobody_and_nothing_is_an_order_by_index():
    order, score = popular_order(interactions([], n_users=2, n_items=3), NOW)
    assert order.tolist() == [0, 1, 2]
    assert score.tolist() == [0, 0, 0]
