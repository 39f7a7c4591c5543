"""Checks of a night's whole input: its volume, its freshness, and whether it repeats the last one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from recjobs.core.rows.findings import Finding, of_night

BANDS = {"snapshot": (0.5, 2.0), "increment": (0.15, 6.0)}
"""The band where the catalog sets none, as multiples of the median. Daily rows of a real shop ran from 0.18 to
3.4 times their median."""


@dataclass(frozen=True)
class PastNight:
    """An earlier night whose input was accepted."""

    batch_id: str
    as_of: datetime
    n_accepted: int
    input_hash: str
    newest: datetime | None = None
    """Its newest interaction; None where there are no times, and in a request of an older version."""


def of_volume(
    n_accepted: int,
    as_of: datetime,
    past: Iterable[PastNight],
    *,
    band: tuple[float, float],
    nights: int,
    by_weekday: bool,
    action: str,
) -> list[Finding]:
    """A finding if tonight's accepted rows lie outside band x the median of the last accepted nights, newest first.

    Without a night to compare with there is none.
    """
    comparable = [n for n in past if not by_weekday or n.as_of.weekday() == as_of.weekday()][:nights]
    if not comparable:
        return []
    usual = median(night.n_accepted for night in comparable)
    low, high = band
    if low * usual <= n_accepted <= high * usual:
        return []
    reason = "volume_too_low" if n_accepted < low * usual else "volume_too_high"
    since, until = comparable[-1].as_of, comparable[0].as_of
    nights_text = f"median of the last {len(comparable)} nights, {since:%Y-%m-%d} to {until:%Y-%m-%d},"
    if len(comparable) == 1:
        nights_text = f"last night, {until:%Y-%m-%d},"
    sentence = (
        f"{n_accepted:,} interactions where the {nights_text} had {usual:,.0f}; "
        f"limits.volume allows {low:g} to {high:g} times as many"
    )
    return [of_night(reason, action, n_accepted, sentence)]


def of_freshness(newest: datetime | None, as_of: datetime, *, max_age_hours: float, action: str) -> list[Finding]:
    """A finding if the newest interaction of a live source is older than it may be."""
    if newest is None or as_of - newest <= timedelta(hours=max_age_hours):
        return []
    age = (as_of - newest).total_seconds() / 3600
    sentence = (
        f"the newest interaction is of {newest:%Y-%m-%d %H:%M} UTC, {age:.0f} hours before the night's as_of; "
        f"limits.freshness.max_age_hours allows {max_age_hours:g}"
    )
    return [of_night("stale_input", action, 0, sentence)]


def of_repetition(input_hash: str, past: Iterable[PastNight], *, action: str) -> list[Finding]:
    """A finding if a live source has the very bytes of the last accepted night."""
    last = next(iter(past), None)
    if last is None or last.input_hash != input_hash:
        return []
    sentence = f"the input has the same bytes as on the night of {last.as_of:%Y-%m-%d %H:%M} UTC"
    return [of_night("repeated_input", action, 0, sentence)]


def of_a_cut(newest: datetime | None, past: Iterable[PastNight]) -> list[Finding]:
    """A finding if the newest interaction is older than that of the last accepted night."""
    last = next(iter(past), None)
    if newest is None or last is None or last.newest is None or newest >= last.newest:
        return []
    sentence = (
        f"the newest interaction is of {newest:%Y-%m-%d %H:%M} UTC, that of the night of {last.as_of:%Y-%m-%d %H:%M}"
        f" UTC was of {last.newest:%Y-%m-%d %H:%M}: the export looks cut"
    )
    return [of_night("looks_cut", "warn", 0, sentence)]
