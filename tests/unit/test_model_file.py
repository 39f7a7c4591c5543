"""A model as arrays: every byte back, and nothing that does not fit together."""

import io

import numpy as np
import pytest

from recjobs.core.model import npz
from recjobs.core.model.als import Factors
from recjobs.core.model.ranker import Ranker
from recjobs.core.model.stored import StoredModel
from recjobs.errors import ModelRefused
from recjobs.operations.erase_files import without_user
from tests.unit.hostile import HOSTILE

MODEL = StoredModel(
    Factors(
        np.arange(len(HOSTILE) * 2, dtype=np.float32).reshape(-1, 2), np.array([[1, 2], [3, 4], [0, 0]], np.float32)
    ),
    HOSTILE,
    ["a", "", "ü"],
)


def test_a_model_comes_back_from_an_npz_without_pickles_as_it_was():
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **MODEL.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        back = StoredModel.from_arrays(dict(arrays))
    assert (back.user_ids, back.item_ids) == (MODEL.user_ids, MODEL.item_ids)
    np.testing.assert_array_equal(back.factors.user_factors, MODEL.factors.user_factors)
    np.testing.assert_array_equal(back.factors.item_factors, MODEL.factors.item_factors)
    assert back.factors.user_factors.dtype == np.float32


def test_a_model_of_nobody_and_nothing_is_a_model():
    empty = StoredModel(Factors(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)), [], [])
    assert StoredModel.from_arrays(empty.to_arrays()).user_ids == []


@pytest.mark.parametrize(
    "change",
    [
        {"user_factors": MODEL.factors.user_factors.astype(np.float64)},
        {"user_factors": MODEL.factors.user_factors[:-1]},
        {"user_factors": MODEL.factors.user_factors[0]},
        {"user_factors": np.array([[{}, {}]] * len(HOSTILE))},
        {"item_factors": np.zeros((3, 5), np.float32)},
        {"item_ids": np.array([0xFF] * 3, np.uint8)},
        {"item_offsets": np.array([0, 1])},
        {"item_offsets": np.array([0.0, 1.0, 2.0, 3.0])},
        {"item_offsets": np.array(3)},
        {"item_offsets": np.array(["0", "1", "1", "3"])},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change):
    with pytest.raises(ModelRefused, match="the model file"):
        StoredModel.from_arrays(MODEL.to_arrays() | change)


@pytest.mark.parametrize("missing", list(MODEL.to_arrays()))
def test_a_missing_array_is_refused_by_name(missing):
    arrays = MODEL.to_arrays()
    del arrays[missing]
    with pytest.raises(ModelRefused, match=missing):
        StoredModel.from_arrays(arrays)


def test_a_model_without_a_user_keeps_all_else():
    factors = Factors(np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((2, 2), np.float32))
    file = io.BytesIO()
    np.savez(file, **StoredModel(factors, ["a", "b", "c"], ["x", "y"], Ranker("its text")).to_arrays())
    without = without_user(file.getvalue(), "b", "")
    left = StoredModel.from_arrays(npz.read(io.BytesIO(without), ""))
    assert (left.user_ids, left.item_ids, left.ranker) == (["a", "c"], ["x", "y"], Ranker("its text"))
    assert left.factors.user_factors.tolist() == [[0, 1], [4, 5]]
