"""Metrics: by hand on lists one can read, and against ranx on random ones."""

import numpy as np
import pytest

from recjobs.core.evaluation import metrics
from tests.unit.worlds import sets


def of(lists, *holdout, k=3, n_items=10):
    return metrics.per_user(np.array(lists), sets(*holdout, n_items=n_items), k)


def test_a_perfect_list_scores_one_in_everything():
    found = of([[4, 2, 7]], [2, 4, 7])
    assert {name: value.tolist() for name, value in found.items()} == {name: [1.0] for name in metrics.PER_USER}


def test_the_second_of_three_hits_by_hand():
    found = of([[9, 4, 8]], [4, 5])
    assert found["recall"] == pytest.approx([1 / 2])
    assert found["ndcg"] == pytest.approx([(1 / np.log2(3)) / (1 + 1 / np.log2(3))])
    assert found["map"] == pytest.approx([(1 / 2) / 2])
    assert found["hit"].tolist() == [1.0]


def test_more_holdout_items_than_ranks_can_still_reach_a_perfect_ndcg_but_not_a_perfect_recall():
    found = of([[0, 1, 2]], [0, 1, 2, 3, 4, 5])
    assert found["ndcg"] == pytest.approx([1.0])
    assert found["map"] == pytest.approx([1.0])
    assert found["recall"] == pytest.approx([0.5])


def test_each_user_is_measured_by_the_size_of_their_own_holdout():
    found = of([[0, 9, 8], [0, 1, 9]], [0], [0, 1, 2])
    assert found["ndcg"] == pytest.approx([1, (1 + 1 / np.log2(3)) / (1 + 1 / np.log2(3) + 1 / 2)])
    assert found["map"] == pytest.approx([1, 2 / 3])
    assert found["recall"] == pytest.approx([1, 2 / 3])


def test_a_list_without_a_hit_scores_zero_and_an_empty_holdout_is_nan():
    found = of([[0, 1, 2], [0, 1, 2]], [9], [])
    for name in metrics.PER_USER:
        assert found[name][0] == 0
        assert np.isnan(found[name][1])


def test_what_lies_behind_the_end_of_a_list_hits_nothing():
    # -1 of the second user would be the first user's last item if rows ran into each other
    found = of([[0, -1, -1], [-1, -1, -1]], [0, 9], [9])
    assert found["recall"].tolist() == [0.5, 0.0]


def test_only_the_first_k_ranks_count():
    assert of([[0, 1, 2, 3]], [3], k=3)["hit"].tolist() == [0.0]
    assert of([[0, 1, 2, 3]], [3], k=4)["hit"].tolist() == [1.0]


def test_a_list_shorter_than_k_is_measured_as_if_the_rest_missed():
    assert of([[5]], [5, 6], k=20)["recall"].tolist() == [0.5]


def test_metrics_equal_ranx_on_random_lists(monkeypatch):
    # To compile ranx takes half a minute, to run it as it stands a moment.
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    from ranx import Qrels, Run, evaluate

    rng = np.random.default_rng(11)
    n_users, n_items, k = 60, 45, 20
    lists = np.array([rng.permutation(n_items)[:25] for _ in range(n_users)])
    holdout = [rng.choice(n_items, rng.integers(1, 30), replace=False) for _ in range(n_users)]
    ours = of(lists, *holdout, k=k, n_items=n_items)

    names = [f"u{row:02d}" for row in range(n_users)]
    qrels = Qrels({name: {f"i{i}": 1 for i in row} for name, row in zip(names, holdout, strict=True)})
    run = Run({name: {f"i{i}": float(-r) for r, i in enumerate(row)} for name, row in zip(names, lists, strict=True)})
    theirs = evaluate(qrels, run, ["ndcg@20", "recall@20", "map@20", "hit_rate@20"], return_mean=False)

    size = np.array([len(row) for row in holdout])
    assert (size > k).any()
    np.testing.assert_allclose(ours["ndcg"], theirs["ndcg@20"], atol=1e-12)
    np.testing.assert_allclose(ours["recall"], theirs["recall@20"], atol=1e-12)
    np.testing.assert_allclose(ours["hit"], theirs["hit_rate@20"])
    # ranx divides by |T| where we divide by min(k, |T|)
    np.testing.assert_allclose(ours["map"] * np.minimum(size, k) / size, theirs["map@20"], atol=1e-12)


def test_coverage_counts_eligible_items_that_are_shown():
    shown = metrics.of_lists(np.array([[0, 1], [1, -1]]), np.ones(6), np.array([1, 1, 1, 1, 0, 0], bool))
    assert shown["coverage"] == 0.5


def test_gini_is_zero_when_all_are_shown_alike_and_high_when_one_takes_all():
    eligible = np.ones(4, bool)
    assert metrics.of_lists(np.array([[0, 1, 2, 3]]), np.ones(4), eligible)["gini"] == pytest.approx(0)
    assert metrics.of_lists(np.array([[2], [2], [2]]), np.ones(4), eligible)["gini"] == pytest.approx(3 / 4)


def test_novelty_is_the_mean_information_of_what_is_shown():
    popularity = np.array([4, 2, 2, 0])
    shown = metrics.of_lists(np.array([[0, 1], [3, -1]]), popularity, np.ones(4, bool))
    # shares 4/8, 2/8, and one user's 1/8 for the item nobody had
    assert shown["novelty"] == pytest.approx((1 + 2 + 3) / 3)


def test_no_lists_cover_nothing():
    empty = metrics.of_lists(np.full((0, 20), -1), np.ones(3), np.ones(3, bool))
    assert empty == {"coverage": 0.0, "gini": 0.0, "novelty": 0.0}
