"""Scores of served lists fall strictly, whoever gave them; implicit's defaults are implicit's own."""

import numpy as np

from recjobs.core.evaluation import baselines
from recjobs.core.model.ranking import Ranked
from tests.unit.worlds import checkerboard, interactions

NONE = np.nan


def test_scores_behind_the_models_go_on_below_them_and_below_zero():
    ranked = Ranked(
        np.array([[4, 2, -1, -1], [4, 2, -1, -1], [-1] * 4]),
        np.array([[3, 2, NONE, NONE], [1, -2, NONE, NONE], [NONE] * 4], np.float32),
    )
    scores = baselines.falling_scores(ranked, np.array([[4, 2, 0, 1], [4, 2, 0, -1], [7, 8, 9, -1]]))
    np.testing.assert_array_equal(scores, [[3, 2, -1, -2], [1, -2, -3, NONE], [-1, -2, -3, NONE]])


def test_equal_scores_are_told_apart_in_the_order_of_their_ranks():
    ranked = Ranked(np.array([[5, 6, 7, 8]]), np.array([[2, 2, 2, 1]], np.float32))
    scores = baselines.falling_scores(ranked, ranked.item_idx)
    assert (np.diff(scores) < 0).all()
    np.testing.assert_allclose(scores, [[2, 2, 2, 1]])


def test_implicits_defaults_are_what_it_does_without_being_asked():
    user_items = interactions(checkerboard(12, 14, [])).pairs()
    item_factors, recipe = baselines.implicit_defaults(user_items, 7, 1)
    assert (recipe.factors, recipe.alpha, recipe.regularization, recipe.iterations) == (100, 1.0, 0.01, 15)
    assert item_factors.shape == (14, 100)
    assert recipe.half_life_days is None
