"""Fitting on a graphics card: which recipes go there, what happens without one, and the arithmetic of our part.

Machines of tests have no card: a stand-in with implicit's interface computes what its kernel does, row by row. The last
test runs where there is one.
"""

import logging
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import implicit.gpu
import numpy as np
import pytest
import yaml

from recjobs.adapters import gpu
from recjobs.config import ROOT
from recjobs.core.model import cuda
from recjobs.core.model.als import Factors, fit
from recjobs.core.model.engine import Engine
from recjobs.core.model.ranking import best_items
from recjobs.core.recipe import Recipe
from recjobs.errors import BadConfiguration
from recjobs.night.devices import engine_of, note_device
from tests.unit.worlds import NOW, checkerboard, interactions

RECIPE = Recipe(factors=2, alpha=10.0, regularization=0.1, iterations=10)
WITHHELD = {(user, user % 8) for user in range(12)}
USER_ITEMS = interactions(checkerboard(12, 8, WITHHELD), 12, 8).confidence(RECIPE, NOW)

no_card = pytest.mark.skipif(cuda.defect() is None, reason="this machine has a GPU")


class Matrix:
    """implicit.gpu.Matrix: an array of single precision, with whole warps of columns."""

    def __init__(self, values: np.ndarray) -> None:
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        assert values.shape[1] % 32 == 0
        self.values = values.copy()

    @classmethod
    def zeros(cls, rows: int, columns: int) -> "Matrix":
        return cls(np.zeros((rows, columns), np.float32))

    def to_numpy(self) -> np.ndarray:
        return self.values.copy()


class LeastSquaresSolver:
    """implicit.gpu.LeastSquaresSolver: conjugate gradients in single precision."""

    def calculate_yty(self, fixed: Matrix, squared: Matrix, regularization: float) -> None:
        squared.values[:] = fixed.values.T @ fixed.values + np.float32(regularization) * np.eye(
            squared.values.shape[0], dtype=np.float32
        )

    def least_squares(self, rows: Any, solved: Matrix, squared: Matrix, fixed: Matrix, cg_steps: int) -> None:
        for row in range(rows.shape[0]):
            columns, confidence = rows[[row]].indices, rows[[row]].data
            known, x = fixed.values[columns], solved.values[row]
            if not len(columns):
                x[:] = 0
                continue
            residual = (confidence - (confidence - 1) * (known @ x)) @ known - squared.values @ x
            direction, before = residual.copy(), residual @ residual
            for _ in range(cg_steps if before >= 1e-20 else 0):
                image = squared.values @ direction + ((confidence - 1) * (known @ direction)) @ known
                step = before / (direction @ image)
                x += step * direction
                residual -= step * image
                after = residual @ residual
                if after < 1e-20:
                    break
                direction, before = residual + after / before * direction, after


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """implicit's CUDA module, as far as we use it."""
    for name, value in {
        "HAS_CUDA": True, "HAS_RMM": True, "Matrix": Matrix, "LeastSquaresSolver": LeastSquaresSolver,
        "CSRMatrix": lambda rows: rows,
    }.items():  # fmt: skip
        monkeypatch.setattr(implicit.gpu, name, value, raising=False)
    return monkeypatch


def test_the_card_finds_the_factors_that_the_processor_finds(card: pytest.MonkeyPatch):
    there = Engine(1, gpu=True).fit(USER_ITEMS, RECIPE, seed=3)
    here = fit(USER_ITEMS, RECIPE, seed=3, threads=1)
    assert (there.device, there.why_cpu, here.device) == ("gpu", "", "cpu")
    assert there.iterations == here.iterations
    assert there.user_factors.shape == (12, 2)
    np.testing.assert_allclose(there.user_factors, here.user_factors, rtol=2e-2, atol=2e-3)
    np.testing.assert_allclose(there.item_factors, here.item_factors, rtol=2e-2, atol=2e-3)
    ranked = best_items(there.user_factors, there.item_factors, 1, USER_ITEMS, np.ones(8, bool))
    assert {(user, int(item)) for user, item in enumerate(ranked.item_idx[:, 0])} == WITHHELD


def test_a_warm_start_begins_from_the_given_factors(card: pytest.MonkeyPatch):
    rng, once = np.random.default_rng(5), replace(RECIPE, iterations=1)
    start = Factors(rng.normal(size=(12, 2)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32))
    engine = Engine(1, gpu=True)
    warm, cold = engine.fit(USER_ITEMS, once, 3, start), engine.fit(USER_ITEMS, once, 3)
    here = fit(USER_ITEMS, once, 3, 1, start)
    np.testing.assert_allclose(warm.item_factors, here.item_factors, rtol=2e-2, atol=2e-3)
    assert not np.allclose(warm.item_factors, cold.item_factors, atol=0.05)


@pytest.mark.parametrize(
    ("recipe", "shape", "said"),
    [
        (replace(RECIPE, frequency_scaling=0.5), (12, 8), "frequency_scaling"),
        (replace(RECIPE, factors=1000), (2_100_000, 8), "2,100,000 rows of 1000 factors"),
        (RECIPE, (12, 8), None),
        (replace(RECIPE, factors=64), (30_000_000, 8), None),
    ],
)
def test_the_card_takes_the_recipes_that_it_can_compute(recipe: Recipe, shape: tuple[int, int], said: str | None):
    refused = cuda.refusal(recipe, shape)
    assert refused is said if said is None else said in str(refused)


def test_a_recipe_that_the_card_refuses_is_fit_on_the_processor_and_the_log_says_so(
    card: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    scaled = replace(RECIPE, frequency_scaling=0.5)
    fitted = Engine(1, gpu=True).fit(USER_ITEMS, scaled, 3)
    np.testing.assert_array_equal(fitted.item_factors, fit(USER_ITEMS, scaled, 3, 1).item_factors)
    assert note_device(fitted, "the candidate") == {"device": "cpu", "why_cpu": fitted.why_cpu}
    assert "frequency_scaling" in fitted.why_cpu
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "the candidate: fit on the cpu (frequency_scaling" in caplog.text


@pytest.mark.parametrize("error", [MemoryError("std::bad_alloc: out_of_memory"), RuntimeError("Cuda Error: no device")])
def test_a_card_that_gives_up_leaves_the_fit_to_the_processor(card: pytest.MonkeyPatch, error: Exception):
    def fails(*_: Any) -> None:
        raise error

    card.setattr(implicit.gpu, "CSRMatrix", fails)
    fitted = Engine(1, gpu=True).fit(USER_ITEMS, RECIPE, 3)
    assert (fitted.device, fitted.why_cpu) == ("cpu", f"the GPU gave up: {error}")
    np.testing.assert_array_equal(fitted.item_factors, fit(USER_ITEMS, RECIPE, 3, 1).item_factors)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's program, which names a card."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A10G (UUID: GPU-1)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@no_card
def test_without_a_card_auto_and_never_fit_on_the_processor_and_required_is_exit_78(caplog: pytest.LogCaptureFixture):
    assert engine_of("auto", 2) == Engine(2, why_cpu="no GPU")
    assert engine_of("never", 2) == Engine(2, why_cpu="use_gpu: never")
    with pytest.raises(BadConfiguration, match="use_gpu: required, and this machine shows no GPU") as refused:
        engine_of("required", 2)
    assert refused.value.exit_code == 78
    assert caplog.records == []


@no_card
def test_a_card_that_cannot_be_used_is_a_warning_and_required_names_it(
    nvidia_smi: None, caplog: pytest.LogCaptureFixture
):
    engine = engine_of("auto", 2)
    assert not engine.gpu
    assert "the GPU cannot be used" in engine.why_cpu
    assert "there is a GPU (GPU 0: NVIDIA A10G) that cannot be used" in caplog.text
    with pytest.raises(BadConfiguration, match=r"the GPU of this machine \(GPU 0: NVIDIA A10G\) cannot be used"):
        engine_of("required", 2)


def test_with_a_card_auto_and_required_use_it_and_never_does_not(monkeypatch: pytest.MonkeyPatch):
    cuda.defect.cache_clear()
    monkeypatch.setattr(implicit.gpu, "HAS_CUDA", True)
    try:
        assert engine_of("auto", 2) == engine_of("required", 2) == Engine(2, gpu=True)
        assert not engine_of("never", 2).gpu
    finally:
        cuda.defect.cache_clear()


def test_a_card_that_only_the_drivers_folder_shows_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "gpus" / "0000:00:1e.0").mkdir(parents=True)
    assert gpu.card(tmp_path / "gpus") == f"{tmp_path}/gpus/0000:00:1e.0"


NVML = """
NVML_TEMPERATURE_GPU = 0
class NVMLError(Exception): pass
class Of:
    def __init__(self, **values): self.__dict__.update(values)
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetUtilizationRates(card): return Of(gpu=[3, 97][card])
def nvmlDeviceGetMemoryInfo(card): return Of(used=[1, 5 * 2**30][card])
def nvmlDeviceGetTemperature(card, sensor): return [30, 71][card]
def nvmlDeviceGetPowerUsage(card): return [9000, 143500][card]
"""


def test_the_load_of_the_busiest_card_is_sent_while_a_block_runs(monkeypatch: pytest.MonkeyPatch):
    library = ModuleType("pynvml")
    exec(NVML, library.__dict__)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    sent: list[tuple[str, float]] = []
    with gpu.gauges(lambda name, value: sent.append((name, value)), every=0.01):
        while len(sent) < 8:
            time.sleep(0.001)
    ended = len(sent)
    values = {"gpu_utilization": 97.0, "gpu_memory": 5.0 * 2**30, "gpu_temperature": 71.0, "gpu_power": 143.5}
    assert dict(sent) == values
    explained = yaml.safe_load((ROOT / "recjobs" / "metrics.yaml").read_text())
    assert {name for name in explained if name.startswith("gpu_")} == values.keys()
    assert len(sent) == ended


@no_card
def test_without_nvidias_library_nothing_is_sent():
    sent: list[Any] = []
    with gpu.gauges(lambda *sample: sent.append(sample), every=0.01):
        pass
    assert sent == []


@pytest.mark.skipif(cuda.defect() is not None, reason=f"no GPU: {cuda.defect()}")
def test_a_real_card_makes_the_lists_of_the_processor():
    there, here = Engine(1, gpu=True).fit(USER_ITEMS, RECIPE, 3), fit(USER_ITEMS, RECIPE, 3, 1)
    assert there.device == "gpu"
    lists = [
        best_items(f.user_factors, f.item_factors, 1, USER_ITEMS, np.ones(8, bool)).item_idx for f in (there, here)
    ]
    np.testing.assert_array_equal(*lists)
