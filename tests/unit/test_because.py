"""Why an item is in a list: held against implicit's own explanations, and worlds where one can see the reason."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from implicit.cpu.als import AlternatingLeastSquares

from recjobs.core.lists.reasons import BITS, MAX_PLACES, as_columns, because, joined
from recjobs.core.model.als import fit
from recjobs.core.model.fold_in import FoldIn, blocks
from recjobs.core.model.neighbours import Blend, similarity_of
from recjobs.core.model.ranking import Ranked, best_items
from recjobs.core.recipe import Recipe
from tests.unit.worlds import fold_in_by_implicit, sets

RECIPE = Recipe(factors=8, alpha=5.0, regularization=0.7, iterations=5)


def some_world(seed, n_users=40, n_items=60, most=45, recipe=RECIPE):
    """Users with 0 to `most` items of different confidence, and factors fit on them."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice(n_items, size, replace=False) for size in rng.integers(1, most, n_users)]
    rows[3] = rows[3][:0]
    user_items = sets(*rows, n_items=n_items)
    user_items.data = rng.exponential(1.0, user_items.nnz).astype(np.float32) + np.float32(0.01)
    return user_items, fit(user_items, recipe, seed, threads=1).item_factors


def unpacked(found, user):
    """The reasons of each place of a user's list, as item_idx."""
    first = int(found.counts[:user].sum())
    own = found.item_idx[first : first + found.counts[user]]
    places = [[int(packed) >> BITS * k & (1 << BITS) - 1 for k in range(3)] for packed in found.packed[user]]
    return [[int(own[place - 1]) for place in each if place] for each in places]


def explained(user_items, item_factors, recipe, places=20, blend=None):
    vectors, folded = FoldIn(item_factors, recipe).of(user_items)
    eligible = np.ones(user_items.shape[1], bool)
    ranked = best_items(vectors, item_factors, places, user_items, eligible, blend=blend)
    return ranked, because(ranked, places, item_factors, folded, blend=blend)


def shares(folded, user):
    """(the user's items, what each adds to their vector)"""
    own = slice(*folded.rows.indptr[user : user + 2])
    items, weights = folded.rows.indices[own], folded.alpha * folded.rows.data[own]
    lower = np.tril(folded.factorizations[user])
    return items, weights[:, None] * np.linalg.solve(lower @ lower.T, folded.item_factors[items].T).T


@pytest.mark.parametrize("most", [6, 45])
def test_reasons_are_those_that_implicit_explains_a_score_by(most):
    user_items, item_factors = some_world(1, most=most)
    ranked, found = explained(user_items, item_factors, RECIPE)
    model = AlternatingLeastSquares(factors=8, alpha=RECIPE.alpha, regularization=RECIPE.regularization, num_threads=1)
    model.item_factors = item_factors
    compared = 0
    for user in range(40):
        reasons, cholesky = unpacked(found, user), None
        for place, item in enumerate(ranked.item_idx[user]):
            if item < 0 or not user_items[user].nnz:
                assert reasons[place] == []
                continue
            total, expected, cholesky = model.explain(user, user_items, item, cholesky, N=3)
            assert total == pytest.approx(ranked.scores[user, place], rel=1e-3, abs=1e-4)
            assert reasons[place] == [int(other) for other, added in expected if added > 0]
            compared += 1
    assert compared > 500


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, frequency_scaling=0.7),
        replace(RECIPE, alpha=0.3),
        replace(RECIPE, factors=37),  # odd; histories are shorter and longer
    ],
)
def test_the_shares_of_a_users_items_add_up_to_the_vector_that_implicit_solves_for(recipe):
    user_items, item_factors = some_world(2, recipe=recipe)
    item_factors[7] = 0
    vectors, folded = FoldIn(item_factors, recipe).of(user_items)
    np.testing.assert_allclose(vectors, fold_in_by_implicit(user_items, item_factors, recipe), atol=2e-5)
    np.testing.assert_array_equal(vectors, FoldIn(item_factors, recipe).vectors(user_items))
    assert not vectors[3].any()
    for user in [user for user in range(40) if user != 3]:
        items, parts = shares(folded, user)
        np.testing.assert_allclose(parts.sum(axis=0), vectors[user], atol=2e-5)
        assert not parts[items == 7].any()
        np.testing.assert_array_equal(folded.factorizations[user], folded.factorizations[user].T)


def test_a_users_shares_are_the_same_in_any_company():
    user_items, item_factors = some_world(3)
    together, kept = FoldIn(item_factors, RECIPE, threads=2).of(user_items)
    for user in range(40):
        alone, own = FoldIn(item_factors, RECIPE).of(user_items[user])
        np.testing.assert_array_equal(alone[0], together[user])
        if user != 3:
            np.testing.assert_array_equal(own.factorizations[0], kept.factorizations[user])


def two_tastes(n_users=24, n_items=20):
    """Users who like even items, users who like odd ones, and the last who likes the first four of both."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(user % 2, n_items, 2), 7, replace=False) for user in range(n_users)]
    return sets(*rows, range(8), n_items=n_items)


@pytest.mark.parametrize("blend", [0.0, 0.5, 1.0])
def test_who_has_two_tastes_is_shown_each_item_because_of_items_of_its_own(blend):
    user_items, recipe = two_tastes(), Recipe(factors=4, alpha=10, regularization=0.1, iterations=10, blend=blend)
    item_factors = fit(user_items, recipe, 1, threads=1).item_factors
    said = Blend(user_items, similarity_of(user_items, 20, 1), blend) if blend else None
    ranked, found = explained(user_items, item_factors, recipe, 12, said)
    last = len(ranked.item_idx) - 1
    reasons = unpacked(found, last)
    assert {int(item) % 2 for item in ranked.item_idx[last]} == {0, 1}
    for item, why in zip(ranked.item_idx[last], reasons, strict=True):
        assert why
        assert why[0] % 2 == item % 2
        assert set(why) <= set(range(8))


def test_what_neighbours_add_counts_as_much_as_it_does_in_the_score():
    user_items, item_factors = some_world(4)
    recipe = replace(RECIPE, blend=0.4)
    blend = Blend(user_items, similarity_of(user_items, 10, 1), 0.4)
    vectors, folded = FoldIn(item_factors, recipe).of(user_items)
    ranked = best_items(vectors, item_factors, 15, user_items, np.ones(60, bool), blend=blend)
    assert ranked.neighbours_unit is not None
    found = because(ranked, 15, item_factors, folded, blend=blend)
    similarity = blend.similarity.toarray()
    differ = 0
    for user in [user for user in range(40) if user != 3]:
        own, parts = shares(folded, user)
        by_als = item_factors @ parts.T
        said = ranked.neighbours_unit[user] * user_items[user].data * similarity[own].T
        # the scores but for what centres them, which is the same for all items of a user
        rest = ranked.scores[user] - (by_als + said).sum(axis=1)[ranked.item_idx[user]]
        assert np.ptp(rest[np.isfinite(rest)]) < 1e-3
        strongest = own[(by_als + said).argmax(axis=1)]
        differ += int((strongest != own[by_als.argmax(axis=1)]).sum())
        for item, why in zip(ranked.item_idx[user], unpacked(found, user), strict=True):
            assert why[:1] == ([strongest[item]] if (by_als + said)[item].max() > 0 else [])
    assert differ > 100  # neighbours do change what is strongest


def test_equal_reasons_come_in_the_order_of_items_and_what_speaks_against_an_item_is_none():
    item_factors = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 2], [1, 0], [-1, 0]], np.float32)
    user_items = sets([0, 1, 2, 3, 4], n_items=8)
    _, folded = FoldIn(item_factors, Recipe(factors=2, alpha=1, regularization=1)).of(user_items)
    listed = Ranked(np.array([[6, 5, 7, -1]], np.int32), np.zeros((1, 4), np.float32))
    assert unpacked(because(listed, 4, item_factors, folded), 0) == [[0, 1, 2], [4], [], []]


def test_only_the_first_places_are_asked_about_and_no_more_than_can_be_packed():
    user_items, item_factors = some_world(5)
    vectors, folded = FoldIn(item_factors, RECIPE).of(user_items)
    ranked = best_items(vectors, item_factors, 20, user_items, np.ones(60, bool))
    few, many = (because(ranked, places, item_factors, folded) for places in (4, 999))
    assert few.packed.shape == (40, 4)
    assert many.packed.shape == (40, 20)
    assert [unpacked(few, user) for user in range(40)] == [unpacked(many, user)[:4] for user in range(40)]
    assert 3 * MAX_PLACES < 1 << BITS


def test_the_columns_hold_a_position_for_each_place_and_are_null_without_any_reason():
    user_items = sets([0], [], [1, 2], n_items=4)
    item_factors = np.array([[1, 0], [0, 1], [0, 1], [1, 1]], np.float32)
    _, folded = FoldIn(item_factors, Recipe(factors=2, alpha=1, regularization=1)).of(user_items)
    listed = Ranked(np.array([[3, 1], [-1, -1], [3, 0]], np.int32), np.zeros((3, 2), np.float32))
    found = because(listed, 2, item_factors, folded)
    ids = pa.array(["a", "b", "c", "d"])
    reasons, packed = as_columns(joined([found, found]), np.array([3, 3, 2, 3, 3, 2]), ids)
    assert reasons.to_pylist() == [["a"], None, ["b", "c"]] * 2
    assert packed.to_pylist() == [[1, 0, 0], None, [1 | 2 << BITS, 0]] * 2


def test_blocks_cover_all_users_whatever_the_factors():
    for most in (1, 20, 30, 10_000):
        found = list(blocks(9, factors=3, most=most))
        assert [user for block in found for user in range(9)[block]] == list(range(9))
        assert all((block.stop - block.start) * 9 <= most or block.stop - block.start == 1 for block in found)
    assert list(blocks(0, 3)) == []
