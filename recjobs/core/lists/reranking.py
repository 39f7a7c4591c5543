"""The second stage: the first stage's best items of each user, in the order that a ranker gives them."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists import candidates
from recjobs.core.lists.candidates import CANDIDATES
from recjobs.core.lists.features import FEATURES, SCORES, item_features, pair_features, user_features, values_at
from recjobs.core.lists.own_items import HALF_LIFE_DAYS, own_last_days, own_lists
from recjobs.core.model.fold_in import FoldedIn
from recjobs.core.model.linear import Linear
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranker import Ranker
from recjobs.core.model.ranking import Ranked, first_unseen
from recjobs.core.model.threads import in_threads
from recjobs.core.recipe import Recipe
from recjobs.errors import ModelUnreadable

if TYPE_CHECKING:
    from recjobs.core.lists.past import Past

LINEAR_HALF_LIFE_DAYS = {"linear": 60.0, "linear_long": None}
"""Of the interactions of each linear model."""
_USERS = 256
"""Users whose features are computed at a time."""
_DECIMALS = 6
"""Of a ranker's score; of equal ones the first stage's better item comes first."""


@dataclass(frozen=True, eq=False)
class FirstStage:
    """What the first stage makes of some users, who are at `place` among those that were asked for.

    vectors: (n_users, factors), theirs; folded: what explains them, None where nobody is folded in; added: neighbours'
    and own items' part; ranked: at least `candidates.FIRST` places wide; seen: their rows, items kept out; usable:
    (n_items,), a mask of the items that may be added to candidates.
    """

    place: slice
    users: np.ndarray
    vectors: np.ndarray
    folded: FoldedIn | None
    added: Blend | None
    ranked: Ranked
    seen: csr_matrix | None
    usable: np.ndarray


OfAll = tuple[np.ndarray, dict[str, Linear | None]]
"""Features of items, and linear models by name."""


class SecondStage:
    """Candidates and their features, from one past and recipe, and the order of a ranker.

    of_all: the features of items and the linear models, where the past has the rows of some users only.
    """

    def __init__(self, past: "Past", recipe: Recipe, of_all: OfAll | None = None) -> None:
        self._past, self._recipe = past, recipe
        interactions, now = past.interactions, past.now
        self._items = item_features(interactions, now) if of_all is None else of_all[0]
        self._users = user_features(interactions, now, self._items)
        self._neighbours = past.blend(replace(recipe, blend=recipe.blend or 0.5, own_frequency=0.0))
        self._histories = {
            name: interactions.confidence(_of_linear(recipe, half_life), now)
            for name, half_life in LINEAR_HALF_LIFE_DAYS.items()
        }
        if of_all is None:
            self._linear = {name: Linear.fit(rows) for name, rows in self._histories.items()}
        else:
            self._linear = of_all[1]

    @property
    def of_all(self) -> OfAll:
        """What depends on all users: the features of items, and the linear models."""
        return self._items, self._linear

    @cached_property
    def _last_days(self) -> csr_matrix:
        return own_last_days(self._past.interactions, self._past.now)

    def features(self, first: FirstStage, item_factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(item_idx of users' candidates, (n_users, CANDIDATES), as `candidates.joined` returns them; their FEATURES,
        (n_users, CANDIDATES, FEATURES) float32, which mean nothing where there is no candidate).

        A user's rows do not depend on the other users.
        """
        orders = candidates.orders(self._items, first.usable)
        of = partial(self._features, first, item_factors, orders, True)
        parts = in_threads(of, _parts(first.users.size), self._past.engine.threads)
        nobody = np.zeros((0, CANDIDATES), np.int32), np.zeros((0, CANDIDATES, len(FEATURES)), np.float32)
        listed, features = (np.concatenate(each) for each in zip(nobody, *parts, strict=True))
        return listed, features

    def _features(
        self, first: FirstStage, item_factors: np.ndarray, orders: dict[str, np.ndarray], has_others: bool, part: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """The features of some users' candidates; has_others: whether there are those of other generators."""
        users, places = first.users[part], candidates.PLACES
        seen = None if first.seen is None else first.seen[part]
        added = {name: first_unseen(order, places[name], seen, users.size) for name, order in orders.items()}
        linear = {}
        for name, model in self._linear.items():
            if model is not None:
                linear[name] = model, model.scores(self._histories[name][users])
                added[name] = candidates.of_linear(*linear[name], places[name], seen, first.usable)
        confidence = self._past.confidence(self._recipe)[users]
        has_own = seen is None or seen.nnz < confidence.nnz  # else users' own items are kept out
        if has_own:
            frequency, last_days = self._past.own_frequency(HALF_LIFE_DAYS)[users], self._last_days[users]
            added["own"] = own_lists(frequency, places["own"], seen, first.usable, orders["popular"]).item_idx
        listed = candidates.joined(first.ranked.item_idx[part], added if has_others else {})
        vectors, factors = first.vectors[part].astype(np.float64), item_factors[listed].astype(np.float64)
        blend = np.full(listed.shape, np.nan)
        blend[:, : candidates.FIRST] = first.ranked.scores[part, : candidates.FIRST]
        scores = {
            "blend": blend,
            "als": np.einsum("uf,unf->un", vectors, factors),
            "neighbours": None if self._neighbours is None else self._neighbours.of(users).at(listed),
            **{name: model.at(of_known, listed) for name, (model, of_known) in linear.items()},
        }
        none = np.zeros(listed.shape)
        of_own, days = (values_at(frequency, listed), values_at(last_days, listed)) if has_own else (none, none)
        own = {
            "own_confidence": values_at(confidence, listed) if has_own else none,
            "own_frequency": of_own,
            "own_last_days": np.where(days > 0, days - 1, np.nan),
        }
        pairs = pair_features(listed, {name: scores.get(name) for name in SCORES}, own)
        of_users = np.broadcast_to(self._users[users][:, None], (*listed.shape, self._users.shape[1]))
        return listed, np.concatenate([pairs, self._items[listed], of_users], axis=2)

    def ordered(self, ranker: Ranker, first: FirstStage, item_factors: np.ndarray, fixed: np.ndarray) -> Ranked:
        """The first stage's lists with the candidates in front, in the ranker's order.

        Scores stay where they are: they fall along the list, and mean what the first stage's mean. fixed: (n_items,), a
        mask of items that keep their places, such as those whose factors are predicted. Raises ModelUnreadable if the
        ranker is no text of LightGBM, or asks for a feature that there is not.
        """
        columns = _columns(ranker)
        item_idx = first.ranked.item_idx.copy()
        orders = candidates.orders(self._items, first.usable)
        has_others = _knows_others(ranker)

        def order(part: slice) -> None:
            listed, features = self._features(first, item_factors, orders, has_others, part)
            movable = (listed >= 0) & ~fixed[np.maximum(listed, 0)]
            scores = np.full(listed.shape, -np.inf)
            scores[movable] = np.round(ranker.scores(features[movable][:, columns]), _DECIMALS)
            best = np.argsort(-scores, axis=1, kind="stable")  # the movable ones first, best first
            moved = np.arange(listed.shape[1]) < movable.sum(axis=1)[:, None]
            # Both masks have as many places in each row, and row by row they are filled in order.
            listed[movable] = np.take_along_axis(listed, best, axis=1)[moved]
            item_idx[part] = _followed(listed, first.ranked.item_idx[part])

        in_threads(order, _parts(first.users.size), self._past.engine.threads)
        return replace(first.ranked, item_idx=item_idx)

    def contributions(
        self, ranker: Ranker, first: FirstStage, item_factors: np.ndarray, item: int
    ) -> tuple[list[str], np.ndarray, np.ndarray]:
        """(the ranker's features, their values for an item (item_idx) of one user, what each adds to its score beyond
        the mean over the user's candidates); nothing where the item is no candidate. first: that user's alone."""
        columns, orders = _columns(ranker), candidates.orders(self._items, first.usable)
        listed, features = self._features(first, item_factors, orders, _knows_others(ranker), slice(0, 1))
        if not (here := listed[0] == item).any():
            return [], np.zeros(0), np.zeros(0)
        rows = features[0, listed[0] >= 0][:, columns]
        added = ranker.contributions(rows)
        place = int(here[listed[0] >= 0].argmax())
        return ranker.names, rows[place], added[place] - added.mean(axis=0)


def _columns(ranker: Ranker) -> list[int]:
    """The features that a ranker asks for, as columns. Raises ModelUnreadable if there is no such feature."""
    if unknown := [name for name in ranker.names if name not in FEATURES]:
        raise ModelUnreadable(f"the ranker asks for features of another version: {', '.join(unknown)}")
    return [list(FEATURES).index(name) for name in ranker.names]


def _knows_others(ranker: Ranker) -> bool:
    """Whether a ranker has learned from candidates of other generators; one of a version without them has not."""
    return "linear_long" in ranker.names


def _followed(front: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """The items of `front`, and behind them those of `ranked` that are not in it, as wide as `ranked`; -1: none."""
    rest = ranked[:, candidates.FIRST :].copy()
    if rest.shape[1]:
        is_front = np.zeros((len(front), max(front.max(initial=0), rest.max(initial=0)) + 2), bool)
        np.put_along_axis(is_front, front.astype(np.int64), True, axis=1)  # the last column is where -1 leads
        rest[np.take_along_axis(is_front, rest.astype(np.int64), axis=1)] = -1
    every = np.concatenate([front, rest], axis=1)
    kept = np.argsort(every < 0, axis=1, kind="stable")[:, : ranked.shape[1]]
    return np.take_along_axis(every, kept, axis=1)


def _parts(n_users: int) -> list[slice]:
    """Neighbouring users, so few that their features take some megabytes."""
    return [slice(begin, begin + _USERS) for begin in range(0, n_users, _USERS)]


def _of_linear(recipe: Recipe, half_life_days: float | None) -> Recipe:
    return Recipe(half_life_days=half_life_days, weight_scale="one", weight_cap=1.0, kinds=recipe.kinds)
