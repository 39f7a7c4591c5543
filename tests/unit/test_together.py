"""Items bought together: by eye, against a computation pair by pair, and what the lists are worth on a holdout."""

from math import log2

import numpy as np
import pytest

from recjobs.core.evaluation.goods import similar_rows, together_rows
from recjobs.core.lists import together as module
from recjobs.core.lists.maker import Model, Past
from recjobs.core.lists.together import Baskets, Together
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions


def lists(rows, n=5, *, min_orders=1, listed=None, **shape):
    """item_idx -> (the items of its list, their scores)."""
    world = interactions(rows, **shape)
    mask = np.ones(world.n_items, bool) if listed is None else np.isin(np.arange(world.n_items), listed)
    ranked = Together(Baskets.of(world, NOW), mask, min_orders).lists(np.arange(world.n_items), n)
    kept = ranked.item_idx >= 0
    return {i: (ranked.item_idx[i][kept[i]].tolist(), ranked.scores[i][kept[i]].tolist()) for i in range(world.n_items)}


TEA_AND_MILK = [row for day in range(1, 9) for row in ((day, 0, day), (day, 1, day))]
"""Items 0 and 1, on eight orders of eight users."""


def test_what_stands_on_the_same_orders_comes_first_and_what_everybody_buys_alone_does_not_come():
    once = [(1, 2, 1), *((user, 3, 40) for user in range(10, 40))]
    found = lists(TEA_AND_MILK + once)
    assert found[0][0] == [1, 2]
    assert found[1][0] == [0, 2]
    assert found[3] == ([], [])


def test_an_item_on_few_orders_is_in_no_list_but_has_one():
    found = lists([*TEA_AND_MILK, (1, 2, 1), (2, 2, 2)], min_orders=3)
    assert (found[0][0], found[1][0]) == ([1], [0])
    assert sorted(found[2][0]) == [0, 1]


def test_an_item_that_is_not_sold_is_in_no_list():
    assert lists(TEA_AND_MILK, listed=[0])[0][0] == []


def test_of_two_items_the_one_of_recent_orders_comes_first():
    old = [row for user in range(10, 15) for row in ((user, 0, 300), (user, 1, 300))]
    new = [row for user in range(20, 25) for row in ((user, 0, 3), (user, 2, 3))]
    assert lists(old + new)[0][0] == [2, 1]


def by_hand(rows, n_items):
    """The scores of every two items by the formula of the module, pair by pair."""
    orders = {}
    for user, item, ago in rows:
        orders.setdefault((user, ago), set()).add(item)
    one, two = np.zeros(n_items), np.zeros((n_items, n_items))
    for (_, ago), items in orders.items():
        for first in items:
            one[first] += 0.5 ** (ago / 90)
            for second in items - {first}:
                two[first, second] += 0.5 ** (ago / 90)
    with np.errstate(invalid="ignore", divide="ignore"):
        return two / (one[:, None] ** 0.5 * one**0.2) * two / (two + 20)


@pytest.mark.parametrize("pairs", [40, module.PAIRS])
def test_scores_are_those_of_a_computation_by_hand_in_blocks_of_any_size(monkeypatch, pairs):
    monkeypatch.setattr(module, "PAIRS", pairs)
    rng = np.random.default_rng(3)
    rows = [(int(u), int(i), int(d)) for u, i, d in zip(*rng.integers(0, [[12], [15], [9]], (3, 400)), strict=True)]
    expected, found = by_hand(rows, 15), lists(rows, n=15, n_items=15)
    for item, (listed, scores) in found.items():
        assert sorted(listed) == np.flatnonzero(expected[item] > 0).tolist()
        np.testing.assert_allclose(scores, expected[item][listed], rtol=1e-4, atol=2e-5)
        assert scores == sorted(scores, reverse=True)


def test_lists_are_the_same_with_threads():
    world = interactions(TEA_AND_MILK)
    together = Together(Baskets.of(world, NOW), np.ones(2, bool), 1)
    one, two = together.lists(np.arange(2), 3), together.lists(np.arange(2), 3, threads=2)
    np.testing.assert_array_equal(one.item_idx, two.item_idx)
    np.testing.assert_array_equal(one.scores, two.scores)


def _past(train):
    return Past(train, NOW, Engine(1)), Baskets.of(train, NOW)


def test_on_a_holdout_of_the_same_pairs_every_question_is_answered_and_popularity_answers_few():
    """Twelve pairs that are always bought together; all are equally popular, so that the popular list is by number."""
    train = [
        row for pair in range(12) for user in range(5) for row in ((user, 2 * pair, pair), (user, 2 * pair + 1, pair))
    ]
    holdout = [row for pair in range(12) for row in ((pair, 2 * pair, -1), (pair, 2 * pair + 1, -1))]
    world = interactions(train + holdout)
    before = np.arange(len(world)) < len(train)
    rows = together_rows(*_past(world.where(before)), world.where(~before), 7)
    values = {(row["view"], row["metric"], row["model"]): (round(row["value"], 6), row["n"]) for row in rows}
    assert values["together", "ndcg_at_20", "together"] == (1, 24)
    assert values["basket", "ndcg_at_20", "together"] == (1, 12)
    assert values["basket", "hit_rate_at_20", "together"] == (1, 12)
    # Of 24 items the popular list has the first 20 but the one that is asked about.
    ranks = [other + 1 - (other > item) for item in range(24) for other in [item ^ 1]]
    expected = np.mean([1 / log2(1 + rank) if rank <= 20 else 0 for rank in ranks])
    assert values["together", "ndcg_at_20", "popularity"] == (round(expected, 6), 24)


def test_a_users_next_new_item_is_asked_of_the_item_before_it():
    """Two tastes; in the holdout each user takes an item again and, a day later, one of their taste that is new."""
    rng = np.random.default_rng(1)
    train = [(user, 6 * (user % 2) + int(k), 3 + user % 7) for user in range(60) for k in rng.permutation(6)[:4]]
    holdout = []
    for user in range(60):
        own = {item for owner, item, _ in train if owner == user}
        new = sorted({6 * (user % 2) + k for k in range(6)} - own)[0]
        holdout += [(user, min(own), -1), (user, new, -2)]
    world = interactions(train + holdout, n_items=12)
    before = np.isin(np.arange(len(world)), np.arange(len(train)))
    past, recipe = Past(world.where(before), NOW, Engine(1)), Recipe(factors=2)
    factors = np.array([[1, 0.1 * k] if k < 6 else [0.1 * (k - 6), 1] for k in range(12)], np.float32)
    rows = similar_rows(past, np.ones(12, bool), world.where(~before), Model(factors, recipe), 7)
    values = {row["model"]: row["value"] for row in rows}
    assert {row["n"] for row in rows} == {60}
    assert values["similar"] > 1.2 * values["popularity"]
    assert similar_rows(past, np.ones(12, bool), world.where(before & False), Model(factors, recipe), 7) == []


@pytest.mark.parametrize(("train", "holdout"), [([(0, 0, 5)], [(0, 0, -1), (1, 1, -1)]), ([(0, 0, 5)], [])])
def test_without_orders_of_two_items_nothing_is_asked(train, holdout):
    world = interactions(train + holdout, n_users=2, n_items=2)
    before = np.arange(len(world)) < len(train)
    assert together_rows(*_past(world.where(before)), world.where(~before), 7) == []
