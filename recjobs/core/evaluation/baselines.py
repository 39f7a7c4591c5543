"""Baselines of a recipe: implicit with its defaults, and scores for filled lists."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from recjobs.core.model.ranking import Ranked
from recjobs.core.recipe import Recipe


def implicit_defaults(user_items: csr_matrix, seed: int, threads: int) -> tuple[np.ndarray, Recipe]:
    """(item factors fit by implicit with its defaults, the recipe of these defaults)."""
    model = AlternatingLeastSquares(random_state=seed, num_threads=threads)
    model.fit(user_items, show_progress=False)
    recipe = Recipe(model.factors, model.alpha, model.regularization, model.iterations)
    return np.asarray(model.item_factors), recipe


def falling_scores(ranked: Ranked, lists: np.ndarray) -> np.ndarray:
    """A score for each item of lists that were filled up behind a model's items: (n_users, n) float64.

    The model's own where there is one; filled items follow below it, and below 0, in steps of one. Scores fall strictly
    along a list, so that sorting by score keeps the order. NaN behind the end of a list.
    """
    n_model, n = ranked.lengths, lists.shape[1]
    scores = ranked.scores.astype(np.float64)
    last = np.take_along_axis(scores, np.maximum(n_model - 1, 0)[:, None], axis=1)
    floor = np.minimum(np.where(n_model[:, None] > 0, last, 0), 0)
    behind = np.arange(n) - n_model[:, None] + 1
    scores = np.where(behind > 0, floor - behind, scores)
    for rank in range(1, n):
        scores[:, rank] = np.minimum(scores[:, rank], np.nextafter(scores[:, rank - 1], -np.inf))
    return np.where(lists >= 0, scores, np.nan)
