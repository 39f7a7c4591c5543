"""How much of a running night is over, and what is left, by the nights before it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.pages.runs import _progress


def step(name: str, state: str | None, seconds: float = 0, ago: float = 0) -> dict[str, Any]:
    """A step that began `ago` seconds ago and, unless it runs, took so long."""
    began = datetime.now(UTC) - timedelta(seconds=ago) if state else None
    ended = began + timedelta(seconds=seconds) if began and state != "running" else None
    return {"step": name, "state": state, "started_at": began, "ended_at": ended}


EARLIER = [step("extract", "done", 10), step("train", "done", 100), step("score", "done", 60)]
OLDER = [step("extract", "done", 999), step("train", "done", 999), step("report", "done", 30)]


def test_each_step_to_come_takes_as_long_as_it_last_did():
    running = [step("extract", "done", 20), step("train", "running", ago=40), step("score", None), step("report", None)]
    over, left = _progress(running, [running, EARLIER, OLDER])
    assert left == pytest.approx(60 + 60 + 30, abs=5)
    assert over == pytest.approx((20 + 40) / (60 + 150), abs=0.05)


def test_a_step_that_takes_longer_than_ever_has_nothing_left_of_its_own():
    running = [step("train", "running", ago=500), step("score", None)]
    assert _progress(running, [running, EARLIER])[1] == pytest.approx(60, abs=1)


def test_without_a_night_that_got_so_far_nothing_is_promised():
    running = [step("extract", "running", ago=1), step("publish", None)]
    assert _progress(running, [running, EARLIER]) == (0.0, None)
    failed = [step("extract", "failed", 10)]
    assert _progress(running[:1], [running[:1], failed]) == (0.0, None)


def test_what_is_over_is_over():
    assert _progress(EARLIER, [EARLIER]) == (1.0, 0.0)
    assert _progress([], []) == (0.0, 0.0)
