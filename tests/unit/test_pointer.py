"""The check of what clients saw while the pointer moved: it finds each way of being wrong."""

import pytest

from tests.load import Run
from tests.pointer import Flip, Pointer


def flipped(*flips: tuple[str, float]) -> Pointer:
    pointer = Pointer()
    pointer.flips = [Flip(batch_id, at, at + 0.1) for batch_id, at in flips]
    return pointer


A_B_A_C = flipped(("a", 0), ("b", 10), ("a", 20), ("c", 30))


@pytest.mark.parametrize(
    "runs",
    [
        [Run("a", 1, 9), Run("b", 11, 19), Run("a", 21, 29), Run("c", 31, 99)],
        [Run("a", 1, 29), Run("c", 31, 99)],
        [Run("b", 10.05, 20.5), Run("a", 20.6, 29)],
        [],
    ],
)
def test_what_follows_the_flips_is_right(runs: list[Run]):
    assert A_B_A_C.broken(runs) is None


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([Run("c", 31, 32), Run("b", 33, 34)], "went back"),
        ([Run("b", 11, 12), Run("a", 21, 22), Run("b", 23, 24)], "went back"),
        ([Run("a", 1, 32)], "still served 1.9 s after"),
        ([Run("b", 11, 22), Run("c", 31, 32)], "still served 1.9 s after"),
        ([Run("a", 1, 2), Run("c", 29, 31)], "before it was published"),
    ],
)
def test_what_does_not_is_found(runs: list[Run], words: str):
    assert words in (A_B_A_C.broken(runs) or "")


def test_the_lag_is_how_long_after_a_flip_somebody_was_given_the_batch_before():
    assert A_B_A_C.lag([[Run("a", 1, 9), Run("b", 11, 20.5), Run("a", 20.7, 29)]]) == pytest.approx(0.4)
