"""The catalog's limits on the input as a whole."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows import drift as core_drift
from recjobs.core.rows import volume
from recjobs.core.rows.accounting import Tally
from recjobs.core.rows.drift import FeatureDrift, Profile
from recjobs.core.rows.findings import Finding, of_night
from recjobs.core.rows.times import likely_setting
from recjobs.errors import ModelRefused
from recjobs.night.night import Night


def of_the_night(
    night: Night, counts: dict[str, int], span: tuple[datetime, datetime] | None, tally: Tally
) -> list[Finding]:
    """Return the findings about the input as a whole. span: the oldest and the newest instant, if there are any."""
    catalog, request = night.catalog, night.request
    limits = catalog.limits
    findings = []
    excluded = ", ".join(
        f"{f.n_rows} {f.reason}{f' ({f.example})' if f.example else ''}"
        for f in tally.findings(0)
        if f.action == "excluded"
    )
    usable = counts["accepted"] + counts["carried"]
    if usable < limits.min_interactions:
        worst = _worst(tally)
        sentence = (
            f"{usable} usable interactions of {counts['read']} rows read ({counts['excluded']} excluded by rule"
            f"{': ' + excluded if excluded else ''}, {counts['quarantined']} quarantined"
            f"{': ' + worst if worst else ''}); at least {limits.min_interactions} are needed"
        )
        findings.append(of_night("too_few_interactions", "refuse", usable, sentence))
    offered = counts["read"] - counts["excluded"]
    if offered and counts["quarantined"] / offered > limits.max_rejected_share:
        sentence = (
            f"{counts['quarantined'] / offered:.1%} of the rows are bad, limits.max_rejected_share allows "
            f"{limits.max_rejected_share:.1%}: {_worst(tally)}"
        )
        findings.append(of_night("too_many_rejected", "refuse", counts["quarantined"], sentence))
    if catalog.items and catalog.items.unknown == "refuse" and "unknown_item" in tally.quarantined:
        sentence = (
            f"{tally.quarantined['unknown_item']} rows have an item that {catalog.items.path or 'items.sql'} does not "
            f"have, such as {tally.places['unknown_item']}"
        )
        findings.append(of_night("unknown_item", "refuse", tally.quarantined["unknown_item"], sentence))
    bounds = limits.volume
    usual = volume.BANDS[catalog.mode]
    findings += volume.of_volume(
        counts["accepted"],
        request.as_of,
        request.history,
        band=(usual[0] if bounds.low is None else bounds.low, bounds.high or usual[1]),
        nights=bounds.nights,
        by_weekday=bounds.by_weekday,
        action=bounds.action,
    )
    newest = span[1] if span else None
    findings += volume.of_a_cut(newest, request.history)
    if catalog.live:
        fresh = limits.freshness
        findings += volume.of_freshness(newest, request.as_of, max_age_hours=fresh.max_age_hours, action=fresh.action)
        findings += volume.of_repetition(request.input["hash"], request.history, action=limits.repeated)
    return findings


def _worst(tally: Tally) -> str:
    """What is wrong with most quarantined rows, and the setting of `time` that reads theirs, which takes a second to
    find."""
    worst = "; ".join(
        f"{f.n_rows} rows {f.reason}, such as {f.example}" for f in tally.findings(0) if f.action == "quarantined"
    )
    return worst + likely_setting(_strange_times(tally))


def _strange_times(tally: Tally) -> list[str]:
    """Values of quarantined rows that are no sensible times."""
    reasons = pa.array(["bad_time", "time_without_sense", "time_in_future"])
    shown = [rows.filter(pc.is_in(rows["reason"], reasons))["occurred_at"].to_pylist() for rows in tally.shown]
    return [value for values in shown for value in values if value][:100]


def earlier_profile(night: Night) -> Profile | None:
    """The profile of the last accepted night; None if there is none or its files are gone."""
    if not night.request.history:
        return None
    try:
        return night.of_batch(night.request.history[0].batch_id).profile()
    except ModelRefused:
        return None


def drift(night: Night, before: Profile, now: Profile) -> list[FeatureDrift]:
    """The drift of each feature; empty if a window has too few rows."""
    enough = min(before.n, now.n) >= night.catalog.limits.drift.min_interactions
    return core_drift.compare(before, now) if enough else []


def of_drift(night: Night, moved: list[FeatureDrift]) -> list[Finding]:
    """A finding for each feature that drifted further than the catalog allows."""
    limits = night.catalog.limits.drift
    return [
        of_night(
            f"drift_{one.feature}",
            limits.action,
            0,
            f"{one.feature} moved by {one.value:.3f} in the last {limits.window_days:g} days since "
            f"{night.request.history[0].batch_id}; limits.drift.{one.feature} allows {getattr(limits, one.feature):g}",
        )
        for one in moved
        if one.value > getattr(limits, one.feature)
    ]
