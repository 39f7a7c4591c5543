"""What was measured of serving, and how it is printed beside what was promised."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Taken:
    """One measurement: latencies in ms, ascending, requests per second, and how many requests failed."""

    latencies: np.ndarray
    rate: float
    failed: int = 0

    def at(self, share: float) -> float:
        """The latency that this share of the requests stayed below."""
        return float(self.latencies[min(int(share * self.latencies.size), self.latencies.size - 1)])


def table(taken: dict[str, list[Taken]]) -> Iterator[str]:
    """Medians over the rounds."""
    width = max(20, *(len(name) + 2 for name in taken))
    yield f"{'':<{width}}{'p50 ms':>9}{'p99':>9}{'p99.9':>9}{'requests/s':>13}{'failed':>8}"
    for name, rounds in taken.items():
        times = (statistics.median(one.at(share) for one in rounds) for share in (0.5, 0.99, 0.999))
        rate, failed = statistics.median(one.rate for one in rounds), sum(one.failed for one in rounds)
        yield f"{name:<{width}}{''.join(f'{time:>9.3f}' for time in times)}{rate:>13,.0f}{failed:>8}"


def ratio(ours: list[Taken], other: list[Taken], of: Callable[[Taken], float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(of(a) / of(b) for a, b in zip(ours, other, strict=True))


def kept(what: str, value: float, least: float, most: float) -> str:
    """A line that says a figure, its bound, and whether it is missed."""
    bound = f"at least {least}" if least else f"at most {most}"
    return f"{what:<48}{value:>7.2f}   {bound:<14}{'' if least <= value <= most else 'MISSED'}"


def report(taken: dict[str, list[Taken]]) -> Iterator[str]:
    """Medians over the rounds, then what was promised."""
    yield from table(taken)

    def times(ours: str, other: str, of: Callable[[Taken], float]) -> float:
        return ratio(taken[ours], taken[other], of)

    p50, p99, per_second = (lambda one: one.at(0.5)), (lambda one: one.at(0.99)), (lambda one: one.rate)
    yield ""
    for what, value, least, most in (
        ("1 connection, p50: times pgbench's", times("webapp, 1", "pgbench, 1", p50), 0, 3),
        ("1 connection, p99: times pgbench's", times("webapp, 1", "pgbench, 1", p99), 0, 3),
        ("1 connection, p99 in ms", statistics.median(map(p99, taken["webapp, 1"])), 0, 1),
        ("keys, limit and log, p50: times that without", times("webapp, 1", "  open", p50), 0, 1.15),
        ("200 blocks in force, p50: times that without", times("  200 blocks", "webapp, 1", p50), 0, 1.5),
        ("200 rules in force, p50: times that without", times("  200 rules", "webapp, 1", p50), 0, 1.5),
        ("4 connections, p99: times pgbench's", times("webapp, 4", "pgbench, 4", p99), 0, 8),
        ("16 connections, requests/s: times the peer's", times("webapp, 16", "peer, 16", per_second), 3, np.inf),
    ):
        yield kept(what, value, least, most)


def extremes(taken: dict[str, list[Taken]], most: float) -> Iterator[str]:
    """The same where the first entry is what the others are compared with: their p99 at most so many times its."""
    yield from table(taken)
    yield ""
    (alone, base), *others = taken.items()
    for name, rounds in others:
        yield f"{f'{name}, p50: times {alone}':<48}{ratio(rounds, base, lambda one: one.at(0.5)):>7.2f}"
        yield kept(f"{name}, p99: times {alone}", ratio(rounds, base, lambda one: one.at(0.99)), 0, most)
