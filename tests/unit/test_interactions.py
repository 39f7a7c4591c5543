"""Interactions and their confidence: weights by eye, always the night's whole shape."""

from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions
from tests.unit.worlds import NOW, interactions


def dense(rows, recipe, **size):
    return interactions(rows, **size).confidence(recipe, NOW).toarray().tolist()


def test_an_interaction_of_one_half_life_counts_half_and_of_two_a_quarter():
    rows = [(0, 0, 0), (0, 1, 14), (0, 2, 28), (1, 2, 14), (1, 2, 14)]
    assert dense(rows, Recipe(half_life_days=14)) == [[1, 0.5, 0.25], [0, 0, 1]]


def test_without_a_half_life_age_does_not_matter():
    assert dense([(0, 0, 0), (0, 1, 999)], Recipe()) == [[1, 1]]


def test_the_cap_holds_for_the_sum_of_a_pair():
    assert dense([(0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 0, 0)], Recipe(weight_cap=2)) == [[2], [1]]


@pytest.mark.parametrize(("scale", "expected"), [("one", 1), ("linear", 7), ("log", 3)])
def test_a_weight_of_seven_on_each_scale(scale, expected):
    assert dense([(0, 0, 0, 7.0)], Recipe(weight_scale=scale)) == [[expected]]


def test_each_kind_has_its_weight_and_a_row_without_kind_counts_once():
    rows = [(0, 0, 0, 1.0, 0), (0, 1, 0, 1.0, 1), (0, 2, 0, 1.0, -1), (0, 3, 0, 1.0, 2)]
    recipe = Recipe(kinds=(("purchase", 5.0), ("view", 0.5)))
    assert dense(rows, recipe, kinds=("purchase", "unheard of", "view")) == [[5, 1, 1, 0.5]]


def test_weight_kind_and_age_multiply():
    recipe = Recipe(kinds=(("purchase", 5.0),), half_life_days=10, weight_scale="linear")
    assert dense([(0, 0, 10, 4.0, 0)], recipe, kinds=("purchase",)) == [[10]]


def test_a_pair_so_old_that_its_weight_underflows_is_still_a_pair():
    matrix = interactions([(0, 0, 9000), (0, 1, 0)]).confidence(Recipe(half_life_days=1), NOW)
    assert matrix.nnz == 2
    assert 0 < matrix[0, 0] < 1e-30


def test_every_matrix_has_the_nights_shape_however_few_rows_there_are():
    part = interactions([(1, 0, 0)], n_users=5, n_items=3)
    for matrix in (part.confidence(Recipe(), NOW), part.pairs(), part.where(np.zeros(1, bool)).pairs()):
        assert matrix.shape == (5, 3)
        assert matrix.dtype == np.float32
        assert matrix.has_sorted_indices


def test_pairs_count_how_often():
    assert interactions([(0, 1, 1), (0, 1, 2), (1, 0, 3)]).pairs().toarray().tolist() == [[0, 2], [1, 0]]


def test_rows_in_order_or_not_make_the_same_matrices():
    rng = np.random.default_rng(2)
    rows = sorted((int(rng.integers(30)), int(rng.integers(12)), int(rng.integers(300))) for _ in range(900))
    given, recipe = interactions(rows, n_users=33), Recipe(half_life_days=40)
    shuffled = given.where(rng.permutation(len(given)))
    before = given.item_idx.copy()
    for one, other in (
        (given.pairs(), shuffled.pairs()),
        (given.confidence(recipe, NOW), shuffled.confidence(recipe, NOW)),
    ):
        assert one.has_sorted_indices
        assert (one.indptr.dtype, one.indices.dtype, one.dtype) == (np.int32, np.int32, np.float32)
        np.testing.assert_array_equal(one.indptr, other.indptr)
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_allclose(one.data, other.data, rtol=1e-6)
    np.testing.assert_array_equal(given.item_idx, before)


def test_making_a_confidence_changes_no_interaction():
    given = interactions([(0, 0, 3, 7.0)])
    given.confidence(Recipe(weight_scale="linear", half_life_days=1, weight_cap=1), NOW)
    assert given.weight.tolist() == [7.0]
    assert given.occurred_at.tolist() == [NOW - 3 * DAY]


@pytest.mark.parametrize("kinds", [(), ("purchase", "view"), ("", "a"), ("two\nlines", "ü")])
def test_a_table_and_back_is_the_same(kinds):
    given = interactions([(0, 1, 1.5, 2.5, 0), (2, 0, 0, 1.0, -1)], n_users=4, n_items=3, kinds=kinds)
    back = Interactions.from_table(given.to_table())
    for name in ("user_idx", "item_idx", "occurred_at", "weight", "kind"):
        np.testing.assert_array_equal(getattr(back, name), getattr(given, name))
        assert getattr(back, name).dtype == getattr(given, name).dtype
    assert (back.n_users, back.n_items, back.kinds) == (4, 3, kinds)


def test_a_table_of_the_first_nights_has_no_negative_kinds():
    table = interactions([(0, 1, 1)]).to_table()
    metadata = {k: v for k, v in table.schema.metadata.items() if k != b"negative"}
    assert Interactions.from_table(table.replace_schema_metadata(metadata)).negative == ()


def test_a_recipe_and_back_is_the_same():
    recipe = Recipe(factors=9, half_life_days=7, weight_cap=3, kinds=(("a", 1.0), ("b", 2.0)))
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_recipe_of_an_older_version_takes_the_defaults_for_what_it_did_not_know():
    assert Recipe.from_json({"factors": 9, "since_removed": 1}) == Recipe(factors=9)


RETURNS = Recipe(kinds=(("buy", 2.0), ("return", -2.0)))


def with_returns(*rows):
    """Rows (item, days ago, kind) of one user."""
    made = interactions([(0, item, ago, 1.0, kind) for item, ago, kind in rows], n_items=5, kinds=("buy", "return"))
    return replace(made, negative=("return",))


def test_what_was_given_back_takes_from_the_pair_and_a_pair_with_nothing_left_is_gone():
    rows = with_returns((0, 9, 0), (0, 8, 1), (1, 9, 0), (1, 8, 0), (1, 7, 1), (2, 9, 1), (3, 9, 0))
    assert rows.confidence(RETURNS, NOW).toarray().tolist() == [[0, 2, 0, 2, 0]]
    # but it was seen
    assert rows.pairs().toarray().astype(bool).tolist() == [[1, 1, 1, 1, 0]]


def test_an_old_purchase_that_underflows_is_not_taken_for_one_that_was_given_back():
    rows = with_returns((0, 400_000, 0), (1, 1, 1))
    assert rows.confidence(replace(RETURNS, half_life_days=1.0), NOW).nnz == 1


def test_liked_are_the_rows_that_speak_for_an_item():
    rows = with_returns((0, 9, 0), (0, 8, 1), (1, 9, 0))
    assert rows.liked().item_idx.tolist() == [0, 1]
    assert interactions([(0, 0, 1)]).liked().item_idx.tolist() == [0]


def test_a_pair_is_disliked_if_its_latest_interaction_is_negative():
    rows = with_returns((0, 9, 0), (0, 8, 1), (1, 9, 1), (1, 8, 0), (2, 9, 1), (3, 1, 0))
    assert rows.disliked_pairs().toarray().tolist() == [[1, 0, 1, 0, 0]]
    assert interactions([(0, 0, 1)]).disliked_pairs() is None
    assert with_returns().disliked_pairs().nnz == 0
