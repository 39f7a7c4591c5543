"""The steps of our four nights beside floors and peers of the same run, and the nights beside their targets.

A floor is what a step cannot do without: reading its rows, the inner products that rank, the server's own COPY. The
peer is the stage of the engineer's script (`benchmarks.peer_nights`) that does the same; of fits, by the iteration.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import night, peers
from benchmarks.night import Night
from benchmarks.peer_nights import ITERATIONS
from recjobs.core.evaluation.exam import MAX_USERS

READING, PRODUCTS, LISTS, COPY = (
    "reading the rows", "the inner products alone", "reading the lists", "server-side COPY of the same rows",
)  # fmt: skip
"""What the stages of `make bench` are held against."""
KINDS = (peers.PLAIN, peers.BLENDED, *peers.SECOND.values())
FLIP_TARGETS = dict(zip(KINDS, (90, 150, 45, 90), strict=True))
"""Seconds of 20 million interactions, command to flip."""
MEMORY_TARGET = 3 * 1024
"""MiB of 20 million interactions, Postgres' included."""
CONTENDERS = 2
"""Contenders of an evaluation that rank by inner products, at most: candidate and champion."""


@dataclass(frozen=True)
class Step:
    """Seconds of some steps in each of our nights, medians, and of what they are held against."""

    name: str
    seconds: tuple[float, ...]
    floor: float | None
    peer: float | None

    def line(self) -> str:
        """The step as a row of the table. ratios: of the first night without the blend to floor and peer."""
        ours = "".join(f"{seconds:>9.1f}" for seconds in self.seconds)
        others = "".join(f"{one:>9.1f}" if one else f"{'':>9}" for one in (self.floor, self.peer))
        ratios = "".join(f"{self.seconds[0] / one:>8.2f}" if one else f"{'':>8}" for one in (self.floor, self.peer))
        return f"{self.name:<28}{ours}{others}{ratios}"


HEAD = (
    f"{'seconds':<28}{'first':>9}{'blend':>9}{'second':>9}{'blend':>9}{'floor':>9}{'peer':>9}{'/floor':>8}{'/peer':>8}"
)


def steps(
    ours: Mapping[str, Sequence[Night]], floors: Mapping[str, float], peer: Mapping[str, float], n_users: int
) -> list[Step]:
    """The table's rows. floors: seconds by what they are of; peer: the seconds of the script's stages."""
    first = ours[peers.PLAIN][0].returned
    of_train, of_refit = (first[step].get("iterations", 0) * peer["fit"] / ITERATIONS for step in ("train", "refit"))
    asked = min(1.0, MAX_USERS / n_users) * CONTENDERS
    table: list[tuple[str, tuple[str, ...], float | None, float | None]] = [
        ("start and begin", (night.BEGIN,), None, None),
        ("extract, validate, split", ("extract", "validate", "split"), floors[READING], peer["read"]),
        ("train", ("train",), None, of_train),
        ("evaluate, gate", ("evaluate", "gate"), floors[PRODUCTS] * asked, None),
        ("refit", ("refit",), None, of_refit),
        ("score", ("score",), floors[PRODUCTS], peer["lists"]),
        ("inspect", ("inspect",), floors[LISTS], None),
        ("publish", ("publish",), floors[COPY], peer["write"]),
        ("report", ("report",), None, None),
    ]
    return [
        Step(name, tuple(_median(ours[kind], of_steps) for kind in KINDS), floor, of_peer)
        for name, of_steps, floor, of_peer in table
    ]


def _median(nights: Sequence[Night], names: tuple[str, ...]) -> float:
    return statistics.median(sum(one.seconds.get(name, 0.0) for name in names) for one in nights)


def wholes(ours: Mapping[str, Sequence[Night]], has_targets: bool) -> Iterator[str]:
    """Whole nights: medians, and whether they reach the targets for 20 million interactions."""
    for name, figure, targets in (
        (night.FLIP, night.FLIP, FLIP_TARGETS),
        (night.PEAK, night.PEAK, {}),
        ("with Postgres', MiB", night.WITH_POSTGRES, dict.fromkeys(KINDS, MEMORY_TARGET)),
    ):
        values = {kind: statistics.median(one.figures[figure] for one in ours[kind]) for kind in KINDS}
        yield f"{name:<28}" + "".join(f"{value:>9,.1f}" for value in values.values())
        if targets and has_targets:
            yield f"{'  target':<28}" + "".join(f"{targets[kind]:>9,}" for kind in KINDS)
            verdicts = ("yes" if values[kind] <= targets[kind] else "NO" for kind in KINDS)
            yield f"{'  pass':<28}" + "".join(f"{verdict:>9}" for verdict in verdicts)


def report(table: Sequence[Step], ours: Mapping[str, Sequence[Night]], has_targets: bool) -> Iterator[str]:
    """Steps, then whole nights."""
    yield HEAD
    yield from (step.line() for step in table)
    yield from wholes(ours, has_targets)


def as_json(table: Sequence[Step]) -> list[dict[str, Any]]:
    """The rows of the table."""
    return [
        {"step": one.name, "seconds": dict(zip(KINDS, one.seconds, strict=True)), "floor": one.floor, "peer": one.peer}
        for one in table
    ]
