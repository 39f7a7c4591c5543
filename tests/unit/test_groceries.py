"""A year of households that buy staples at intervals of their own, give some up, and try goods of their taste."""

from dataclasses import dataclass

import numpy as np
import pytest

from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.exam import K, answer, exam
from recjobs.core.lists.again import again_lists
from recjobs.core.lists.choice import GROUPS, OWN_FREQUENCY, ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions
from tests.unit.test_again import by_hand
from tests.unit.worlds import NOW, interactions
from tests.worlds import soak

pytestmark = pytest.mark.soak

TASTES, GOODS_OF_A_TASTE, STAPLES, HOLDOUT_DAYS = 12, 20, 6, 28
RECIPE = Recipe(
    factors=16, alpha=5, regularization=5, iterations=8, half_life_days=60, own_frequency=0.5, own_half_life_days=60
)


@dataclass
class Year:
    """rows: (household, good, days before NOW); staples: each household's, in the last half of the year."""

    rows: list[tuple[int, int, float]]
    staples: list[list[int]]

    def between(self, first: float, last: float) -> Interactions:
        """The rows that are at least `first` days old and younger than `last`."""
        some = [row for row in self.rows if first <= row[2] < last]
        return interactions(some, len(self.staples), TASTES * GOODS_OF_A_TASTE)


@pytest.fixture(scope="module")
def year() -> Year:
    """Six staples of two tastes, bought every 7, 10 or 14 days, two of which others replace after half a year; and
    one good a week, mostly one that many of those tastes take."""
    rng = np.random.default_rng(26)
    rows: list[tuple[int, int, float]] = []
    staples, weights = [], np.tile(1 / np.arange(1, GOODS_OF_A_TASTE + 1), 2)
    weights /= weights.sum()
    for household in range(soak(2000)):
        tastes = rng.choice(TASTES, 2, replace=False)
        liked = np.concatenate([taste * GOODS_OF_A_TASTE + np.arange(GOODS_OF_A_TASTE) for taste in tastes])
        own = rng.choice(liked, STAPLES + 2, replace=False)
        for place, good in enumerate(own):
            begin, end = (365, 182) if place < 2 else (182, 0) if place >= STAPLES else (365, 0)
            interval = rng.choice([7, 10, 14])
            for number in range(int((begin - end) / interval)):
                rows.append((household, int(good), begin - interval * number - float(rng.uniform(0, 3)) - 0.1))
        for week in range(52):
            good = rng.choice(liked, p=weights) if rng.uniform() < 0.9 else rng.integers(TASTES * GOODS_OF_A_TASTE)
            rows.append((household, int(good), 7 * week + float(rng.uniform(0.1, 6.9))))
        staples.append(own[2:].tolist())
    return Year([row for row in rows if row[2] > 0], staples)


def test_own_items_and_als_together_beat_own_frequency_beyond_doubt_and_begin_with_staples(year: Year):
    train, holdout = year.between(HOLDOUT_DAYS, 400), year.between(0, HOLDOUT_DAYS)
    past, known = Past(train, NOW - HOLDOUT_DAYS * DAY, Engine(1)), Knowledge.of_train(train)
    factors = past.engine.fit(past.confidence(RECIPE), RECIPE, seed=7).item_factors
    questions = exam(train, holdout, "repeats", 7)
    assert len(questions.users) == len(year.staples)
    own = ListChoice(instead=dict.fromkeys(GROUPS, OWN_FREQUENCY))
    by_frequency = answer("own", ListMaker(past, known, None, None, own), questions)
    together = answer("both", ListMaker(past, known, Model(factors, RECIPE), None), questions)
    lift = relative_difference(together.per_user["ndcg"], by_frequency.per_user["ndcg"], 7)
    assert lift.low > 0, lift
    first = together.lists[:, :4]
    assert together.lists.shape[1] == K
    on_top = [np.isin(row, own_staples).mean() for row, own_staples in zip(first, year.staples, strict=True)]
    assert np.mean(on_top) > 0.9


def test_what_is_needed_again_is_what_a_computation_pair_by_pair_says(year: Year):
    some = [row for row in year.rows if row[0] < 100]
    world = interactions(some, min(100, len(year.staples)), TASTES * GOODS_OF_A_TASTE)
    found = again_lists(world, NOW, 10, np.ones(world.n_items, bool))
    for user, expected in by_hand(some).items():
        own = slice(found.offsets[user], found.offsets[user + 1])
        best = sorted(expected.values(), reverse=True)[:10]
        np.testing.assert_allclose(found.scores[own], best, rtol=1e-3)
        np.testing.assert_allclose([expected[item] for item in found.item_idx[own].tolist()], best, rtol=1e-3)
    on_top = [
        np.isin(found.item_idx[found.offsets[user] :][:4], year.staples[user]).mean() for user in range(world.n_users)
    ]
    assert np.mean(on_top) > 0.9
