"""The list maker: ranking, items kept out, the ladder, predicted items and reasons.

All lists come from here, evaluated and served ones: the evaluation, the refit's check, comparisons, the search, `score`
and `trace`, for any set of users. A user's list does not depend on the other users in the call.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists import candidates
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.finished import Lists as Lists
from recjobs.core.lists.group_limits import POOL
from recjobs.core.lists.inactive import replaced
from recjobs.core.lists.knowledge import Knowledge as Knowledge
from recjobs.core.lists.ladder import Ladder, fill_up
from recjobs.core.lists.own_items import HALF_LIFE_DAYS, own_lists
from recjobs.core.lists.past import Past as Past
from recjobs.core.lists.reasons import Because, because, joined
from recjobs.core.lists.reranking import FirstStage
from recjobs.core.lists.seen import Seen
from recjobs.core.model.als import known_rows
from recjobs.core.model.attributes import Completed, completed, held_down
from recjobs.core.model.fold_in import blocks
from recjobs.core.model.ranker import Ranker
from recjobs.core.model.ranking import Ranked
from recjobs.core.model.user_items import takers_of
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY

SAMPLE_USERS = 1000
"""Users whose lists are measured for the places that new items take."""


@dataclass(frozen=True)
class Model:
    """item_factors (n_items, factors) in the order of the interactions' items (None: item neighbours alone), and their
    recipe. ranker: the second stage; None: the lists are the first stage's."""

    item_factors: np.ndarray | None
    recipe: Recipe
    ranker: Ranker | None = None


class ListMaker:
    """Makes lists of a model (None: of the ladder alone) from past interactions and knowledge.

    seen: (n_users, n_items), items kept out of each user's list, or what returns them when they are first looked at;
    None: none. choice: the groups that are served a simple list in place of the model's.
    """

    def __init__(
        self, past: Past, known: Knowledge, model: Model | None, seen: Seen, choice: ListChoice | None = None
    ) -> None:
        self.past, self.known, self._seen = past, known, seen
        self.choice = choice or ListChoice()
        if model is not None and model.item_factors is None:
            model = replace(model, recipe=replace(model.recipe, blend=1.0, random_walk=0.0, own_frequency=0.0))
        self.model = model

    @property
    def ladder(self) -> Ladder:
        """The ladder for users without a window of their own."""
        return self.past.ladder(self.known, self.choice.popular)

    @cached_property
    def completed(self) -> Completed | None:
        """The item factors for lists, with predicted ones of new items; None without a model."""
        if self.model is None:
            return None
        factors, recipe = self.model.item_factors, self.model.recipe
        if factors is None:
            taken = takers_of(self.past.confidence(recipe))
            factors = (taken > 0)[:, None].astype(np.float32)
        if self.known.max_new_share is None or self.known.items is None or self.model.item_factors is None:
            return Completed(factors, np.zeros(len(factors), bool))
        titles, categories = (self.known.items[name].combine_chunks() for name in ("title", "categories"))
        result = completed(factors, titles, categories, recipe.blend)
        return self._held_down(result, factors) if result.predicted.any() else result

    def _held_down(self, result: Completed, factors: np.ndarray) -> Completed:
        """Limit the places of predicted items. Users are folded in without them, which keeps the others in order."""
        assert self.model is not None  # noqa: S101 - for mypy: there are predicted items
        assert self.known.max_new_share is not None  # noqa: S101 - likewise
        recipe, engine = self.model.recipe, self.past.engine
        confidence, blend = self.past.confidence(recipe), self.past.blend(recipe)
        users = np.flatnonzero(np.diff(confidence.indptr) > 0)
        users = users[:: -(-users.size // SAMPLE_USERS) or 1]
        vectors = engine.fold_in(factors, recipe).vectors(confidence[users])
        seen, added = self._seen_by(users), None if blend is None else blend.of(users)
        n, eligible, most = self.known.served, self.known.eligible, self.known.max_new_share
        held = held_down(result, vectors, n, seen, eligible, most, engine.threads, added)
        return replace(result, item_factors=held)

    def _seen_by(self, users: np.ndarray) -> csr_matrix | None:
        if callable(self._seen):
            self._seen = self._seen()
        return None if self._seen is None else self._seen[users]

    def lists(self, users: np.ndarray, n: int, reasons: int = 0) -> Lists:
        """The lists of n items of these users (user_idx), with reasons for the first `reasons` places."""
        ranked, explained = self.rank(users, n, reasons)
        return replace(self.finish(ranked, users), because=explained)

    def rank(self, users: np.ndarray, n: int, reasons: int = 0) -> tuple[Ranked, Because | None]:
        """The model's items for these users; empty for users whom the choice gives another list."""
        if self.model is None or self.completed is None:
            nothing = np.full((users.size, n), -1, np.int32)
            return Ranked(nothing, np.full(nothing.shape, np.nan, np.float32)), None
        item_factors, engine, ranker = self.completed.item_factors, self.past.engine, self.model.ranker
        others = self.choice.replaced(self.past.activity[users]) if self.choice.instead else None
        limits, parts, explained = self.known.limits, [], []
        width = n if limits is None else max(n, min(POOL, len(item_factors)))
        for block in self.first_stage(users, width if ranker is None else max(width, candidates.FIRST)):
            part = block.ranked
            if ranker is not None:
                stage = self.past.second_stage(self.model.recipe)
                part = stage.ordered(ranker, block, item_factors, self.completed.predicted)
                part = part.first(n) if limits is None else part
            if limits is not None:
                part = limits.first(part, n)
            if others is not None:
                part = part.without(others[block.place])
            parts.append(part)
            if reasons:
                explained.append(because(part, reasons, item_factors, block.folded, engine.threads, block.added))
        return Ranked.joined(parts, n), joined(explained) if explained else None

    def candidates(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(item_idx of the candidates of these users' second stage; their features), see `SecondStage.features`"""
        assert self.model is not None  # noqa: S101 - for mypy: a second stage has a model
        assert self.completed is not None  # noqa: S101 - likewise
        stage, item_factors = self.past.second_stage(self.model.recipe), self.completed.item_factors
        parts = [stage.features(block, item_factors) for block in self.first_stage(users, candidates.FIRST)]
        listed, features = (np.concatenate(each) for each in zip(*parts, strict=True))
        return listed, features

    def first_stage(self, users: np.ndarray, n: int) -> Iterator[FirstStage]:
        """The model's n best items for these users, in blocks."""
        assert self.model is not None  # noqa: S101 - for mypy: callers look first
        assert self.completed is not None  # noqa: S101 - likewise
        recipe, engine, item_factors = self.model.recipe, self.past.engine, self.completed.item_factors
        confidence, blend = self.past.confidence(recipe), self.past.blend(recipe)
        fold_in = None if self.model.item_factors is None else engine.fold_in(self.model.item_factors, recipe)
        usable = self.known.eligible & known_rows(item_factors)
        rows, ranking = confidence[users], engine.ranking(item_factors, usable, blend)
        for place in blocks(users.size, item_factors.shape[1]):
            some = users[place]
            vectors, folded = fold_in.of(rows[place]) if fold_in else (np.zeros((some.size, 1), np.float32), None)
            added = None if blend is None else blend.of(some)
            seen = self._seen_by(some)
            ranked = ranking.best(vectors, n, seen, engine.threads, added)
            yield FirstStage(place, some, vectors, folded, added, ranked, seen, usable & ~self.completed.predicted)

    def is_inactive(self, users: np.ndarray) -> np.ndarray:
        """Whether each user's last interaction is older than `Knowledge.active_days`: whether they get no list."""
        if self.known.active_days is None:
            return np.zeros(users.size, bool)
        return np.asarray(self.past.last_at[users] < self.past.now - self.known.active_days * DAY)

    def finish(self, ranked: Ranked, users: np.ndarray) -> Lists:
        """Lists from `rank`, with own items where the choice says so, filled down the ladder. Inactive users have the
        popular list, which does not look at what they have seen. Last, lists lose the items below `min_scores`."""
        ranked, again = self._with_own_items(ranked, users)
        n_items, width = self.past.rows.n_items, ranked.item_idx.shape[1]
        item_idx, scores = np.empty((users.size, width), np.int32), np.empty((users.size, width), np.float32)
        n_category = np.zeros(users.size, np.int64)
        for window, mask in self.choice.windows(self.past.activity[users]).items():
            rows = np.flatnonzero(mask)
            if rows.size:
                some, ladder = users[rows], self.past.ladder(self.known, window)
                lists, _, n_category[rows] = fill_up(
                    ranked.rows(rows), ladder, some, self._seen_by(some), n_items, self.known.limits
                )
                item_idx[rows], scores[rows] = lists.item_idx, lists.scores
        lists, inactive = Ranked(item_idx, scores), self.is_inactive(users)
        if inactive.any():
            lists = replaced(lists, inactive, self.ladder.overall, n_items, self.known.limits)
        n_model, n_category = (np.where(inactive, 0, counts) for counts in (ranked.lengths, n_category))
        return Lists(lists, n_model, n_category, again & ~inactive).confident(self.choice.min_scores)

    def _with_own_items(self, ranked: Ranked, users: np.ndarray) -> tuple[Ranked, np.ndarray]:
        """(the lists, a mask of those that now begin with own items)"""
        again = self.choice.by_own_frequency(self.past.activity[users])
        if not again.any():
            return ranked, again
        some, n, popular = users[again], ranked.item_idx.shape[1], self.ladder.overall.order
        frequency, limits = self.past.own_frequency_of(some, HALF_LIFE_DAYS), self.known.limits
        width = n if limits is None else max(n, POOL)
        own = own_lists(frequency, width, self._seen_by(some), self.known.eligible, popular)
        own = own if limits is None else limits.first(own, n)
        item_idx, scores = ranked.item_idx.copy(), ranked.scores.copy()
        item_idx[again], scores[again] = own.item_idx, own.scores
        return Ranked(item_idx, scores), again
