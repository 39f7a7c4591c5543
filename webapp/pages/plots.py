"""The plots of the page of nights: coordinates of lines and bars, which a template draws as SVG.

All lengths are in units of the drawing, whose origin is at the top left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log10
from typing import Any

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 26

Value = float | None


@dataclass(frozen=True)
class Tick:
    """A horizontal grid line with its label."""

    y: float
    label: str


@dataclass(frozen=True)
class Series:
    """One line: an SVG path through its values, and a dot for each."""

    name: str
    kind: str
    path: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """One bar. kind: `live` for the live batch."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Plot:
    """A plot of one value per night."""

    title: str
    ticks: list[Tick]
    labels: list[tuple[float, str]]
    series: list[Series] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM


def of_nights(nights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The three plots of the page, oldest night first, each with the numbers of its table; empty ones are left out."""
    if len(nights) < 2:
        return []
    names = [f"{night['as_of']:%d %b}".lstrip("0") for night in nights]
    metric = next((night["metric"] for night in reversed(nights) if night["metric"]), "ndcg_at_20")
    quality: dict[tuple[str, str], list[Value]] = {
        ("Tonight's candidate", "candidate"): [night["candidate"] for night in nights],
        ("The model in charge", "champion"): [night["champion"] for night in nights],
        ("Popular items", "baseline"): [night["baseline"] for night in nights],
    }
    kinds = ["live" if night["is_live"] else "" for night in nights]
    accepted: list[Value] = [night["n_accepted"] for night in nights]
    minutes: list[Value] = [night["seconds"] / 60 if night["seconds"] else None for night in nights]
    title = f"Quality of the lists, {metric.replace('_at_', '@').upper()}"
    drawn = [
        (lines(title, names, quality), [name for name, _ in quality], list(quality.values()), 4),
        (bars("Interactions read and accepted", names, accepted, kinds), ["Interactions"], [accepted], 0),
        (bars("Minutes the night took", names, minutes, kinds), ["Minutes"], [minutes], 1),
    ]
    return [
        {"plot": plot, "columns": columns, "rows": list(zip(names, *values, strict=True)), "decimals": decimals}
        for plot, columns, values, decimals in drawn
        if plot
    ]


def lines(title: str, nights: Sequence[str], values: Mapping[tuple[str, str], Sequence[Value]]) -> Plot | None:
    """A line per series, (name, kind) -> a value per night; a gap breaks it. None if there is no value at all."""
    known = [value for row in values.values() for value in row if value is not None]
    if not known:
        return None
    low, high, ticks = _scale(min(known), max(known))
    x = _x_of_nights(len(nights))
    series = []
    for (name, kind), row in values.items():
        path, dots, pen = [], [], "M"
        for place, value in zip(x, row, strict=True):
            if value is None:
                pen = "M"
                continue
            y = _y(value, low, high)
            path.append(f"{pen}{place:g} {y:g}")
            dots.append((place, y))
            pen = "L"
        series.append(Series(name, kind, "".join(path), dots))
    return Plot(title, ticks, _labels(x, nights), series=series)


def bars(title: str, nights: Sequence[str], values: Sequence[Value], kinds: Sequence[str]) -> Plot | None:
    """A bar per night, from zero; None if there is no value above zero."""
    known = [value for value in values if value is not None]
    if not known or max(known) <= 0:
        return None
    _, high, ticks = _scale(0, max(known))
    x = _x_of_nights(len(nights))
    width = min(34.0, 0.62 * (WIDTH - LEFT - RIGHT) / len(nights))
    drawn = []
    for place, value, kind in zip(x, values, kinds, strict=True):
        if value is not None:
            y = _y(value, 0, high)
            drawn.append(Bar(round(place - width / 2, 1), y, round(width, 1), round(HEIGHT - BOTTOM - y, 1), kind))
    return Plot(title, ticks, _labels(x, nights), bars=drawn)


def _scale(low: float, high: float) -> tuple[float, float, list[Tick]]:
    """Round limits around the values, and three to six ticks between them."""
    span = (high - low) or abs(high) or 1.0
    rough = span / 3
    step = next(s for s in (k * 10 ** floor(log10(rough)) for k in (1, 2, 5, 10)) if s >= rough * 0.999)
    first = floor(low / step + 1e-9)
    last = -floor(-high / step + 1e-9)
    last = max(last, first + 1)
    bottom, top = first * step, last * step
    ticks = [Tick(_y(k * step, bottom, top), _short(k * step, step)) for k in range(first, last + 1)]
    return bottom, top, ticks


def _y(value: float, low: float, high: float) -> float:
    return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)


def _x_of_nights(n: int) -> list[float]:
    each = (WIDTH - LEFT - RIGHT) / n
    return [round(LEFT + each * (k + 0.5), 1) for k in range(n)]


def _labels(x: Sequence[float], nights: Sequence[str]) -> list[tuple[float, str]]:
    """As many labels as have room, the last one always."""
    every = -(-len(nights) // 5)
    return [
        (place, name) for k, (place, name) in enumerate(zip(x, nights, strict=True)) if (len(x) - 1 - k) % every == 0
    ]


def _short(value: float, step: float) -> str:
    """`1.5M`, `40k`, `0.12`: as many decimals as the step needs."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size or (value == 0 and step >= size):
            return "0" if value == 0 else f"{value / size:.10g}"[:5].rstrip(".") + unit
    return f"{value:.{max(0, -floor(log10(step) + 1e-9))}f}"
