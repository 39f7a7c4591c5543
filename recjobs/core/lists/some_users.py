"""Lists of some users from their own rows, and from what all users' lists share: a part of the work, elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.lists.ladder import Ladder
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.popularity import WINDOWS
from recjobs.core.lists.reranking import OfAll, SecondStage
from recjobs.core.model.attributes import Completed
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import Interactions


@dataclass(frozen=True, eq=False)
class OfAllUsers:
    """What a list maker has computed from the rows of all users.

    similarity: the item neighbours, None where no list needs them; ladders: by window, without users; second_stage: as
    `SecondStage.of_all`.
    """

    now: int
    model: Model | None
    completed: Completed | None
    eligible: np.ndarray
    served: int
    choice: ListChoice
    similarity: csr_matrix | None
    ladders: dict[str, Ladder]
    second_stage: OfAll | None
    limits: GroupLimits | None = None
    active_days: float | None = None

    @classmethod
    def of(cls, maker: ListMaker) -> "OfAllUsers":
        """What a maker of all users' lists shares with those of some of them."""
        past, known, model, choice = maker.past, maker.known, maker.model, maker.choice
        ranker = None if model is None else model.ranker
        needs_neighbours = model is not None and (model.recipe.blend > 0 or ranker is not None)
        windows = {choice.popular, *(name for name in choice.instead.values() if name in WINDOWS)}
        return cls(
            past.now,
            model,
            maker.completed,
            known.eligible,
            known.served,
            choice,
            past.similarity(model.recipe) if model is not None and needs_neighbours else None,
            {window: replace(past.ladder(known, window), prefers=[], segments=[]) for window in sorted(windows)},
            None if model is None or ranker is None else past.second_stage(model.recipe).of_all,
            known.limits,
            known.active_days,
        )

    def maker(
        self,
        interactions: Interactions,
        segments: list[str | None],
        prefers: list[list[str]],
        seen_of: Callable[[Interactions], csr_matrix | None],
        threads: int = 1,
    ) -> ListMaker:
        """The maker of some users' lists, which are the same as among all users. Their user_idx counts from 0.

        interactions, segments, prefers: theirs; seen_of: what is kept out of their lists.
        """
        known = Knowledge(self.eligible, None, segments, prefers, None, self.served, self.limits, self.active_days)
        past = _PastOfSome(interactions, Engine(threads), self)
        maker = ListMaker(past, known, self.model, seen_of(interactions), self.choice)
        maker.completed = self.completed
        return maker


class _PastOfSome(Past):
    """The past of some users, with what was computed from that of all."""

    def __init__(self, interactions: Interactions, engine: Engine, of_all: OfAllUsers) -> None:
        super().__init__(interactions, of_all.now, engine)
        self._of_all = of_all

    def similarity(self, recipe: Recipe, known: csr_matrix | None = None) -> csr_matrix:
        """The item neighbours of all users: a night has one model."""
        assert self._of_all.similarity is not None  # noqa: S101 - for mypy: `of` computes it where a list needs it
        return self._of_all.similarity

    def second_stage(self, recipe: Recipe) -> SecondStage:
        """The second stage, with what depends on all users."""
        key = replace(recipe, rerank=True)
        if key not in self._second_stages:
            self._second_stages[key] = SecondStage(self, key, self._of_all.second_stage)
        return self._second_stages[key]

    def ladder(self, known: Knowledge, window: str) -> Ladder:
        """The ladder of all users, with these users' rungs."""
        key = (known, window)
        if key not in self._ladders:
            n_users = self.interactions.n_users
            prefers, segments = known.prefers or [[]] * n_users, known.segments or [None] * n_users
            self._ladders[key] = replace(self._of_all.ladders[window], prefers=prefers, segments=segments)
        return self._ladders[key]
