"""How a column writes its instants, guessed from its values."""

import numpy as np
import pyarrow as pa

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
