"""matplotlib: the report's plots, as SVG text that takes its colours and fonts from the page."""

import io
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

_INK, _SOFT, _ACCENT, _PALE = "#1d2b2a", "#7d8b89", "#0f766e", "#a8c5c1"


def interactions_by_week(weeks: np.ndarray, counts: np.ndarray, cutoff: datetime) -> str:
    """Bars of interactions per week; weeks: datetime64[D] of each Monday. The line is the cutoff."""

    def draw(axes: Any) -> None:
        colors = [_PALE if week < np.datetime64(cutoff.replace(tzinfo=None)) else _ACCENT for week in weeks]
        axes.bar(weeks.astype("datetime64[s]").astype(object), counts, width=5.5, color=colors, linewidth=0)
        axes.axvline(cutoff.replace(tzinfo=None), color=_INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_ylabel("interactions a week")

    return _svg(draw, 8.2, 2.4)


def metric_bars(
    names: list[str], values: list[float], lows: list[float | None], highs: list[float | None], label: str
) -> str:
    """Horizontal bars with 95% intervals, the first one accented."""

    def draw(axes: Any) -> None:
        place = np.arange(len(names))[::-1]
        axes.barh(place, values, height=0.6, color=[_ACCENT] + [_PALE] * (len(names) - 1), linewidth=0)
        for y, value, low, high in zip(place, values, lows, highs, strict=True):
            if low is not None and high is not None:
                axes.plot([low, high], [y, y], color=_INK, linewidth=1.2, solid_capstyle="butt")
            end = (max(value, high or value), y)
            axes.annotate(f"{value:.4f}", end, (6, 0), textcoords="offset points", va="center", color=_INK)
        axes.set_yticks(place, names)
        axes.set_xlabel(label)
        axes.margins(x=0.14)
        axes.set_xlim(left=0)

    return _svg(draw, 8.2, 0.55 + 0.42 * len(names))


def before_and_now(bins: dict[str, list[int]], title: str) -> str:
    """Shares of the bins of two windows, side by side: the earlier night's pale, tonight's accented."""
    counts = np.array(list(bins.values()), float).reshape(-1, 2)
    shares = 100 * counts / np.maximum(counts.sum(axis=0), 1)

    def draw(axes: Any) -> None:
        place = np.arange(len(bins))
        axes.bar(place - 0.2, shares[:, 0], width=0.4, color=_PALE, linewidth=0, label="before")
        axes.bar(place + 0.2, shares[:, 1], width=0.4, color=_ACCENT, linewidth=0, label="now")
        axes.set_xticks(place, list(bins))
        axes.set_ylabel("share (%)")
        axes.set_title(title, loc="left")
        _legend_above(axes)

    return _svg(draw, 8.2, 2.1)


def best_against_time(
    minutes: list[float], values: list[float], complete: list[bool], base: float | None, label: str
) -> str:
    """A step line of the best value so far over minutes, trials as dots (pruned ones pale), the base dashed."""

    def draw(axes: Any) -> None:
        reached = np.maximum.accumulate(np.where(complete, values, 0.0))
        done = np.array(complete)
        axes.scatter(np.array(minutes)[~done], np.array(values)[~done], s=9, color=_PALE, linewidth=0, label="given up")
        axes.scatter(np.array(minutes)[done], np.array(values)[done], s=14, color=_SOFT, linewidth=0, label="complete")
        axes.step(minutes, reached, where="post", color=_ACCENT, linewidth=1.8, label="best so far")
        if base is not None:
            axes.axhline(base, color=_INK, linewidth=1, linestyle=(0, (4, 3)), label="the catalog file's")
        axes.set_xlabel("minutes")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        _legend_above(axes)

    return _svg(draw, 8.2, 3.0)


def trend(lines: dict[str, list[tuple[datetime, float, float | None, float | None]]], label: str) -> str:
    """Shares over the nights, a line each with its 95% intervals: (as_of, share, low, high); the first one accented."""

    def draw(axes: Any) -> None:
        for (name, points), color in zip(lines.items(), (_ACCENT, _SOFT), strict=False):
            at = [point[0].replace(tzinfo=None) for point in points]
            share = 100 * np.array([point[1] for point in points])
            ends = [100 * np.array([point[1] if point[k] is None else point[k] for point in points]) for k in (2, 3)]
            axes.fill_between(at, *ends, color=color, alpha=0.15, linewidth=0)
            axes.plot(at, share, color=color, linewidth=1.6, marker="o", markersize=3, label=name)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        _legend_above(axes)

    return _svg(draw, 8.2, 2.4)


def shares(names: list[str], values: list[float], label: str) -> str:
    """Horizontal bars of shares, largest first."""

    def draw(axes: Any) -> None:
        place = np.arange(len(names))[::-1]
        axes.barh(place, 100 * np.array(values), height=0.6, color=_ACCENT, linewidth=0)
        axes.set_yticks(place, names)
        axes.set_xlabel(label)
        axes.set_xlim(left=0)

    return _svg(draw, 8.2, 0.55 + 0.3 * len(names))


def _legend_above(axes: Any) -> None:
    """Beside the axes, where nothing is drawn: any place in them may be taken."""
    axes.figure.legend(loc="outside upper right", ncols=4, frameon=False)


def _svg(draw: Callable[[Any], None], width: float, height: float) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "recjobs",
        "text.parse_math": False,  # a name may hold dollars
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": _SOFT,
        "axes.labelcolor": _SOFT,
        "xtick.color": _SOFT,
        "ytick.color": _INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
