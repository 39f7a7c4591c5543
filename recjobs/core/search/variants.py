"""Recipes that differ in how scores are mixed alone: one fit and one pass over the scores judge them all.

A score is linear in its parts: ALS, TF-IDF neighbours, random walks, own items. So the parts are computed once for each
user, and the lists of a further recipe cost a sum over the items that are high in any part (docs/decisions/0091).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.evaluation import metrics
from recjobs.core.evaluation.exam import Exam, K
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.als import known_rows
from recjobs.core.model.compiled import highest
from recjobs.core.model.neighbours import SAME, Blend
from recjobs.core.model.nth_highest import nth_highest
from recjobs.core.model.ranking import CHUNK, Ranked, Ranking
from recjobs.core.model.threads import in_threads
from recjobs.core.recipe import Recipe
from recjobs.core.search.space import Space

BLENDS, WALKS, OWN = (0.1, 0.2, 0.3, 0.45, 0.6), (0.0, 0.5, 1.0), (0.0, 0.3, 0.6)
NEAR = (-0.1, 0.0, 0.1)
"""How far from a recipe's own the mixtures are that are judged with one near the best."""
CANDIDATES = 200
"""Items of each part that a mixture's list is looked for among. A list that may hold others is made of all items."""


def variants_of(space: Space, recipe: Recipe) -> list[Recipe]:
    """The recipes to judge with this one, by its fit: without and with each of BLENDS, WALKS and, where the space has
    own items, OWN. Empty for neighbours alone."""
    names = {one.name for one in space.ranges}
    if recipe.blend >= 1 or not {"blend", "random_walk"} <= names:
        return []
    mixtures = [(0.0, 0.0), *product(BLENDS, WALKS)]
    owns = OWN if "own_frequency" in names else (recipe.own_frequency,)
    return _mixed_as(recipe, [(*mixture, own) for mixture, own in product(mixtures, owns)])


def variants_near(space: Space, recipe: Recipe) -> list[Recipe]:
    """As `variants_of`, with mixtures NEAR the recipe's own in place of a wide grid."""
    highest = {one.name: one.high for one in space.ranges}
    if recipe.blend >= 1 or not {"blend", "random_walk"} <= set(highest):
        return []
    highest["blend"] = min(highest["blend"], 0.95)  # neighbours alone have no part of the fit

    def around(name: str) -> list[float]:
        own = getattr(recipe, name)
        return [round(min(max(0.0, own + step), highest[name]), 3) for step in NEAR] if name in highest else [own]

    return _mixed_as(recipe, list(product(around("blend"), around("random_walk"), around("own_frequency"))))


def _mixed_as(recipe: Recipe, mixtures: Sequence[tuple[float, float, float]]) -> list[Recipe]:
    mixed = [replace(recipe, blend=blend, random_walk=walk, own_frequency=own) for blend, walk, own in mixtures]
    return [one for one in dict.fromkeys(mixed) if one != recipe]


def mean_ndcgs(
    past: Past, known: Knowledge, item_factors: np.ndarray, recipes: Sequence[Recipe], questions: Exam
) -> np.ndarray:
    """NDCG@20 of each recipe with the same item_factors, (recipes,).

    They differ in blend, random_walk and own_frequency alone, and each blend is below 1.
    """
    users, shown = questions.users, np.full((len(recipes), questions.users.size, K), -1, np.int32)
    parts = _Parts.of(past, known, item_factors, recipes, questions)

    def judge(first: int) -> None:
        last = min(first + CHUNK, users.size)
        scores = parts.scores(first, last)
        for lists, recipe in zip(shown, recipes, strict=True):
            scores.write_lists(recipe, lists[first:last])

    if parts.ranking.columns.size:
        in_threads(judge, range(0, users.size, CHUNK), past.engine.threads)
    maker = ListMaker(past, known, Model(item_factors, recipes[0]), questions.kept_out)
    values = []
    for lists in shown:
        ranked = Ranked(lists, np.where(lists < 0, np.float32(np.nan), np.float32(0)))
        finished = maker.finish(ranked, users).ranked.item_idx
        values.append(float(np.mean(metrics.per_user(finished, questions.holdout, K)["ndcg"])))
    return np.array(values)


@dataclass(frozen=True)
class _Parts:
    """What the scores of some users consist of. blends: of TF-IDF neighbours and of random walks; empty where no recipe
    has any. walk_scales: what walks are multiplied by, by random_walk."""

    ranking: Ranking
    vectors: np.ndarray
    blends: list[Blend]
    walk_scales: dict[float, float]
    own: csr_matrix | None
    seen: csr_matrix | None

    @classmethod
    def of(
        cls, past: Past, known: Knowledge, item_factors: np.ndarray, recipes: Sequence[Recipe], questions: Exam
    ) -> "_Parts":
        recipe, engine, users = recipes[0], past.engine, questions.users
        rows, fold_in = past.confidence(recipe)[users], engine.fold_in(item_factors, recipe)
        vectors = fold_in.vectors(rows)
        ranking = engine.ranking(item_factors, known.eligible & known_rows(item_factors))
        own = None
        if any(one.own_frequency for one in recipes):
            own = past.own_frequency(recipe.own_half_life_days)[users][:, ranking.columns].tocsr()
        similarities, scales = [], {}
        if any(one.blend for one in recipes):
            parts, n = past.item_similarity(recipe), recipe.neighbours
            similarities = [parts.of(n, 0.0), parts.of(n, 1.0)]
            shares = {one.random_walk for one in recipes if 0 < one.random_walk < 1}
            scales = {share: parts.walk_scale(n, share) for share in shares}
        blends = [Blend(rows, similarity[:, ranking.columns].tocsr(), 1.0) for similarity in similarities]
        seen = None if questions.kept_out is None else questions.kept_out[users]
        return cls(ranking, vectors, blends, scales, own, seen)

    def scores(self, first: int, last: int) -> "_Scores":
        """The parts of the scores of users first to last - 1."""
        n_parts = 1 + len(self.blends) + (self.own is not None)
        values = np.zeros((n_parts, last - first, self.ranking.columns.size), np.float32)
        values[0] = self.ranking.products(self.vectors[first:last])
        for part, blend in enumerate(self.blends, 1):
            blend.add_to(values[part], first, last)
        if self.own is not None:
            values[-1] = self.own[first:last].toarray()
        known = np.asarray(self.vectors[first:last].any(axis=1))
        largest = np.abs(values).max(axis=2)
        centred = values - values.mean(axis=2, keepdims=True)
        values[1 : 1 + len(self.blends)] = centred[1 : 1 + len(self.blends)]
        by_user = centred.transpose(1, 0, 2)
        covariance = np.matmul(by_user, by_user.transpose(0, 2, 1)).astype(np.float64) / values.shape[2]
        if self.seen is not None:
            for part in range(1, n_parts):
                self.ranking.without_seen(values[part], self.seen, first)
                values[part][np.isneginf(values[part])] = 0  # -inf times a weight of 0 is no number
            self.ranking.without_seen(values[0], self.seen, first)
        return _Scores.of(values, known, largest, covariance, self)


@dataclass(frozen=True)
class _Scores:
    """The scores of some users. values: (parts, n_users, columns); least: (parts, n_users), what no item that is not
    among the candidates exceeds; column, candidates: (n_users, width) and (parts, n_users, width), -inf behind the end
    in the first part; covariance: (n_users, parts, parts) over all items, before seen ones are left out."""

    values: np.ndarray
    known: np.ndarray
    largest: np.ndarray
    covariance: np.ndarray
    least: np.ndarray
    column: np.ndarray
    candidates: np.ndarray
    parts: _Parts

    @classmethod
    def of(
        cls, values: np.ndarray, known: np.ndarray, largest: np.ndarray, covariance: np.ndarray, parts: _Parts
    ) -> "_Scores":
        n_parts, n_users, n_columns = values.shape
        if n_columns <= 2 * CANDIDATES:
            least = np.full((n_parts, n_users), -np.inf, np.float32)
            return cls(
                values, known, largest, covariance, least, np.tile(np.arange(n_columns), (n_users, 1)), values, parts
            )
        least = np.stack([nth_highest(part, CANDIDATES) for part in values])
        row, column = np.nonzero((values > least[:, :, None]).any(axis=0))
        counts = np.bincount(row, minlength=n_users)
        place = np.arange(row.size) - (np.cumsum(counts) - counts)[row]
        columns = np.zeros((n_users, max(1, int(counts.max()))), np.int64)
        columns[row, place] = column
        candidates = np.zeros((n_parts, *columns.shape), np.float32)
        candidates[0] = -np.inf
        candidates[:, row, place] = values[:, row, column]
        return cls(values, known, largest, covariance, least, columns, candidates, parts)

    def write_lists(self, recipe: Recipe, lists: np.ndarray) -> None:
        """Write each user's list by a recipe; users without factors keep theirs."""
        weights, columns = self._weights(recipe), self.parts.ranking.columns
        width = min(lists.shape[1], columns.size)
        scores = _mixed(self.candidates, weights)
        if scores.shape[1] < width:
            scores = np.pad(scores, ((0, 0), (0, width - scores.shape[1])), constant_values=-np.inf)
        top, picked = highest(scores, width)
        chosen = np.take_along_axis(self.column, np.minimum(top, self.column.shape[1] - 1), axis=1)
        outside = (weights * np.where(weights > 0, self.least, 0)).sum(axis=0)
        for user in np.flatnonzero(self.known & ~(picked[:, -1] > outside) & np.isfinite(outside)):
            some = slice(user, user + 1)
            chosen[some], picked[some] = highest(_mixed(self.values[:, some], weights[:, some]), width)
        chosen = np.where(np.isfinite(picked), columns[chosen], -1)
        lists[self.known, :width] = chosen[self.known]

    def _weights(self, recipe: Recipe) -> np.ndarray:
        """What each part is multiplied by, (parts, n_users), as `Blend.add_to` and `BlendWithOwn.add_to` have it."""
        covariance = self.covariance
        weights = np.zeros((len(self.values), len(self.known)))
        weights[0] = 1
        if recipe.blend:
            walk = recipe.random_walk
            share = np.array([0.0, 1.0] if walk == 1 else [1.0, self.parts.walk_scales.get(walk, 0.0)])
            spread = np.sqrt(np.einsum("p,upq,q->u", share, covariance[:, 1:3, 1:3], share))
            unit = recipe.blend / (1 - recipe.blend) * np.sqrt(covariance[:, 0, 0])
            differ = spread > SAME * (share @ self.largest[1:3])
            weights[1:3] = share[:, None] * np.divide(unit, spread, out=np.zeros_like(spread), where=differ)
        if recipe.own_frequency:
            variance = np.einsum("pu,upq,qu->u", weights, covariance, weights)
            unit = recipe.own_frequency / (1 - recipe.own_frequency) * np.sqrt(np.maximum(variance, 0))
            spread = np.sqrt(covariance[:, -1, -1])
            weights[-1] = np.divide(unit, spread, out=np.zeros_like(spread), where=spread > 0)
        return np.asarray(weights, np.float32)


def _mixed(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    scores: np.ndarray = values[0].copy()
    for part in range(1, len(values)):
        if weights[part].any():
            scores += weights[part][:, None] * values[part]
    return scores
