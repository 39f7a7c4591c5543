"""Several models and views ranked in one pass: the same lists, to the bit, as each ranked alone."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.one_pass import rank_views
from recjobs.core.model import ranking
from recjobs.core.model.engine import Engine
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranker import Ranker
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions

N_USERS, N_ITEMS = 150, 90
RNG = np.random.default_rng(3)
ROWS = [(user, item, int(RNG.integers(1, 90))) for user in range(N_USERS) for item in RNG.choice(70, user % 9, False)]
SHOP = interactions(ROWS, N_USERS, N_ITEMS)
BLENDED = Recipe(factors=6, alpha=4, regularization=2, blend=0.3, neighbours=12)


def model(recipe: Recipe, unknown: slice = slice(0)) -> Model:
    factors = RNG.normal(size=(N_ITEMS, recipe.factors)).astype(np.float32)
    factors[unknown] = 0
    return Model(factors, recipe)


MODELS = {
    "candidate": model(BLENDED),
    "champion": model(BLENDED),
    "knows fewer items": model(BLENDED, slice(3, 9)),
    "other factors": model(replace(BLENDED, factors=3)),
    "plain": model(replace(BLENDED, blend=0.0)),
    "other data": model(replace(BLENDED, half_life_days=20)),
    "own items": model(replace(BLENDED, own_frequency=0.4)),
    "own items alone": model(replace(BLENDED, blend=0.0, own_frequency=0.4)),
    "neighbours": Model(None, BLENDED),
    "all neighbours": model(replace(BLENDED, blend=1.0)),
}


@dataclass
class View:
    users: np.ndarray
    kept_out: csr_matrix | None


RECENT = SHOP.where(SHOP.occurred_at > NOW - 40 * 86_400_000_000).pairs()
VIEWS = [View(np.arange(0, 150, 2), SHOP.pairs()), View(np.arange(0, 150, 3), None), View(np.arange(77), RECENT)]
KNOWN = Knowledge(np.arange(N_ITEMS) % 11 > 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_each_model_and_view_gets_the_lists_that_it_gets_alone(threads: int):
    found = rank_views(Past(SHOP, NOW, Engine(threads)), KNOWN, MODELS, VIEWS, 10)
    assert [list(of_view) for of_view in found] == [list(MODELS)] * 3
    for view, of_view in zip(VIEWS, found, strict=True):
        for name, one in MODELS.items():
            alone, _ = ListMaker(Past(SHOP, NOW, Engine()), KNOWN, one, view.kept_out).rank(view.users, 10)
            np.testing.assert_array_equal(of_view[name].item_idx, alone.item_idx, name)
            np.testing.assert_array_equal(of_view[name].scores, alone.scores, name)
    assert (found[0]["candidate"].item_idx >= 0).any()
    assert (found[0]["candidate"].item_idx[0] == -1).all(), "a user without a history is unknown to a model"


def test_users_are_scored_once_and_neighbours_added_up_once_for_all_models(monkeypatch: pytest.MonkeyPatch):
    multiplied, added, sums = [0], [0], Blend._scores
    for products in (ranking.Ranking.products, ranking.Ranking.rough_products):

        def counted(self, users, out=None, *, products=products):
            multiplied[0] += len(users)
            return products(self, users, out)

        monkeypatch.setattr(ranking.Ranking, products.__name__, counted)

    def counted_sums(self: Blend, first: int, last: int) -> np.ndarray:
        added[0] += last - first
        return sums(self, first, last)

    monkeypatch.setattr(Blend, "_scores", counted_sums)
    some = {name: MODELS[name] for name in ("candidate", "champion", "neighbours")}
    known = Knowledge(np.bincount(SHOP.item_idx, minlength=N_ITEMS) > 0)
    rank_views(Past(SHOP, NOW, Engine()), known, some, VIEWS, 10)
    n_users = np.unique(np.concatenate([view.users for view in VIEWS])).size
    assert multiplied == [3 * n_users]
    assert added == [n_users]


def test_nobody_to_ask_no_items_and_no_models():
    past, nobody = Past(SHOP, NOW, Engine()), View(np.zeros(0, np.int64), None)
    [empty] = rank_views(past, KNOWN, {"candidate": MODELS["candidate"]}, [nobody], 10)
    assert empty["candidate"].item_idx.shape == (0, 10)
    [without_items] = rank_views(past, Knowledge(np.zeros(N_ITEMS, bool)), MODELS, VIEWS[1:2], 10)
    assert all((of_model.item_idx == -1).all() for of_model in without_items.values())
    assert rank_views(past, KNOWN, {}, VIEWS, 10) == [{}, {}, {}]


def test_a_model_with_a_second_stage_is_left_to_the_maker():
    second = replace(MODELS["candidate"], ranker=Ranker(""))
    assert rank_views(Past(SHOP, NOW, Engine()), KNOWN, {"candidate": second}, VIEWS[:1], 10) == [{}]
