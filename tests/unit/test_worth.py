import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.worth import Hits, hit_share, own_items, popular_lists, worth
from tests.unit.worlds import interactions


def test_a_share_is_over_pairs_and_its_interval_is_narrower_with_more_users():
    few = hit_share(np.array([1, 0]), np.array([2, 2]))
    many = hit_share(np.tile([1, 0], 50), np.tile([2, 2], 50))
    assert few.value == many.value == 0.25
    assert 0 <= few.low < many.low < 0.25 < many.high < few.high <= 1


def test_one_user_has_a_share_without_an_interval():
    one = hit_share(np.array([1]), np.array([4]))
    assert one.value == 0.25
    assert np.isnan(one.low)
    assert np.isnan(one.high)


def test_the_popular_list_of_a_user_goes_on_behind_what_is_kept_out_of_it():
    kept_out = csr_matrix(np.array([[0, 1, 0, 0], [1, 1, 1, 1]]))
    assert popular_lists(np.array([1, 3, -1, 0]), kept_out, 2, 3).tolist() == [[3, -1, 0], [-1, -1, -1]]
    assert popular_lists(np.array([1, 3]), None, 2, 3).tolist() == [[1, 3, -1], [1, 3, -1]]


def test_own_items_are_the_most_frequent_then_the_latest_then_by_id():
    rows = interactions([(0, 2, 1), (0, 2, 2), (0, 1, 9), (0, 0, 5), (0, 3, 5), (1, 3, 1)], n_users=3, n_items=4)
    by_id = np.array([3, 2, 1, 0])
    assert own_items(rows, np.array([2, 0]), None, 3, by_id).tolist() == [[-1, -1, -1], [2, 3, 0]]
    kept_out = csr_matrix(np.array([[0, 0, 0, 0], [0, 0, 1, 0]]))
    assert own_items(rows, np.array([2, 0]), kept_out, 3, by_id)[1].tolist() == [3, 0, 1]


def test_a_pair_counts_once_for_each_list_whose_first_k_hold_it():
    taken = csr_matrix(np.array([[0, 1, 0, 1], [1, 0, 0, 0]]))
    lists = {"live": np.array([[3, 2, 0, 0, 0, 1] + [-1] * 14, [-1] * 20])}
    rows = {
        (row["segment"], row["metric"]): row["value"]
        for row in worth(Hits.of(taken, lists), {"b": np.array([False, True])}, "v")
    }
    assert rows[("all", "n_pairs")] == 3
    assert rows[("all", "hit_share_at_5")] == 1 / 3
    assert rows[("all", "hit_share_at_20")] == 2 / 3
    assert rows[("b", "hit_share_at_20")] == 0
    assert ("c", "n_pairs") not in rows


def test_users_may_be_counted_in_parts():
    taken = csr_matrix(np.array([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 1]]))
    lists = {"live": np.pad(np.array([[3, 2, 0], [1, 0, 2], [2, 3, 1]]), ((0, 0), (0, 17)), constant_values=-1)}
    whole = Hits.of(taken, lists)
    parts = [Hits.of(taken[some], {"live": lists["live"][some]}) for some in (slice(0, 1), slice(1, 3))]
    groups = {"b": np.array([False, True, True])}
    assert worth(Hits.joined(parts), groups, "v") == worth(whole, groups, "v")
