"""Rank for several models and several sets of users at once, as an evaluation asks for them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.als import known_rows
from recjobs.core.model.ranking import Asked, Ranked, Ranking, Scored, best_in_one_pass


class View(Protocol):
    """Users (user_idx), and the items kept out of lists, (all users, n_items) or None."""

    @property
    def users(self) -> np.ndarray:
        """Those whose lists are asked for, ascending."""

    @property
    def kept_out(self) -> csr_matrix | None:
        """What their lists omit."""


def rank_views(
    past: Past, known: Knowledge, models: Mapping[str, Model], views: Sequence[View], n: int
) -> list[dict[str, Ranked]]:
    """For each view, what `ListMaker.rank` makes of each model, by name; without the models that have a second stage,
    and without any where lists have limits.

    A user in several views is folded in and scored once, and models that share their neighbours add them up once.
    """
    models = {name: model for name, model in models.items() if model.ranker is None and known.limits is None}
    users = np.unique(np.concatenate([np.zeros(0, np.int64), *(view.users for view in views)]))
    makers = {name: ListMaker(past, known, model, None) for name, model in models.items()}
    scored: list[Scored] = []
    for maker in makers.values():
        scored.append(_scored(maker, users, [one.ranking for one in scored]))
    asked = [_asked(view, users) for view in views]
    ranked = best_in_one_pass(scored, n, asked, past.engine.threads) if scored else []
    places = [np.searchsorted(users, view.users) for view in views]
    return [
        {name: of_views[number].rows(rows) for name, of_views in zip(makers, ranked, strict=True)}
        for number, rows in enumerate(places)
    ]


def _scored(maker: ListMaker, users: np.ndarray, before: Sequence[Ranking]) -> Scored:
    assert maker.model is not None  # noqa: S101 - for mypy: these makers have a model
    assert maker.completed is not None  # noqa: S101 - likewise
    recipe, engine, item_factors = maker.model.recipe, maker.past.engine, maker.completed.item_factors
    vectors = np.zeros((users.size, item_factors.shape[1]), np.float32)
    if maker.model.item_factors is not None:
        fold_in, rows = engine.fold_in(maker.model.item_factors, recipe), maker.past.confidence(recipe)[users]
        vectors = fold_in.vectors(rows)
    blend = maker.past.blend(recipe)
    ranking = engine.ranking(item_factors, maker.known.eligible & known_rows(item_factors), blend)
    ranking.share_neighbours(before)
    return Scored(ranking, vectors, None if blend is None else blend.of(users))


def _asked(view: View, users: np.ndarray) -> Asked:
    wanted = np.isin(users, view.users, assume_unique=True)
    return Asked(None if view.kept_out is None else view.kept_out[users], None if wanted.all() else wanted)
