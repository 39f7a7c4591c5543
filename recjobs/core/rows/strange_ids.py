"""Ids that mean nobody, and ids that a spreadsheet has rounded."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NOBODY = (
    r"^\s*(?i:nan|none|null|nil|n/a|na|<na>|nat|undefined|unknown|anonymous|anon|guest|\(not set\)|\(none\)|-)\s*$"
)
_ZERO = r"^\s*(-1|0+(\.0)?|[0-]*0000-0000-[0-]*)\s*$"
_ROUNDED = r"^\s*[+-]?\d([.,]\d+)?E\+\d+\s*$"
_MANY = 2
"""Times the rows of a usual id: 0 may be the first user of a sequence."""


def nobody(ids: pa.Array, rows: np.ndarray) -> dict[str, int]:
    """Ids such as nan, NULL or anonymous, and 0 or -1 with many rows, each with its rows."""
    usual = float(np.median(rows[rows > 0])) if (rows > 0).any() else 0.0
    word = pc.match_substring_regex(ids, _NOBODY).to_numpy(zero_copy_only=False)
    zero = pc.match_substring_regex(ids, _ZERO).to_numpy(zero_copy_only=False)
    return _with_rows(ids, rows, (word | (zero & (rows > _MANY * usual))) & (rows > 0))


def rounded(ids: pa.Array, rows: np.ndarray) -> dict[str, int]:
    """Ids such as 1.23457E+11, as spreadsheets write long numbers, each with its rows. Different ids look alike."""
    return _with_rows(ids, rows, pc.match_substring_regex(ids, _ROUNDED).to_numpy(zero_copy_only=False))


def _with_rows(ids: pa.Array, rows: np.ndarray, mask: np.ndarray) -> dict[str, int]:
    places = np.flatnonzero(mask)
    places = places[np.argsort(-rows[places], kind="stable")]
    return dict(zip(ids.take(pa.array(places)).to_pylist(), rows[places].tolist(), strict=True))
