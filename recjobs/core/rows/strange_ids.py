"""Ids that mean nobody, and ids that a spreadsheet has rounded."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NOBODY = (
    r"^\s*(?i:nan|none|null|nil|n/a|na|<na>|nat|undefined|unknown|anonymous|anon|guest|\(not set\)|\(none\)|-)\s*$"
)
_ZERO = r"^\s*(-1|0+(\.0)?|[0-]*0000-0000-[0-]*)\s*$"
_ROUNDED = r"^\s*[+-]?\d([.,]\d+)?E\+\d+\s*$"
_GUEST = (
    r"(?i)guest|gast(kunde|konto)?\b|anonym|unknown|nobody|dummy|walk.?in|cash.?(sale|customer)|not.?logged|no.?(user|login)"
    r"|deleted.?user|invité|invitado|ospite|^(9{4,}|1{5,}|8{5,})$"
)
_MANY = 2
"""Times the rows of a usual id: 0 may be the first user of a sequence."""
_SHARE = 0.001
"""Of all rows, from which on an id that sounds like a guest's, or stands out, is named."""
_TIMES_USUAL, _TIMES_NEXT = 50, 10
"""One id stands out with so many times the rows of a usual one, and of the one that comes next."""


def nobody(ids: pa.Array, rows: np.ndarray, *, people: bool = True) -> dict[str, int]:
    """Ids such as nan, NULL or anonymous, and 0 or -1 with many rows, each with its rows.

    people: also those that sound like a guest's and have a thousandth of all rows.
    """
    usual = float(np.median(rows[rows > 0])) if (rows > 0).any() else 0.0
    word = pc.match_substring_regex(ids, _NOBODY).to_numpy(zero_copy_only=False)
    zero = pc.match_substring_regex(ids, _ZERO).to_numpy(zero_copy_only=False)
    found = word | (zero & (rows > _MANY * usual))
    if people:
        guest = pc.match_substring_regex(ids, _GUEST).to_numpy(zero_copy_only=False)
        found |= guest & (rows > _MANY * usual) & (rows >= _SHARE * rows.sum())
    return _with_rows(ids, rows, found & (rows > 0))


def far_ahead(ids: pa.Array, rows: np.ndarray) -> dict[str, int]:
    """The one id that has a thousandth of all rows and is far ahead of usual ones and of the next, if there is one."""
    if np.count_nonzero(rows) < 2:
        return {}
    following, most = np.partition(rows, -2)[-2:]
    least = max(_TIMES_USUAL * float(np.median(rows[rows > 0])), _TIMES_NEXT * following, _SHARE * rows.sum())
    return _with_rows(ids, rows, (rows == most) & (most > least))


def rounded(ids: pa.Array, rows: np.ndarray) -> dict[str, int]:
    """Ids such as 1.23457E+11, as spreadsheets write long numbers, each with its rows. Different ids look alike."""
    return _with_rows(ids, rows, pc.match_substring_regex(ids, _ROUNDED).to_numpy(zero_copy_only=False))


def _with_rows(ids: pa.Array, rows: np.ndarray, mask: np.ndarray) -> dict[str, int]:
    places = np.flatnonzero(mask)
    places = places[np.argsort(-rows[places], kind="stable")]
    return dict(zip(ids.take(pa.array(places)).to_pylist(), rows[places].tolist(), strict=True))
