"""How a night's time and memory grow with its interactions, as a picture with logarithmic axes."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.night import FLIP

Point = tuple[int, float, float]
"""Interactions, seconds from command to flip, and the most memory in MiB."""


def points(measured: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The medians of this build's nights of each run of `make bench`, by size."""
    found = []
    for run in measured:
        nights = [night for night in run["nights"] if night["build"] == "this"]
        seconds, memory = (
            statistics.median(values)
            for values in ([n["seconds"][FLIP] for n in nights], [n["peak_mib"] for n in nights])
        )
        found.append((int(run["interactions"]), seconds, memory))
    return sorted(found)


def draw(measured: Sequence[Mapping[str, Any]], to: Path) -> None:
    """Draw time and memory against the number of interactions, each beside a line of equal growth."""
    from matplotlib.figure import Figure

    rows = points(measured)
    sizes = [row[0] for row in rows]
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, place, what in zip(figure.subplots(1, 2), (1, 2), ("seconds", "memory, MiB"), strict=True):
        values = [row[place] for row in rows]
        axes.loglog(sizes, values, "o-", label="a night")
        axes.loglog(sizes, [values[0] * size / sizes[0] for size in sizes], ":", color="grey", label="in proportion")
        axes.set_xlabel("interactions")
        axes.set_ylabel(what)
        axes.grid(True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(to)
