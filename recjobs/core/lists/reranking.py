"""The second stage: the first stage's best items of each user, in the order that a ranker gives them."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recjobs.core.lists.features import FEATURES, item_features, pair_features, user_features, values_at
from recjobs.core.lists.own_items import HALF_LIFE_DAYS
from recjobs.core.model.fold_in import Shares
from recjobs.core.model.linear import Linear
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranker import Ranker
from recjobs.core.model.ranking import Ranked, in_threads
from recjobs.core.recipe import Recipe
from recjobs.errors import ModelUnreadable

if TYPE_CHECKING:
    from recjobs.core.lists.maker import Past

CANDIDATES = 150
"""Items of the first stage that are ordered anew; what stands behind them stays where it is."""
LINEAR_HALF_LIFE_DAYS = 60.0
"""Of the linear model's interactions."""
_USERS = 256
"""Users whose features are computed at a time."""
_DECIMALS = 6
"""Of a ranker's score; of equal ones the first stage's better item comes first."""


@dataclass(frozen=True, eq=False)
class FirstStage:
    """What the first stage makes of some users, who are at `place` among those that were asked for.

    vectors: (n_users, factors), theirs; shares: what each interaction adds to them; added: neighbours' and own items'
    part.
    """

    place: slice
    users: np.ndarray
    vectors: np.ndarray
    shares: list[Shares]
    added: Blend | None
    ranked: Ranked


class SecondStage:
    """Features of candidates, from one past and recipe, and the order of a ranker."""

    def __init__(self, past: "Past", recipe: Recipe) -> None:
        self._past, self._recipe = past, recipe
        interactions, now = past.interactions, past.now
        self._items, self._users = item_features(interactions, now), user_features(interactions, now)
        self._neighbours = past.blend(replace(recipe, blend=recipe.blend or 0.5, own_frequency=0.0))
        self._histories = interactions.confidence(_of_linear(recipe), now)
        self._linear = Linear.fit(self._histories)

    def features(self, first: FirstStage, item_factors: np.ndarray) -> np.ndarray:
        """(n_users, CANDIDATES, FEATURES) float32: those of users' first items; rows behind a list's end mean nothing.

        A user's rows do not depend on the other users.
        """
        width = min(CANDIDATES, first.ranked.item_idx.shape[1])
        empty = np.zeros((0, width, len(FEATURES)), np.float32)
        of = partial(self._features, first, item_factors)
        return np.concatenate([empty, *in_threads(of, _parts(first.users.size), self._past.engine.threads)])

    def _features(self, first: FirstStage, item_factors: np.ndarray, part: slice) -> np.ndarray:
        users, listed = first.users[part], first.ranked.item_idx[part, :CANDIDATES]
        own = again = values_at(self._past.confidence(self._recipe)[users], listed)
        if own.any():  # else users' own items are kept out, and how often they were taken is not needed
            again = np.where(own > 0, values_at(self._past.own_frequency(HALF_LIFE_DAYS)[users], listed), 0)
        vectors, factors = first.vectors[part].astype(np.float64), item_factors[listed].astype(np.float64)
        scores = {
            "blend": np.nan_to_num(first.ranked.scores[part, :CANDIDATES]),
            "als": np.einsum("uf,unf->un", vectors, factors),
            "neighbours": None if self._neighbours is None else self._neighbours.of(users).at(listed),
            "linear": None if self._linear is None else self._linear.at(self._histories[users], listed),
        }
        pairs = pair_features(listed, scores, {"own_confidence": own, "own_frequency": again})
        of_users = np.broadcast_to(self._users[users][:, None], (*listed.shape, self._users.shape[1]))
        return np.concatenate([pairs, self._items[listed], of_users], axis=2)

    def ordered(self, ranker: Ranker, first: FirstStage, item_factors: np.ndarray, fixed: np.ndarray) -> Ranked:
        """The first stage's lists with their first CANDIDATES items in the ranker's order.

        Scores stay where they are: they fall along the list, and mean what the first stage's mean. fixed: (n_items,), a
        mask of items that keep their places, such as those whose factors are predicted. Raises ModelUnreadable if the
        ranker is no text of LightGBM, or asks for a feature that there is not.
        """
        if unknown := [name for name in ranker.names if name not in FEATURES]:
            raise ModelUnreadable(f"the ranker asks for features of another version: {', '.join(unknown)}")
        columns = [list(FEATURES).index(name) for name in ranker.names]
        item_idx = first.ranked.item_idx.copy()
        here = item_idx[:, :CANDIDATES]

        def order(part: slice) -> None:
            listed = here[part]
            movable = (listed >= 0) & ~fixed[np.maximum(listed, 0)]
            scores = np.full(listed.shape, -np.inf)
            rows = self._features(first, item_factors, part)[movable][:, columns]
            scores[movable] = np.round(ranker.scores(rows), _DECIMALS)
            best = np.argsort(-scores, axis=1, kind="stable")  # the movable ones first, best first
            moved = np.arange(listed.shape[1]) < movable.sum(axis=1)[:, None]
            # Both masks have as many places in each row, and row by row they are filled in order.
            listed[movable] = np.take_along_axis(listed, best, axis=1)[moved]

        in_threads(order, _parts(first.users.size), self._past.engine.threads)
        return replace(first.ranked, item_idx=item_idx)


def _parts(n_users: int) -> list[slice]:
    """Neighbouring users, so few that their features take some megabytes."""
    return [slice(begin, begin + _USERS) for begin in range(0, n_users, _USERS)]


def _of_linear(recipe: Recipe) -> Recipe:
    return Recipe(half_life_days=LINEAR_HALF_LIFE_DAYS, weight_scale="one", weight_cap=1.0, kinds=recipe.kinds)
