"""What lists follow from of the interactions before an instant; each part is computed once."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists.inactive import last_at
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.ladder import Ladder, PopularList
from recjobs.core.lists.own_items import own_frequency
from recjobs.core.lists.popularity import WINDOWS, popular_in_groups, popular_order
from recjobs.core.lists.reranking import SecondStage
from recjobs.core.model.engine import Engine
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.own_part import BlendWithOwn
from recjobs.core.model.random_walk import ItemSimilarity
from recjobs.core.model.user_items import UserItems
from recjobs.core.recipe import Recipe
from recjobs.core.rows.by_blocks import RowsOfUsers, activity_of, confidence_of
from recjobs.core.rows.interactions import Interactions, RowBlocks


class Past:
    """Interactions before an instant (`now`, microseconds), with cached results derived from them.

    user_items: returns their confidence by a recipe where that is not held in memory.
    """

    def __init__(
        self, rows: RowBlocks, now: int, engine: Engine, user_items: Callable[[Recipe], UserItems] | None = None
    ) -> None:
        self.rows, self.now, self.engine = rows, now, engine
        self._user_items = user_items or (lambda recipe: confidence_of(rows, recipe, now))
        self._confidence: dict[Recipe, UserItems] = {}
        self._parts: dict[Recipe, ItemSimilarity] = {}
        self._similarity: dict[tuple[Recipe, int, float], csr_matrix] = {}
        self._own: dict[float, csr_matrix] = {}
        self._ladders: dict[tuple[Knowledge, str], Ladder] = {}
        self._second_stages: dict[Recipe, SecondStage] = {}

    @property
    def interactions(self) -> Interactions:
        """All of them, in memory."""
        return self.rows.whole()

    @cached_property
    def activity(self) -> np.ndarray:
        """The number of interactions of each user, (n_users,)."""
        return activity_of(self.rows)

    @cached_property
    def last_at(self) -> np.ndarray:
        """The instant of each user's last interaction, (n_users,) microseconds; `now` without one."""
        return last_at(self.rows, self.now)

    def confidence(self, recipe: Recipe) -> UserItems:
        """user_items by a recipe, see `Interactions.confidence`."""
        key = _of_data(recipe)
        if key not in self._confidence:
            self._confidence[key] = self._user_items(recipe)
        return self._confidence[key]

    def blend(self, recipe: Recipe) -> Blend | None:
        """Every user's blend with item neighbours and own items; None where the recipe has neither."""
        rows, similarity = self.confidence(recipe), self.similarity(recipe) if recipe.blend else None
        if recipe.own_frequency:
            own = self.own_frequency(recipe.own_half_life_days)
            return BlendWithOwn.of_all(rows, similarity, recipe.blend, own, recipe.own_frequency)
        return None if similarity is None else Blend(rows, similarity, recipe.blend)

    def similarity(self, recipe: Recipe, known: csr_matrix | None = None) -> csr_matrix:
        """Item neighbours by a recipe, see `ItemSimilarity.of`. known: the same, as an earlier step made it."""
        key = (_of_data(recipe), recipe.neighbours, recipe.random_walk)
        if key not in self._similarity:
            if known is None:
                known = self.item_similarity(recipe).of(recipe.neighbours, recipe.random_walk)
            self._similarity[key] = known
        return self._similarity[key]

    def forget_similarity(self, recipe: Recipe) -> None:
        """Forget the item neighbours of other recipes: a search makes some for each of its trials."""
        key = (_of_data(recipe), recipe.neighbours, recipe.random_walk)
        self._similarity = {of: similarity for of, similarity in self._similarity.items() if of == key}
        for parts in self._parts.values():
            parts.forget_others(recipe.neighbours)

    def item_similarity(self, recipe: Recipe) -> ItemSimilarity:
        """What the neighbours of recipes that count interactions alike are made of."""
        data = _of_data(recipe)
        if data not in self._parts:
            self._parts[data] = ItemSimilarity(self.confidence(recipe), self.engine.threads)
        return self._parts[data]

    def own_frequency(self, half_life_days: float) -> csr_matrix:
        """user_items: how often each user took each item, see `own_items.own_frequency`."""
        if half_life_days not in self._own:
            self._own[half_life_days] = own_frequency(self.rows, self.now, half_life_days)
        return self._own[half_life_days]

    def own_frequency_of(self, users: np.ndarray, half_life_days: float) -> csr_matrix:
        """The same of some users; all are counted where those are many."""
        if half_life_days in self._own or 4 * users.size > self.rows.n_users:
            return self.own_frequency(half_life_days)[users]
        return own_frequency(RowsOfUsers(self.rows, users, self.activity), self.now, half_life_days)[users]

    def second_stage(self, recipe: Recipe) -> SecondStage:
        """The second stage of lists by a recipe."""
        key = replace(recipe, rerank=True)
        if key not in self._second_stages:
            self._second_stages[key] = SecondStage(self, key)
        return self._second_stages[key]

    def ladder(self, known: Knowledge, window: str) -> Ladder:
        """What lists are filled from, by the popularity of one window."""
        key = (known, window)
        if key not in self._ladders:
            days = WINDOWS[window]
            overall = PopularList(*popular_order(self.rows, self.now, days)).restricted_to(known.eligible)
            among = popular_in_groups(self.rows, self.now, days, known.segments or [])
            categories = None if known.items is None else known.items["categories"].combine_chunks()
            of_segments = {name: PopularList(*listed) for name, listed in among.items()}
            n_users = self.rows.n_users
            self._ladders[key] = Ladder.of(overall, categories, known.segments, known.prefers, of_segments, n_users)
        return self._ladders[key]


def _of_data(recipe: Recipe) -> Recipe:
    """The part of a recipe that confidence depends on, of a model or of neighbours alone."""
    names = ("half_life_days", "weight_scale", "weight_cap", "kinds")
    return Recipe(**{name: getattr(recipe, name) for name in names})
