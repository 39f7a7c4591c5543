"""How a column writes its instants, guessed from its values."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recjobs.core.rows.row_filter import as_numbers
from recjobs.core.rows.validation import as_microseconds

_EARLIEST, _LATEST = 631_152_000_000_000, 4_102_444_800_000_000
"""1990 and 2100 in microseconds: only one unit puts an instant of today between them."""


def likely_unit(values: pa.Array) -> str:
    """`s`, `ms` or `us` since 1970 for numbers, be they written as text; else `iso`."""
    if pa.types.is_string(values.type):
        first = values.slice(0, 100).drop_null().to_pylist()
        is_number = bool(first) and all(text.strip().replace(".", "", 1).isdigit() for text in first)
    else:
        is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if not is_number:
        return "iso"
    newest = {unit: int(np.max(as_microseconds(values, unit, "UTC"), initial=0)) for unit in ("s", "ms", "us")}
    return next((unit for unit, at in newest.items() if _EARLIEST < at < _LATEST), "s")


_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y",
          "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%m %d, %Y", "%Y.%m.%d")  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S",
           ", %I:%M %p", "T%H:%M:%S")  # fmt: skip
_WHOLE = ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y",
          "%d/%b/%Y:%H:%M:%S %z", "%Y%m%d%H%M%S", "%Y%m%d %H:%M:%S", "%Y%m%d_%H%M%S", "%Y-%m-%d_%H:%M:%S",
          "%Y-%m-%d-%H.%M.%S.%f", "%Y-%m-%d %I:%M:%S %p", "%Y/%m/%d %H:%M:%S")  # fmt: skip
_EXCEL = (20_000.0, 73_050.0)
"""Excel's days of 1954 and 2099."""


def likely_setting(values: Sequence[str]) -> str:
    """Of values that were read as no sensible times: up to three, and the setting that reads them all; a clause for the
    end of a message, empty without values."""
    texts = list(dict.fromkeys(value.strip() for value in values if value.strip()))
    if not texts:
        return ""
    shown = f": it has {', '.join(repr(text[:40]) for text in texts[:3])}"
    settings = settings_of(pa.array(texts, pa.string()))
    return f"{shown}; say `time: {{{' or '.join(settings)}}}` in the catalog" if settings else shown


def settings_of(texts: pa.Array) -> list[str]:
    """The settings of `time` that read all of these texts, the likeliest first, such as `unit: s`."""

    def reads(unit: str, time_format: str | None = None) -> bool:
        at = as_microseconds(texts, unit, "UTC", time_format)
        return bool(((at > _EARLIEST) & (at < _LATEST)).all())

    for unit in ("iso", "s", "ms", "us"):
        if reads(unit):
            return [f"unit: {unit}"]
    numbers = as_numbers(texts, "occurred_at").to_numpy(zero_copy_only=False)
    if ((numbers > _EXCEL[0]) & (numbers < _EXCEL[1])).all():
        return ["unit: excel"]
    formats = [date + clock for date in _DATES for clock in _CLOCKS] + list(_WHOLE)
    found = [one for one in formats if reads("iso", one)]
    return [f'format: "{one}"' for one in found[:2]]
