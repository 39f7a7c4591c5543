"""Which batch was live when, and whether what clients saw agrees with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from tests.load import Run


@dataclass(frozen=True)
class Flip:
    """The pointer moved to a batch, at some time between these two (time.monotonic())."""

    batch_id: str
    began: float
    ended: float


class Pointer:
    """Every place of the pointer, in order."""

    def __init__(self) -> None:
        self.flips: list[Flip] = []

    @contextmanager
    def moves_to(self, batch_id: str) -> Iterator[None]:
        """The block moves the pointer."""
        began = time.monotonic()
        yield
        self.flips.append(Flip(batch_id, began, time.monotonic()))

    def broken(self, runs: list[Run], within: float = 1.0) -> str | None:
        """What one client saw against the order of the flips, or asked for `within` seconds after the next flip and
        still saw, or saw before its time; None when all is well."""
        place = 0
        for run in runs:
            later = [k for k in range(place, len(self.flips)) if self.flips[k].batch_id == run.batch_id]
            if not later:
                return f"{run.batch_id} after {self.flips[place].batch_id}: the batch went back without a roll back"
            at = next((k for k in later if run.last_began <= self.until(k) + within), None)
            if at is None:
                return f"{run.batch_id} was still served {run.last_began - self.until(later[-1]):.1f} s after the flip"
            if run.first_ended < self.flips[later[0]].began:
                return f"{run.batch_id} was served before it was published"
            place = at
        return None

    def until(self, place: int) -> float:
        """When the pointer had left this place, by then at the latest."""
        return self.flips[place + 1].ended if place + 1 < len(self.flips) else float("inf")

    def lag(self, connections: list[list[Run]]) -> float:
        """The longest time after a flip that somebody asked and was given the batch before; negative: nobody was."""
        worst = float("-inf")
        for runs in connections:
            for before, after in pairwise(runs):
                ended = [f.ended for f in self.flips if f.batch_id == after.batch_id and f.began <= after.first_ended]
                worst = max(worst, before.last_began - ended[-1])
        return worst
