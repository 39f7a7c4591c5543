"""Random walks (RP3beta): by the definition, written out; mixed with TF-IDF neighbours; absent with the share 0."""

import numpy as np
import pytest

from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.model.neighbours import similarity_of
from recjobs.core.model.random_walk import BETA, ItemSimilarity, random_walk_of
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions, sets

TASTES = sets(*[[0, 1, 2]] * 5, *[[3, 4, 5]] * 5, [0, 1], [3, 4], [2, 3], n_items=7)


def drawn(n_users=40, n_items=15, seed=5):
    rng = np.random.default_rng(seed)
    rows = [(u, i, 1, rng.uniform(0.2, 3)) for u in range(n_users) for i in range(n_items) if rng.random() < 0.3]
    return interactions(rows, n_users, n_items + 1)


def by_definition(user_items):
    """Step by step: from each item to its users, and on to their items."""
    x = user_items.toarray().astype(np.float64)
    popularity, activity = x.sum(axis=0), x.sum(axis=1)
    to_users = np.divide(x, popularity, out=np.zeros_like(x), where=popularity > 0).T
    to_items = np.divide(x.T, activity, out=np.zeros_like(x.T), where=activity > 0).T
    return np.divide(to_users @ to_items, popularity**BETA, out=np.zeros((x.shape[1],) * 2), where=popularity > 0)


def test_a_walk_has_the_probabilities_of_two_steps_less_what_is_popular():
    user_items = drawn().confidence(Recipe(weight_scale="linear"), NOW)
    expected = by_definition(user_items)
    assert expected.any(axis=1).sum() == 15
    np.testing.assert_allclose(random_walk_of(user_items, 16, 1).toarray(), expected, rtol=1e-5)


def test_of_each_item_the_most_probable_are_kept():
    user_items = drawn().confidence(Recipe(weight_scale="linear"), NOW)
    expected, walk = by_definition(user_items), random_walk_of(user_items, 4, 2)
    assert np.diff(walk.indptr).max() == 4
    for item in range(15):
        assert set(walk[item].indices) == set(np.argsort(-expected[item])[:4])


@pytest.mark.parametrize("rows", [[[]], [[0, 1]], [[0], [0, 1]]])
def test_sets_too_small_to_walk_give_finite_similarities(rows):
    similarity = ItemSimilarity(sets(*rows, n_items=2), 1)
    assert all(np.isfinite(similarity.of(5, share).data).all() for share in (0.0, 0.5, 1.0))


def test_a_share_counts_in_standard_deviations_of_a_users_scores():
    similarity = ItemSimilarity(TASTES, 1)
    ends = [similarity.of(7, share).toarray() for share in (0.0, 1.0)]
    np.testing.assert_array_equal(ends[0], similarity_of(TASTES, 7, 1).toarray())
    np.testing.assert_array_equal(ends[1], random_walk_of(TASTES, 7, 1).toarray())
    spreads = [(TASTES @ end).std(axis=1) for end in ends]
    expected = ends[0] + 0.6 / 0.4 * np.exp(np.log(spreads[0] / spreads[1]).mean()) * ends[1]
    np.testing.assert_allclose(similarity.of(7, 0.6).toarray(), expected, rtol=2e-3)


def lists_of(past, **changes):
    recipe = Recipe(factors=4, alpha=10, regularization=1, blend=0.4, **changes)
    factors = past.engine.fit(past.confidence(recipe), recipe, 1).item_factors
    maker = ListMaker(past, Knowledge.of_train(past.interactions), Model(factors, recipe), None)
    return maker.lists(np.arange(40), 10, 10)


def test_lists_follow_the_share_and_reasons_are_of_the_mixed_score():
    past = Past(drawn(), NOW, Engine())
    plain, mixed = lists_of(past), lists_of(past, random_walk=0.7)
    assert (plain.ranked.scores != mixed.ranked.scores).any()
    fresh = lists_of(Past(drawn(), NOW, Engine()), random_walk=0.0)
    np.testing.assert_array_equal(plain.ranked.item_idx, fresh.ranked.item_idx)
    np.testing.assert_array_equal(plain.ranked.scores, fresh.ranked.scores)
    assert mixed.because is not None
    assert (mixed.because.packed > 0).any()


def test_neighbours_as_a_baseline_know_no_walk():
    past = Past(drawn(), NOW, Engine())
    known = Knowledge.of_train(past.interactions)
    makers = [ListMaker(past, known, Model(None, Recipe(random_walk=share)), None) for share in (0.0, 0.9)]
    plain, other = (maker.lists(np.arange(40), 10) for maker in makers)
    np.testing.assert_array_equal(plain.ranked.scores, other.ranked.scores)
