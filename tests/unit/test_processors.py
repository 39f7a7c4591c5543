"""What the last bits of a sum, which depend on the processor, must not decide; and that two processors agree."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.sparse import csr_matrix

from recjobs.config import ROOT
from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.gate import Bounds, Shown, decide
from recjobs.core.lists.reasons import BITS as PACKED
from recjobs.core.lists.reasons import because
from recjobs.core.model.fold_in import FoldIn
from recjobs.core.model.kernel import kernel
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranking import BITS, Ranked, best_items, step_of
from recjobs.core.recipe import Recipe
from tests.unit.worlds import sets

ONE = np.ones((1, 1), np.float32)
LAST_BITS = 1e-6


def with_other_last_bits(values: np.ndarray, seed: int) -> np.ndarray:
    noise = default_rng(seed).uniform(-LAST_BITS, LAST_BITS, values.shape)
    return (values * (1 + noise)).astype(np.float32)


def listed(scores: list[float] | np.ndarray, n: int, seed: int = 0) -> list[int]:
    """The list of a user to whom the items have these scores, up to their last bits."""
    items = with_other_last_bits(np.array(scores, np.float32)[:, None], seed)
    return best_items(ONE, items, n, None, np.ones(len(items), bool)).item_idx[0].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_items_whose_scores_are_equal_but_for_rounding_rank_by_item(seed):
    assert listed([2, 7, 2, 5, 2, 2, 7], 7, seed) == [1, 6, 3, 0, 2, 4, 5]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [1, 3, 10, 600])
def test_a_list_that_ends_among_equal_scores_takes_the_first_items(n, seed):
    scores = np.ones(1000)
    scores[[500, 900]] = 4, 3
    expected = [500, 900, *(item for item in range(1000) if item not in (500, 900))]
    assert listed(scores, n, seed) == expected[:n]


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e4])
def test_scores_apart_by_more_than_the_stated_tolerance_keep_their_order(scale):
    gap = 1 + 2.0 ** (1 - BITS)
    assert listed(scale * gap ** np.arange(40), 40) == list(range(39, -1, -1))


def test_a_score_is_rounded_by_less_than_the_stated_tolerance():
    rng = default_rng(3)
    users, items = rng.normal(size=(90, 8)).astype(np.float32), rng.normal(size=(300, 8)).astype(np.float32)
    ranked = best_items(users, items, 50, None, np.ones(300, bool))
    exact = np.take_along_axis(users.astype(float) @ items.T, ranked.item_idx, axis=1)
    assert (np.abs(ranked.scores - exact) <= 2.0**-BITS * exact.max(axis=1, keepdims=True)).all()
    assert (np.diff(ranked.scores, axis=1) <= 0).all()
    steps = ranked.scores / step_of(ranked.scores[:, 0])[:, None]
    np.testing.assert_array_equal(steps, np.rint(steps))


def test_scores_that_are_not_finite_are_left_out_and_break_no_list():
    for odd in (np.nan, np.inf):
        items = np.array([[odd], [2], [odd], [3], [1]], np.float32)
        for n in (1, 2, 5):
            found = best_items(ONE, items, n, None, np.ones(5, bool)).item_idx[0]
            assert found.tolist() == [3, 1, 4, -1, -1][:n]


def reasons(added: list[float], seed: int) -> list[int]:
    """The reasons for an item, from 1, if the user's items add this to its score, up to their last bits."""
    n = len(added)
    values = with_other_last_bits(np.array(added, np.float32), seed)
    similarity = csr_matrix((values, (np.arange(n), np.full(n, n))), shape=(n + 1, n + 1))
    blend = Blend(sets(range(n), n_items=n + 1), similarity, 1.0)
    _, folded = FoldIn(np.ones((n + 1, 1), np.float32), Recipe(factors=1)).of(blend.rows)
    listed = Ranked(np.array([[n]], np.int32), np.ones((1, 1), np.float32), np.ones(1, np.float32))
    found = because(listed, 1, folded.item_factors, folded, blend=blend)
    places = [int(found.packed[0, 0]) >> PACKED * k & (1 << PACKED) - 1 for k in range(3)]
    return [int(found.item_idx[place - 1]) + 1 for place in places if place]


def test_reasons_that_add_equally_are_the_first_ones_and_rounding_alone_is_no_reason():
    for seed in range(5):
        assert reasons([0.3, 0.3, 1e-9, 0.3, 0.5, -0.2], seed) == [5, 1, 2]
    assert reasons([1e-9, -0.5, 0.4], 0) == [3]


def test_neighbour_scores_that_are_equal_but_for_rounding_add_nothing():
    alike = sets([0, 1, 2], [0, 1, 2], [0, 1, 2], n_items=3)
    alike.data = with_other_last_bits(np.full(9, 0.37), 1)
    values = np.array([[3.0, 2.0, 1.0]], np.float32)
    Blend(sets([0, 1], n_items=3), alike, 0.5).add_to(values, 0, 1)
    assert values.tolist() == [[3.0, 2.0, 1.0]]


def test_a_difference_that_is_zero_but_for_rounding_is_neither_better_nor_worse():
    gains = np.tile([0.1, 0.2, -0.3], 20)
    champion = np.full(60, 0.5)
    # every resample that draws as much of each is 0 in exact arithmetic; all of them are, of equal means
    both = relative_difference(champion + 1e-17 * gains, champion, 1)
    assert (both.low, both.value, both.high) == (0, 0, 0)
    tiny = relative_difference(champion + 1e-15, champion, 1)
    assert (tiny.low, tiny.value, tiny.high) == (0, 0, 0)


def test_a_value_at_its_bound_passes_whatever_its_last_bits():
    ndcg = default_rng(1).uniform(0.2, 0.4, 200)
    bounds = Bounds(0.5, 0.9, 0.5, 0.3, 0.6, 0.1, 0.1, 0.1, 20)
    for off in (-1e-15, 0, 1e-15):
        verdict = decide(
            Shown(ndcg, 0.3 - off, 0.6 + off, 4.5 - off), Shown(ndcg, (0.3 - off) / 0.9 + off, 0.5 - off, 5.0 + off),
            {"popularity_30d": ndcg / 2, "popularity_all": ndcg / 2}, same_recipe=True, segments={}, defect=None,
            bounds=bounds, seed=1,
        )  # fmt: skip
        assert [check.name for check in verdict.checks if not check.passed] == []


CORETYPES = ("Haswell", "SkylakeX")
LISTS = """
import sys
import recjobs.config
import numpy as np
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.model.kernel import kernel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions

rng = np.random.default_rng(1)
n_users, n_items, n = 800, 240, 8000
user = rng.integers(0, n_users, n)
item = (user % 12 * 20 + rng.geometric(0.08, n)) % n_items  # twelve tastes
item = np.where(item % 20 == 19, item - 1, item)  # some items are taken by nobody
at = np.sort(rng.integers(0, 200 * DAY, n))
shop = Interactions(*(a.astype(np.int32) for a in (user, item)), at, np.ones(n, np.float32), np.full(n, -1, np.int16),
                    n_users, n_items)
recipe = Recipe(32, 10, 10, 15, half_life_days=20, blend=0.3, frequency_scaling=0.5)
past = Past(shop, 200 * DAY, Engine(1))
factors = past.engine.fit(past.confidence(recipe), recipe, 42)
maker = ListMaker(past, Knowledge.of_train(shop), Model(factors.item_factors, recipe), shop.pairs())
lists = maker.lists(np.arange(n_users), 100, 30)
np.savez(sys.argv[1], item_idx=lists.ranked.item_idx, scores=lists.ranked.scores, iterations=factors.iterations,
         kernel=kernel(), packed=lists.because.packed, item_factors=factors.item_factors)
"""


@pytest.fixture(scope="module")
def by_kernel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """A small shop's lists as each kernel makes them."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these kernels are of x86-64")
    folder: Path = tmp_path_factory.mktemp("kernels")
    running = {
        name: subprocess.Popen(
            [sys.executable, "-c", LISTS, str(folder / f"{name}.npz")],
            cwd=ROOT, env=os.environ | {"OPENBLAS_CORETYPE": name},
        )
        for name in CORETYPES
    }  # fmt: skip
    assert [process.wait(300) for process in running.values()] == [0, 0]
    lists = {name: dict(np.load(folder / f"{name}.npz")) for name in CORETYPES}
    if len({str(each["kernel"]) for each in lists.values()}) == 1:
        pytest.skip("this processor has one of the two kernels only")
    return lists


def test_the_kernel_is_the_one_that_was_asked_for(by_kernel):
    assert all(f"openblas {name}, numpy " in str(each["kernel"]) for name, each in by_kernel.items())
    assert kernel().startswith("openblas ")


def test_two_kernels_end_their_fits_alike_and_make_the_same_lists(by_kernel):
    one, other = by_kernel.values()
    assert one["iterations"] == other["iterations"] < 15
    assert (one["item_factors"] == other["item_factors"]).mean() > 0.999
    assert one["scores"].shape == (800, 100)
    differ = one["item_idx"] != other["item_idx"]
    assert differ[:, :20].any(axis=1).mean() <= 0.002
    assert differ.any(axis=1).mean() <= 0.006
    tolerance = np.broadcast_to(2 * step_of(one["scores"][:, 0])[:, None], differ.shape)
    assert (np.abs(one["scores"] - other["scores"])[differ] <= tolerance[differ]).all()
    assert (one["packed"] != other["packed"])[~differ[:, :30]].mean() <= 0.002
