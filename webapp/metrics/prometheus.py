"""Prometheus' text format: what `GET /metrics` answers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from webapp.metrics.counters import BOUNDS, SUM, Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """A family of series: its type, the names of its labels, its line of help."""

    type: str
    labels: tuple[str, ...]
    meaning: str


METRICS = {
    "http_requests_total": Metric("counter", ("route", "status"), "requests that were answered"),
    "http_request_duration_seconds": Metric("histogram", ("route",), "how long they took, without the network"),
    "recjobs_lists_served_total": Metric(
        "counter", ("catalog", "source"), "lists of users that were served, by where their first items come from"
    ),
    "recjobs_live_published_timestamp_seconds": Metric(
        "gauge", ("catalog",), "when the live lists were published, in seconds since 1970"
    ),
    "recjobs_live_max_age_seconds": Metric(
        "gauge", ("catalog",), "how long after that they are too old (serve.max_age_hours)"
    ),
    "recjobs_build_info": Metric("gauge", ("version", "commit"), "1, for the release that runs"),
}
"""All that the web app shows; recjobs/metrics.yaml explains the same."""


Published = Mapping[str, tuple[float, float | None]]
"""By catalog, when its live lists were published, in seconds since 1970, and how much later they are too old."""


def text(totals: Totals, published: Published, version: str, commit: str) -> str:
    """The numbers as a page."""
    requests = {(route, str(status)): number for (route, status), number in totals.requests.items()}
    families: dict[str, Iterable[str]] = {
        "http_requests_total": _series("http_requests_total", requests),
        "http_request_duration_seconds": _histograms("http_request_duration_seconds", totals.durations),
        "recjobs_lists_served_total": _series("recjobs_lists_served_total", totals.lists),
        "recjobs_live_published_timestamp_seconds": _series(
            "recjobs_live_published_timestamp_seconds",
            {(catalog,): instant for catalog, (instant, _) in published.items()},
        ),
        "recjobs_live_max_age_seconds": _series(
            "recjobs_live_max_age_seconds",
            {(catalog,): age for catalog, (_, age) in published.items() if age is not None},
        ),
        "recjobs_build_info": _series("recjobs_build_info", {(version, commit): 1}),
    }
    lines: list[str] = []
    for name, series in families.items():
        lines += (f"# HELP {name} {METRICS[name].meaning}", f"# TYPE {name} {METRICS[name].type}", *series)
    return "\n".join(lines) + "\n"


def _series(name: str, values: Mapping[Any, float]) -> Iterator[str]:
    for key, value in sorted(values.items()):
        yield f"{name}{{{_labels(METRICS[name].labels, key)}}} {value}"


def _histograms(name: str, durations: Mapping[str, list[float]]) -> Iterator[str]:
    for route, counts in sorted(durations.items()):
        label, so_far = _labels(("route",), (route,)), 0.0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=False):
            so_far += count
            yield f'{name}_bucket{{{label},le="{bound}"}} {so_far:.0f}'
        yield f"{name}_sum{{{label}}} {counts[SUM]:.6f}"
        yield f"{name}_count{{{label}}} {so_far:.0f}"


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
