"""How two builds are measured beside each other, and how a night's steps are timed."""

import pyarrow as pa
import pytest

from benchmarks import kernels
from benchmarks.beside import Build, Comparison, turns
from benchmarks.night import BEGIN, step_seconds
from recjobs.config import ROOT


def test_two_builds_take_turns_so_that_neither_is_always_first() -> None:
    a, b = Build("a", ROOT), Build("b", ROOT)
    assert [(count, build.name) for count, build in turns([a, b], 3)] == [
        (0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b"),
    ]  # fmt: skip


def test_a_ratio_is_taken_within_each_round_and_their_median_counts() -> None:
    summary = Comparison([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]).summary()
    assert summary["ratios"] == [1.0, 2.0, 3.0]
    assert (summary["this"], summary["other"]) == (4.0, 2.0)
    assert (summary["ratio"], summary["ratio_min"], summary["ratio_max"]) == (2.0, 1.0, 3.0)


def test_a_step_takes_from_the_end_of_the_step_before_whatever_else_is_printed_meanwhile() -> None:
    lines = [
        (1.0, "a warning"),
        (2.0, "night 20251009T084545Z-1 of bench"),
        (2.5, "  extract         0.5 s  read=10  excluded=0"),
        (4.0, "another warning"),
        (5.5, "  gate            3.0 s  verdict=unclear"),
        (5.75, "the gate cannot tell, so the champion stays."),
        (6.0, "  refit            left out: the candidate was refused, 20251008T084545Z-1 stays live"),
        (8.0, "  score           2.0 s  users=4  n=100"),
    ]
    assert step_seconds(lines) == {BEGIN: 2.0, "extract": 0.5, "gate": 3.0, "score": 2.5}


def lists(*rows: tuple[list[str], list[float]]) -> pa.Table:
    users = [f"u{n}" for n in range(len(rows))]
    return pa.table({"user_id": users, "item_ids": [ids for ids, _ in rows], "scores": [scores for _, scores in rows]})


def test_two_nights_lists_are_compared_by_their_first_items_as_wholes_and_by_the_scores_that_changed_places() -> None:
    ids = [f"i{n}" for n in range(30)]
    scores = [8.0 - n / 8 for n in range(30)]
    late = [*ids[:28], "i29", "i28"]
    same, swapped = (ids, scores), (late, scores)
    found = kernels.difference(lists(same, same), lists(same, swapped))
    assert (found.n, found.first, found.whole, found.apart) == (2, 0, 1, 0), "the places keep their scores"
    nearly = [*scores[:28], scores[28] + 8 * kernels.TOLERANCE, scores[29]]
    found = kernels.difference(lists(same), lists((late, nearly)))
    assert found.apart == pytest.approx(kernels.TOLERANCE)
    assert not found.is_small, "one list of one is too many"
    assert kernels.difference(lists(*[same] * 200), lists(*[same] * 199, swapped)).is_small
    first = (["i1", "i0", *ids[2:]], scores)
    assert not kernels.difference(lists(*[same] * 200), lists(*[same] * 199, first)).is_small
