"""A setting of lists whose bound nothing reaches leaves every byte of them as it is without the setting."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.lists.maker import Knowledge, ListMaker, Lists, Model, Past
from recjobs.core.lists.rotation import Rotation
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from tests.unit.test_some_users import ITEMS, USERS, N, shop
from tests.unit.worlds import NOW


def made(**settings: object) -> Lists:
    """Every user's list, with reasons; some users are unknown, and items and users have segments and categories."""
    recipe, every, engine = Recipe(factors=6, alpha=5, regularization=1, iterations=3, blend=0.3), shop(), Engine()
    past = Past(every, NOW, engine)
    factors = engine.fit(past.confidence(recipe), recipe, 1).item_factors
    segments = [None if user % 5 == 0 else f"s{user % 3}" for user in range(USERS)]
    known = replace(Knowledge(np.arange(ITEMS) != 7, None, segments, [[]] * USERS, None, 10), **settings)
    return ListMaker(past, known, Model(factors, recipe), every.pairs()).lists(np.arange(USERS), N, N)


@pytest.mark.parametrize("setting", ["max_per_category", "active_days", "min_confidence", "rotate_after"])
def test_a_bound_that_nothing_reaches_changes_no_byte(setting: str):
    without = made()
    if setting == "max_per_category":
        lists = made(limits=GroupLimits(None, (np.arange(ITEMS) % 5)[:, None], ITEMS))
    elif setting == "active_days":
        lists = made(active_days=100_000.0)
    elif setting == "min_confidence":
        lists = without.confident(dict.fromkeys(without.kinds, -np.inf))
        full = without.of_one_kind.sum(axis=1) == without.ranked.lengths  # the others lose what they are filled with
        lists, without = (
            replace(each, ranked=each.ranked.rows(np.flatnonzero(full)), n_model=each.n_model[full], because=None)
            for each in (lists, without)
        )
        assert full.sum() > 50
    else:
        nights = csr_matrix(np.full((USERS, ITEMS), 6, np.int32))
        nights[0, 3] = 1
        lists = Rotation(7, nights).applied(without, np.arange(USERS))
    assert lists.ranked.item_idx.tobytes() == without.ranked.item_idx.tobytes()
    assert lists.ranked.scores.tobytes() == without.ranked.scores.tobytes()
    assert lists.n_model.tobytes() == without.n_model.tobytes()
    if without.because is not None:
        assert lists.because is not None
        for name in ("packed", "item_idx", "counts"):
            np.testing.assert_array_equal(getattr(lists.because, name), getattr(without.because, name))
