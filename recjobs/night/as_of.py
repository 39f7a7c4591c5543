"""The instant of a night: the one after the newest interaction, or one that is asked for, within bounds."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from recjobs.adapters import sources
from recjobs.adapters.sources import SourceFile
from recjobs.catalog.file import Catalog
from recjobs.catalog.sources import Source, named
from recjobs.core.rows.instants import instant, microseconds
from recjobs.core.rows.times import likely_setting
from recjobs.core.rows.validation import EARLIEST, as_microseconds
from recjobs.errors import DataRefused, Misuse

_EXAMPLES = 20
Inputs = dict[str, list[SourceFile]]
"""The files of each input, by its key in the catalog file."""


def after_newest(catalog: Catalog, inputs: Inputs, now: datetime) -> datetime:
    """Return the second after the newest interaction that is not in the future."""
    unread: list[str] = []
    n_read, newest = _newest(_files(catalog, inputs), microseconds(now), unread=unread)
    if not n_read:
        names = ", ".join(source.path or f"the query of {source.connection}" for source in catalog.sources)
        raise DataRefused(f"catalog {catalog.name}: no rows in {names}; see why the export wrote none")
    if newest < EARLIEST:
        raise DataRefused(
            f"catalog {catalog.name}: no row of its sources has a readable time; see `columns.occurred_at`, "
            f"`time` and `where`{likely_setting(unread)}"
        )
    return datetime.fromtimestamp(newest // 1_000_000, UTC) + timedelta(seconds=1)


def check_bounds(catalog: Catalog, inputs: Inputs, as_of: datetime, now: datetime) -> None:
    """Raise Misuse if a night lies further ahead than the day that has begun, or than a source of past data reaches:
    once it is published, every later night is older than the live batch.

    A source of past data reaches `holdout_days` after its newest interaction, and at least a day, since a date counts
    with its whole day.
    """
    way_out = "later nights would be refused as older. Say an earlier date; a night goes on with --force REASON"
    if as_of > now + timedelta(days=1):
        raise Misuse(f"as_of {as_of:%Y-%m-%d %H:%M} UTC is more than a day after now, {now:%Y-%m-%d %H:%M}: {way_out}")
    if catalog.live or not catalog.has_times:
        return
    days = max(1.0, catalog.holdout_days)
    needed = microseconds(as_of) - round(days * 86_400_000_000)
    try:
        # The last files first: where they are named by date, those have the newest rows.
        newest = _newest(reversed(_files(catalog, inputs)), microseconds(now), enough=needed)[1]
    except DataRefused:
        return  # the step that reads them says it better
    if EARLIEST <= newest < needed:
        raise Misuse(
            f"as_of {as_of:%Y-%m-%d %H:%M} UTC is more than {days:g} days (holdout_days) after the newest interaction, "
            f"{instant(newest):%Y-%m-%d %H:%M}: {way_out}"
        )


def _files(catalog: Catalog, inputs: Inputs) -> list[tuple[Source, SourceFile]]:
    return [(source, file) for index, source in enumerate(catalog.sources) for file in inputs[f"sources.{index}"]]


def _newest(
    files: Iterable[tuple[Source, SourceFile]], limit: int, enough: int | None = None, unread: list[str] | None = None
) -> tuple[int, int]:
    """Return (rows read, the newest instant up to the limit in microseconds; 0 for none), or stop at one that is
    `enough`. unread: gets some texts and numbers that are no sensible times."""
    n_read, newest = 0, 0
    for source, file in files:
        for rows in sources.read_rows(file, {"occurred_at": str(source.columns.occurred_at)}, source.where):
            values: pa.Array = rows.columns["occurred_at"]
            with named(source, [file.path]):
                at = as_microseconds(values, source.time.unit, source.time.timezone, source.time.format)
            if unread is not None and len(unread) < _EXAMPLES and not pa.types.is_temporal(values.type):
                strange = pa.array((at < EARLIEST) | (at > limit))
                unread += [str(value) for value in values.filter(strange).slice(0, _EXAMPLES).to_pylist() if value]
            n_read, newest = n_read + rows.n_read, max(newest, int(at[at <= limit].max(initial=0)))
            if enough is not None and newest >= enough:
                return n_read, newest
    return n_read, newest
