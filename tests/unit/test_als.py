"""ALS: small boards where one can see what is missing, and what degenerate input does."""

from dataclasses import replace

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from recjobs.core.model import als
from recjobs.core.model.als import Factors, aligned, fit, known_rows, row_regularization, start_of_some
from recjobs.core.model.engine import Engine
from recjobs.core.model.neighbours import Blend, similarity_of
from recjobs.core.model.ranking import best_items
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, checkerboard, fold_in, interactions, sets

SMALL = Recipe(factors=2, alpha=10.0, regularization=0.1, iterations=10)


def board(n_users, n_items):
    withheld = {(user, user % n_items) for user in range(n_users)}
    return withheld, interactions(checkerboard(n_users, n_items, withheld), n_users, n_items).confidence(SMALL, NOW)


@pytest.mark.parametrize(("n_users", "n_items"), [(12, 8), (8, 12), (30, 10)])
def test_a_checkerboard_recommends_the_withheld_diagonal(n_users, n_items):
    withheld, user_items = board(n_users, n_items)
    factors = fit(user_items, SMALL, seed=3, threads=1)
    assert factors.user_factors.shape == (n_users, 2)
    assert factors.item_factors.shape == (n_items, 2)
    assert factors.defect() is None
    ranked = best_items(factors.user_factors, factors.item_factors, 1, user_items, np.ones(n_items, bool))
    assert {(user, int(item)) for user, item in enumerate(ranked.item_idx[:, 0])} == withheld


def test_folding_in_finds_the_vector_that_the_fit_ends_at():
    withheld, user_items = board(12, 8)
    factors = fit(user_items, SMALL, seed=3, threads=1)
    folded = fold_in(user_items, factors.item_factors, SMALL, threads=1)
    ranked = best_items(folded, factors.item_factors, 1, user_items, np.ones(8, bool))
    assert {(user, int(item)) for user, item in enumerate(ranked.item_idx[:, 0])} == withheld


def test_folding_in_solves_the_normal_equations_of_hu_koren_and_volinsky():
    rng = np.random.default_rng(2)
    items = rng.normal(size=(5, 3)).astype(np.float32)
    user_items = sets([0, 3], [4], n_items=5)
    recipe = Recipe(factors=3, alpha=7.0, regularization=0.5)
    found = fold_in(user_items, items, recipe, threads=1)
    for user, row in enumerate(user_items.toarray()):
        # implicit counts alpha * r as the whole confidence of a pair, 1 of a missing one
        confidence = np.where(row > 0, 7.0 * row, 1.0)
        left = items.T @ (confidence[:, None] * items) + 0.5 * np.eye(3)
        expected = np.linalg.solve(left, items.T @ (confidence * (row > 0)))
        np.testing.assert_allclose(found[user], expected, rtol=1e-3)


def test_folding_in_ignores_items_the_model_does_not_know():
    items = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    recipe = Recipe(factors=2)
    both = fold_in(sets([0, 2], [2], [], n_items=3), items, recipe, threads=1)
    alone = fold_in(sets([0], [], [], n_items=3), items, recipe, threads=1)
    np.testing.assert_array_equal(both, alone)
    assert not both[1:].any()


def test_folding_in_leaves_its_input_as_it_was():
    user_items = sets([0, 2], n_items=3)
    fold_in(user_items, np.array([[1, 0], [0, 1], [0, 0]], np.float32), Recipe(factors=2), threads=1)
    assert user_items.data.tolist() == [1, 1]
    assert user_items.indices.tolist() == [0, 2]


def test_folding_in_nobody_gives_nothing():
    assert fold_in(sets(n_items=3), np.eye(3, dtype=np.float32), Recipe(factors=3), threads=1).shape == (0, 3)


def test_users_and_items_without_a_row_have_no_factors():
    user_items = interactions([(0, 0, 1), (0, 1, 1), (2, 1, 1)], n_users=4, n_items=3).confidence(SMALL, NOW)
    factors = fit(user_items, SMALL, seed=1, threads=1)
    assert known_rows(factors.user_factors).tolist() == [True, False, True, False]
    assert factors.knows_items().tolist() == [True, True, False]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    _, user_items = board(12, 8)
    first, again, other = (fit(user_items, SMALL, seed, threads=1) for seed in (3, 3, 4))
    assert first.item_factors.tobytes() == again.item_factors.tobytes()
    assert first.item_factors.tobytes() != other.item_factors.tobytes()


def test_a_fit_starts_from_the_factors_it_is_given_and_draws_the_rows_of_zeros():
    _, user_items = board(12, 8)
    done = fit(user_items, SMALL, seed=3, threads=1)
    half = Factors(done.user_factors, np.where(np.arange(8)[:, None] < 4, done.item_factors, np.float32(0)))
    begun: list[np.ndarray] = []
    untrained = replace(SMALL, iterations=1, regularization=1e12)  # one iteration that leaves nothing of the start
    assert np.abs(fit(user_items, untrained, seed=3, threads=1, start=half).item_factors).max() < 1e-6
    warm = fit(user_items, SMALL, seed=3, threads=1, start=half, watch=lambda n, u, i: begun.append(i.copy()))
    assert np.linalg.norm(begun[0] - done.item_factors) < 0.2 * np.linalg.norm(done.item_factors)
    assert known_rows(warm.item_factors).all()


def test_a_fit_of_many_pairs_begins_with_that_of_some_users(monkeypatch):
    rng = np.random.default_rng(5)
    tastes = np.where(np.arange(60)[None] % 6 == np.arange(900)[:, None] % 6, 0.4, 0.02)
    user_items = csr_matrix((rng.random(tastes.shape) < tastes).astype(np.float32))
    recipe = Recipe(factors=6, alpha=10, regularization=1, iterations=50)
    assert start_of_some(user_items, recipe, 3, 1) is None
    from_random = Engine().fit(user_items, recipe, 3)

    monkeypatch.setattr(als, "FIRST_PAIRS", user_items.nnz // 4)
    start = start_of_some(user_items, recipe, 3, 1)
    assert start is not None
    assert 0.15 < known_rows(start.user_factors).mean() < 0.35
    assert known_rows(start.item_factors).all()
    again = Engine(threads=2).fit(user_items, recipe, 3)
    assert again.iterations < from_random.iterations
    assert again.item_factors.tobytes() == fit(user_items, recipe, 3, 1, start).item_factors.tobytes()
    assert start_of_some(user_items, replace(recipe, regularization=1e9), 3, 1) is None  # nothing is left of the data
    warm = Engine().fit(user_items, recipe, 3, from_random)
    assert warm.item_factors.tobytes() == fit(user_items, recipe, 3, 1, from_random).item_factors.tobytes()


def test_a_fit_ends_when_its_lists_stay_the_same_and_never_after_the_recipes_iterations():
    _, user_items = board(30, 10)
    settled = fit(user_items, replace(SMALL, iterations=100), seed=3, threads=1)
    assert 2 <= settled.iterations < 100
    seen: list[int] = []
    short = fit(user_items, replace(SMALL, iterations=1), seed=3, threads=1, watch=lambda n, u, i: seen.append(n))
    assert (short.iterations, seen) == (1, [1])


def test_what_the_watcher_raises_ends_the_fit():
    def stop(iteration: int, users: np.ndarray, items: np.ndarray) -> None:
        raise StopIteration(iteration)

    with pytest.raises(StopIteration):
        fit(board(12, 8)[1], SMALL, seed=3, threads=1, watch=stop)


def test_regularization_grows_with_what_is_known_of_a_row_where_the_recipe_says_so():
    weighted = sets([0], [0, 1, 2, 3], n_items=4) * 10
    assert row_regularization(weighted, Recipe(regularization=3)).tolist() == [3, 3]
    light, heavy = row_regularization(weighted, Recipe(regularization=3, frequency_scaling=1))
    assert light == pytest.approx(3 * (1 + 10 / 4), rel=0.05)
    assert heavy == pytest.approx(3 * (1 + 40 / 4), rel=0.05)


def test_scaled_regularization_solves_each_row_with_its_own():
    rng = np.random.default_rng(2)
    items = rng.normal(size=(5, 3)).astype(np.float32)
    user_items = sets([0, 3], [4], [0, 1, 2, 3, 4], n_items=5)
    recipe = Recipe(factors=3, alpha=7.0, regularization=0.5, frequency_scaling=0.8)
    found = fold_in(user_items, items, recipe, threads=1)
    for user, (row, regularization) in enumerate(
        zip(user_items.toarray(), row_regularization(user_items * 7, recipe), strict=True)
    ):
        confidence = np.where(row > 0, 7.0 * row, 1.0)
        left = items.T @ (confidence[:, None] * items) + regularization * np.eye(3)
        np.testing.assert_allclose(found[user], np.linalg.solve(left, items.T @ (confidence * (row > 0))), rtol=1e-3)
    fitted = fit(board(30, 10)[1], replace(SMALL, frequency_scaling=1.0), seed=3, threads=1)
    assert fitted.defect() is None


def test_rows_follow_their_ids_and_new_ids_get_zeros():
    rows = np.array([[1, 1], [2, 2], [3, 3]], np.float32)
    assert aligned(rows, ["a", "b", "c"], ["c", "new", "a", "b", "NA"]).tolist() == [
        [3, 3],
        [0, 0],
        [1, 1],
        [2, 2],
        [0, 0],
    ]


def test_nothing_to_fit_is_a_defect_and_no_crash():
    empty = interactions([], n_users=3, n_items=2).confidence(SMALL, NOW)
    assert fit(empty, SMALL, seed=1, threads=1).defect() is not None


def test_more_factors_than_rows_end_finite_or_in_a_named_defect():
    user_items = interactions([(0, 0, 1), (1, 1, 1)], n_users=2, n_items=2).confidence(SMALL, NOW)
    factors = fit(user_items, replace(SMALL, factors=64, regularization=1e-9), seed=1, threads=1)
    assert (factors.defect() is not None) == (not np.isfinite(factors.item_factors).all())


GOOD = Factors(np.ones((3, 2), np.float32), np.array([[1, 0], [0, 1]], np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["user_factors", "item_factors"])
def test_one_value_that_is_not_finite_is_a_defect(part, value):
    rows = getattr(GOOD, part).copy()
    rows[1, 1] = value
    assert replace(GOOD, **{part: rows}).defect() == f"{part} holds values that are not finite"


def test_sound_factors_have_no_defect():
    assert GOOD.defect() is None


def test_all_zeros_and_constant_items_are_defects():
    assert "user_factors is all zeros" in replace(GOOD, user_factors=np.zeros((3, 2), np.float32)).defect()
    assert "item_factors is all zeros" in replace(GOOD, item_factors=np.zeros((2, 2), np.float32)).defect()
    constant = np.array([[1, 2], [0, 0], [1, 2]], np.float32)
    assert "every item" in replace(GOOD, item_factors=constant).defect()


@pytest.mark.parametrize("scale", [1e-20, 1e-8])
@pytest.mark.parametrize("part", ["user_factors", "item_factors"])
def test_factors_whose_scores_all_vanish_are_a_defect(part, scale):
    defect = replace(GOOD, **{part: getattr(GOOD, part) * np.float32(scale)}).defect()
    assert defect is not None
    assert "regularization outweighs the data" in defect


@pytest.mark.parametrize("scale", [1e-20, 1e-4, 1e4, 1e20])
def test_only_the_product_of_both_sides_has_a_scale(scale):
    scaled = Factors(GOOD.user_factors / np.float32(scale), GOOD.item_factors * np.float32(scale))
    assert scaled.defect() is None


@pytest.mark.parametrize(("difference", "is_constant"), [(1e-7, True), (1e-3, False)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_items_that_differ_by_rounding_alone_are_constant(scale, difference, is_constant):
    rows = np.array([[1, 2], [0, 0], [1, 2 + difference]], np.float32) * np.float32(scale)
    defect = replace(GOOD, item_factors=rows).defect()
    assert (defect == "every item has the same factors") == is_constant


@pytest.mark.parametrize("factors", [1, 8])
@pytest.mark.parametrize(
    ("alpha", "regularization", "vanishes"),
    [(1e-3, 1e-3, False), (0.1, 0.1, False), (10, 30, False), (10, 1e3, True), (1e-3, 1e9, True)],
)
def test_weak_alpha_and_strong_regularization_are_sound_until_factors_vanish(factors, alpha, regularization, vanishes):
    recipe = Recipe(factors=factors, alpha=alpha, regularization=regularization)
    withheld = {(user, user % 10) for user in range(30)}
    fitted = fit(interactions(checkerboard(30, 10, withheld), 30, 10).confidence(recipe, NOW), recipe, 3, 1)
    assert (fitted.defect() is not None) == vanishes


def test_a_catalogue_of_one_item_is_not_taken_for_a_constant_model():
    assert replace(GOOD, item_factors=np.array([[1, 2]], np.float32)).defect() is None


def test_several_threads_give_the_same_bytes_as_one():
    _, user_items = board(300, 40)
    recipe = replace(SMALL, factors=8, blend=0.3, frequency_scaling=0.5)
    one, two = (fit(user_items, recipe, seed=3, threads=threads) for threads in (1, 2))
    assert one.item_factors.tobytes() == two.item_factors.tobytes()
    assert one.user_factors.tobytes() == two.user_factors.tobytes()
    first, second = (
        best_items(one.user_factors, one.item_factors, 10, user_items, np.ones(40, bool), threads, blend)
        for threads, blend in ((n, Blend(user_items, similarity_of(user_items, 10, n), 0.3)) for n in (1, 2))
    )
    assert first.scores.tobytes() == second.scores.tobytes()
    assert first.item_idx.tobytes() == second.item_idx.tobytes()


@pytest.mark.parametrize("scaling", [0.0, 0.8])
@pytest.mark.parametrize("factors", [5, 16, 37])
def test_a_half_step_is_that_of_implicits_solver(factors, scaling):
    rng = np.random.default_rng(factors)
    taken = (rng.random((90, 70)) < 0.2) & (np.arange(90) != 3)[:, None]
    weighted = csr_matrix(np.where(taken, rng.exponential(4.0, (90, 70)), 0).astype(np.float32))
    users, items = (rng.normal(size=(n, factors)).astype(np.float32) for n in weighted.shape)
    recipe = Recipe(factors=factors, regularization=2.5, frequency_scaling=scaling)
    found, expected = users.copy(), users.astype(np.float64)
    als.solve_rows(weighted, found, items, recipe, threads=2)
    for row, regularization in enumerate(row_regularization(weighted, recipe)):
        model = AlternatingLeastSquares(factors, num_threads=1)
        model.solver(weighted[row], expected[row : row + 1], items.astype(np.float64), regularization, num_threads=1)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert not found[3].any()
