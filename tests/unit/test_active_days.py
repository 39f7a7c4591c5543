"""Users who have not come for long: no list of their own, and the popular one when they return."""

import numpy as np

from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.maker import ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions


def makers(**known: float) -> ListMaker:
    """Four users and six items, item 0 the most popular. User 0 came 100 days ago, user 1 and 2 this month, 3 never."""
    world = interactions(
        [(0, 0, 100), (0, 1, 100), (1, 0, 3), (1, 2, 200), (2, 0, 30), (2, 1, 40)], n_users=4, n_items=6
    )
    factors = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    everything = Knowledge(np.ones(6, bool), **known)
    return ListMaker(Past(world, NOW, Engine(1)), everything, Model(factors, Recipe(factors=2)), world.pairs())


def test_a_user_is_inactive_after_so_many_days_and_a_user_without_interactions_is_not():
    everybody = np.arange(4)
    assert makers(active_days=30).is_inactive(everybody).tolist() == [True, False, False, False]
    assert makers(active_days=29.9).is_inactive(everybody).tolist() == [True, False, True, False]
    assert not makers().is_inactive(everybody).any()


def test_an_inactive_user_has_the_popular_list_and_all_others_have_the_lists_of_before():
    everybody = np.arange(4)
    before, lists = makers().lists(everybody, 4), makers(active_days=30).lists(everybody, 4)
    assert lists.ranked.item_idx[0].tolist() == [0, 1, 2, 3], "what the user has seen, too"
    assert (lists.n_model[0], lists.n_category[0]) == (0, 0)
    assert before.ranked.item_idx[0].tolist() != [0, 1, 2, 3]
    np.testing.assert_array_equal(lists.ranked.item_idx[1:], before.ranked.item_idx[1:])
    np.testing.assert_array_equal(lists.ranked.scores[1:], before.ranked.scores[1:])
    assert lists.n_model[1:].tolist() == before.n_model[1:].tolist()


def test_every_setting_of_lists_is_named_with_what_is_known_without_it():
    known = Knowledge(np.ones(6, bool), active_days=30)
    assert known.without_each_setting()["active_days"].active_days is None
    assert Knowledge(np.ones(6, bool)).without_each_setting() == {}
