"""Item neighbours, alone and mixed into ALS scores."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recjobs.core.model.neighbours import Blend, as_table, of_table, similarity_of
from recjobs.core.model.ranking import best_items
from tests.unit.worlds import sets

TASTES = sets(*[[0, 1, 2]] * 5, *[[3, 4, 5]] * 5, [0, 1], [3, 4], [2, 3], n_items=7)
EVERYTHING = np.ones(7, bool)


def test_items_that_the_same_users_took_are_neighbours():
    similarity = similarity_of(TASTES, 3, 1).toarray()
    assert similarity.shape == (7, 7)
    assert set(np.argsort(-similarity[0])[:3]) == {0, 1, 2}
    assert set(np.argsort(-similarity[4])[:3]) == {3, 4, 5}
    assert not similarity[6].any()


def test_only_so_many_neighbours_are_kept():
    assert np.diff(similarity_of(TASTES, 2, 1).indptr).max() == 2


@pytest.mark.parametrize("rows", [[[]], [[0, 1]], [[0], [0, 1]]])
def test_sets_too_small_for_tf_idf_give_finite_similarities(rows):
    assert np.isfinite(similarity_of(sets(*rows, n_items=2), 5, 1).data).all()


def scores(weight: float, users: np.ndarray, items: np.ndarray):
    blend = Blend(TASTES, similarity_of(TASTES, 7, 1), weight)
    return best_items(users, items, 7, None, EVERYTHING, 1, blend)


def test_both_scores_count_in_standard_deviations_and_the_sum_has_the_unit_of_als():
    rng = np.random.default_rng(4)
    users, items = rng.normal(size=(13, 3)).astype(np.float32), rng.normal(size=(7, 3)).astype(np.float32)
    found = scores(0.3, users, items)
    als, said = users @ items.T, (TASTES @ similarity_of(TASTES, 7, 1)).toarray()
    spread = als.std(axis=1, keepdims=True)
    added = spread * (said - said.mean(axis=1, keepdims=True)) / said.std(axis=1, keepdims=True)
    expected = als + 0.3 / 0.7 * added
    for user in range(13):
        np.testing.assert_allclose(found.scores[user], np.sort(expected[user])[::-1], rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(found.item_idx[user], np.argsort(-expected[user]))


def test_a_small_weight_hardly_changes_a_score_and_weight_one_is_neighbours_alone():
    rng = np.random.default_rng(4)
    users, items = rng.normal(size=(13, 3)).astype(np.float32), rng.normal(size=(7, 3)).astype(np.float32)
    plain = best_items(users, items, 7, None, EVERYTHING)
    np.testing.assert_allclose(scores(1e-6, users, items).scores, plain.scores, atol=1e-4)
    alone = scores(1.0, np.zeros_like(users), items)
    assert set(alone.item_idx[10][:3]) == {0, 1, 2}
    assert (alone.lengths > 0).all()


def test_a_user_without_an_interaction_has_no_neighbours_and_keeps_the_scores_of_als():
    nobody = sets([], n_items=7)
    users, items = np.ones((1, 2), np.float32), np.random.default_rng(1).normal(size=(7, 2)).astype(np.float32)
    similarity = similarity_of(TASTES, 7, 1)
    blended = best_items(users, items, 7, None, EVERYTHING, 1, Blend(nobody, similarity, 0.5))
    np.testing.assert_array_equal(blended.scores, best_items(users, items, 7, None, EVERYTHING).scores)
    alone = best_items(users, items, 7, None, EVERYTHING, 1, Blend(nobody, similarity, 1.0))
    assert alone.lengths.tolist() == [0]


def test_seen_items_and_items_that_are_not_eligible_stay_out():
    users, items = np.zeros((13, 2), np.float32), np.zeros((7, 2), np.float32)
    eligible = np.arange(7) != 1
    found = best_items(users, items, 7, TASTES, eligible, 1, Blend(TASTES, similarity_of(TASTES, 7, 1), 1.0))
    assert 1 not in found.item_idx
    assert found.item_idx[10][0] == 2, "the one of its taste that is left"
    for user, row in enumerate(found.item_idx):
        assert not set(row[row >= 0]) & set(TASTES[user].indices)


def test_neighbours_come_back_from_their_table_bit_by_bit():
    similarity = similarity_of(TASTES, 3, 1)
    back = of_table(as_table(similarity))
    assert back.shape == similarity.shape
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(back, name), getattr(similarity, name))
    assert back.data.dtype == np.float32
    nothing = csr_matrix((3, 3), dtype=np.float32)
    assert of_table(as_table(nothing)).nnz == 0
