"""Lists of some users, made of their own rows and what all share, are those that they have among all users."""

from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.features import FEATURES
from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.lists.some_users import OfAllUsers
from recjobs.core.model import ranker
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions

USERS, ITEMS, N = 90, 60, 20
PLAIN = Recipe(factors=6, alpha=5, regularization=1, iterations=3, half_life_days=40)
RECIPES = {
    "als": PLAIN,
    "blend": replace(PLAIN, blend=0.3),
    "own items": replace(PLAIN, blend=0.3, own_frequency=0.2),
    "second stage": replace(PLAIN, blend=0.3, rerank=True),
    "settings of lists": replace(PLAIN, blend=0.3, rerank=True),
}
PRODUCTS_AND_CATEGORIES = GroupLimits(np.arange(ITEMS) // 3, (np.arange(ITEMS) % 5)[:, None], 2)


def shop():
    rng = np.random.default_rng(4)
    rows = [
        (user, int(item), float(rng.uniform(0, 100)), float(rng.integers(1, 4)))
        for user in range(USERS - 3)  # three have no rows
        for item in rng.choice(ITEMS, rng.integers(1, 15)) // 4 * 4 + user % 4
    ]
    rows.sort(key=lambda row: row[:2])  # as `validate` leaves them
    return interactions(rows, USERS, ITEMS)


@pytest.mark.parametrize("kind", RECIPES)
@pytest.mark.parametrize("view", ["discovery", "repeats"])
def test_lists_of_some_users_are_those_they_have_among_all(kind: str, view: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranker, "TREES", 5)
    recipe, every, engine = RECIPES[kind], shop(), Engine()
    past = Past(every, NOW, engine)
    factors = engine.fit(past.confidence(recipe), recipe, 1).item_factors
    trees = None
    if recipe.rerank:
        first_stage = ListMaker(past, Knowledge.of_train(every), Model(factors, recipe), None)
        listed, of_them = first_stage.candidates(np.arange(USERS))
        labels = (listed[listed >= 0] % 3 == 0).astype(np.int32)
        groups = (listed >= 0).sum(axis=1)
        trees = ranker.Ranker.fit(of_them[listed >= 0], labels, groups[groups > 0], list(FEATURES), 1)
    segments = [None if user % 5 == 0 else f"s{user % 3}" for user in range(USERS)]
    known = Knowledge(np.arange(ITEMS) != 7, None, segments, [[]] * USERS, None, 10)
    if kind == "settings of lists":
        known = replace(known, limits=PRODUCTS_AND_CATEGORIES, active_days=20)
        assert ListMaker(past, known, None, None).is_inactive(np.arange(USERS)).sum() in range(10, 60)
    choice = replace(
        ListChoice.from_activity(past.activity), instead={"light": "popularity_all", "medium": "own_frequency"}
    )

    def seen_of(rows):
        return kept_out_of(rows, view, NOW, None)

    maker = ListMaker(past, known, Model(factors, recipe, trees), seen_of(every), choice)
    of_all, whole = OfAllUsers.of(maker), maker.lists(np.arange(USERS), N, 12)
    for first, last in ((0, 40), (40, 41), (41, USERS)):
        rows = every.where((every.user_idx >= first) & (every.user_idx < last))
        rows = replace(rows, user_idx=rows.user_idx - np.int32(first), n_users=last - first)
        part = of_all.maker(rows, segments[first:last], [[]] * (last - first), seen_of)
        some = part.lists(np.arange(last - first), N, 12)
        assert some.ranked.item_idx.tobytes() == whole.ranked.item_idx[first:last].tobytes()
        assert some.ranked.scores.tobytes() == whole.ranked.scores[first:last].tobytes()
        assert some.n_model.tolist() == whole.n_model[first:last].tolist()
        assert some.again.tolist() == whole.again[first:last].tolist()
