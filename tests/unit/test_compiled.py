"""The loops in C: held against NumPy's plain ones, and the same bits on any processor."""

import ctypes
import subprocess
import tomllib
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from recjobs.config import ROOT
from recjobs.core.lists.reasons import because
from recjobs.core.model import compiled
from recjobs.core.model.compiled import Exact, highest, newest
from recjobs.core.model.fold_in import FoldIn
from recjobs.core.model.neighbours import Blend, all_pairs, similarity_of
from recjobs.core.model.ranking import Ranking, best_items, step_of
from recjobs.core.recipe import Recipe
from recjobs.errors import BadConfiguration
from tests.unit.worlds import sets

RECIPE = Recipe(factors=19, alpha=4, regularization=0.5)


def in_order(values, n):
    """What `highest` returns, by a sort of whole rows."""
    columns, scores = np.zeros((len(values), n), np.int64), np.full((len(values), n), -np.inf, np.float32)
    for row, value in enumerate(values):
        finite = np.flatnonzero(np.isfinite(value))
        if finite.size:
            step = step_of(value[finite].max())
            units = np.rint(value[finite] / step)
            first = np.lexsort((finite, -units))[:n]
            columns[row, : first.size], scores[row, : first.size] = finite[first], units[first] * step
    return columns, scores


VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.00001, 3e-9, 1e30, -1e30, np.nan, np.inf, -np.inf])


@given(
    st.integers(1, 700),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.lists(VALUES, max_size=4),
    st.sampled_from([1, 2, 9, 10_000]),
)
@settings(deadline=None)
def test_the_highest_are_those_of_a_sort_whatever_is_among_them(n_columns, n, seed, strange, distinct):
    rng = np.random.default_rng(seed)
    values = (rng.integers(-distinct, distinct, (3, n_columns)) / 7).astype(np.float32)
    for value in strange:
        values[rng.random(values.shape) < 0.2] = value
    n = min(n, n_columns)
    for found, expected in zip(highest(values, n), in_order(values, n), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n_columns", [30, 3000])
def test_rough_values_lead_to_the_lists_of_exact_ones(n_columns):
    rng = np.random.default_rng(n_columns)
    vectors, factors = (rng.normal(size=(n, 19)).astype(np.float32) for n in (50, n_columns))
    factors[n_columns // 2 :] = factors[: n_columns - n_columns // 2]  # and each score twice
    exact = (vectors.astype(np.float64) @ factors.T.astype(np.float64)).astype(np.float32)
    norms = [float(np.linalg.norm(rows, axis=1).max()) for rows in (vectors, factors)]
    rough = exact + rng.uniform(-1, 1, exact.shape).astype(np.float32) * np.float32(
        19 * 2**-24 * norms[0] * norms[1] / 4
    )
    left_out = rng.random(exact.shape) < 0.1
    rough[left_out] = exact[left_out] = -np.inf
    assert (np.argsort(-rough, kind="stable") != np.argsort(-exact, kind="stable")).any()
    for found, expected in zip(highest(rough, 20, Exact(vectors, factors, norms[1])), in_order(exact, 20), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_rough_values_that_are_all_left_out_make_empty_lists():
    exact = Exact(np.ones((1, 2), np.float32), np.ones((900, 2), np.float32), 2**0.5)
    assert np.isneginf(highest(np.full((1, 900), -np.inf, np.float32), 3, exact)[1]).all()


@pytest.mark.parametrize("misread", [np.ones(3, np.int64), np.ones(6)[::2], np.ones(3, np.float32)])
def test_an_array_that_c_would_misread_is_refused(misread):
    rows, one = sets([0], [0], [0], n_items=1), np.ones((1, 1), np.float32)
    with pytest.raises(TypeError, match="fold_in: argument 9"):
        compiled.fold_in(rows, slice(0, 3), 1.0, one, np.ones((1, 1)), misread, np.zeros((3, 1), np.float32), None)


def test_a_matrix_of_another_shape_than_the_factors_is_refused_and_no_places_are_no_list():
    with pytest.raises(ValueError, match="C would read beyond"):
        FoldIn(np.ones((3, 2), np.float32), Recipe(factors=2)).vectors(sets([0, 1], n_items=5))
    assert highest(np.ones((2, 900), np.float32), 0)[0].shape == (2, 0)


@dataclass
class Everything:
    """All that the compiled functions are asked for, of one world."""

    results: list[np.ndarray]

    @classmethod
    def of(cls) -> "Everything":
        """Compute it."""
        rng = np.random.default_rng(4)
        n_items = 700
        item_factors = rng.normal(size=(n_items, 19)).astype(np.float32)
        rows = sets(*(rng.choice(n_items, size, replace=False) for size in rng.integers(0, 60, 90)), n_items=n_items)
        rows.data = rng.exponential(1.0, rows.nnz).astype(np.float32)
        blend = Blend(rows, similarity_of(rows, 30, 1), 0.4)
        vectors, folded = FoldIn(item_factors, RECIPE, 2).of(rows)
        results = [vectors, folded.factorizations[np.diff(rows.indptr) > 0]]
        for part in (None, blend):
            ranked = best_items(vectors, item_factors, 70, rows, np.ones(n_items, bool), 2, part)
            found = because(ranked, 70, item_factors, folded, 2, part)
            results += [ranked.item_idx, ranked.scores, found.packed, found.item_idx, found.counts]
        return cls(results)


def test_the_simplest_processor_computes_the_same_bits(tmp_path, monkeypatch):
    here = Everything.of()
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"][0]
    library = tmp_path / "simple.so"
    command = ["cc", *build["extra-compile-args"], "-DFOR_EACH_PROCESSOR=", "-shared", "-fPIC", *build["sources"]]
    subprocess.run([*command, "-lm", "-o", library], cwd=ROOT, check=True)
    monkeypatch.setattr(compiled, "_C", ctypes.CDLL(str(library)))
    for found, expected in zip(Everything.of().results, here.results, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("name", "says"), [("nothing_built", "is not compiled"), ("old_build", "another version")])
def test_what_is_not_compiled_or_for_another_version_is_refused(monkeypatch, tmp_path, name, says):
    (tmp_path / "old.c").write_text("int interface(void) { return 0; }")
    built = f"old_build{EXTENSION_SUFFIXES[0]}"
    subprocess.run(["cc", "-shared", "-fPIC", "old.c", "-o", built], cwd=tmp_path, check=True)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiled, "_NAME", name)
    with pytest.raises(BadConfiguration, match=says):
        compiled._library()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3), st.integers(-1, 1)), max_size=60), st.integers(1, 5))
def test_the_newest_rows_of_each_user(rows, n):
    user, at, then = np.array(sorted(rows, key=lambda row: row[0]), np.int64).reshape(-1, 3).T
    rank = np.arange(user.size) - np.searchsorted(user, user)
    assert newest(user, at, n).tolist() == np.lexsort((-at, user))[rank < n].tolist()
    assert newest(user, at, n, then).tolist() == np.lexsort((-then, -at, user))[rank < n].tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_nearest_columns_are_the_highest_of_the_whole_product(threads):
    rng = np.random.default_rng(3)
    weighted = csr_matrix(np.where(rng.random((80, 150)) < 0.1, rng.normal(size=(80, 150)), 0))
    found, product = all_pairs(weighted, 7, threads), (weighted.T @ weighted).toarray()
    assert found.has_sorted_indices
    for item in range(150):
        met = np.flatnonzero((weighted.T @ weighted)[item].toarray()[0])
        best = met[np.argsort(-product[item, met], kind="stable")[:7]]
        assert found[item].indices.tolist() == sorted(best)
        np.testing.assert_allclose(found[item].data, product[item, sorted(best)])


def test_rough_products_give_the_lists_of_exact_ones_with_neighbours_too():
    rng = np.random.default_rng(5)
    users, items = (rng.normal(size=(n, 19)).astype(np.float32) for n in (70, 900))
    rows = sets(*(rng.choice(900, 12, replace=False) for _ in users), n_items=900)
    blend = Blend(rows, similarity_of(rows, 40, 1), 0.4)
    ranking = Ranking(items, np.ones(900, bool), blend)
    values = ranking.products(users)
    np.testing.assert_allclose(ranking.spreads(users), values.std(axis=1), rtol=1e-5)
    blend.add_to(values, 0, 70, None, ranking.spreads(users))
    values[rows.nonzero()] = -np.inf
    ranked = ranking.best(users, 30, rows, 2, blend)
    for found, expected in zip((ranked.item_idx, ranked.scores), in_order(values, 30), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
