"""How well two places fit: which ids of the interactions the items' (or users') own place has, and why not all."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SAMPLE = 1000
_MOST = 200_000


@dataclass(frozen=True)
class Fit:
    """share: of the interactions, those whose id the place has. n_ids, n_known: distinct ids of the interactions, and
    those that the place has. n_of_place, n_without: ids of the place, and those without an interaction. example: an id
    that the place lacks; example_there: one of the place without an interaction, its likely counterpart if there is a
    cause."""

    share: float
    n_rows: int
    n_ids: int
    n_known: int
    n_of_place: int
    n_without: int
    example: str | None = None
    example_there: str | None = None
    cause: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The values as JSON."""
        return asdict(self)


def _after_prefix(text: str) -> str:
    return re.sub(r"^\D+(?=\d)", "", text)


_CAUSES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("`.0` behind the number, as a column of floats writes it", lambda text: re.sub(r"\.0+$", "", text)),
    ("leading zeros, which a column of numbers loses", lambda text: text.lstrip("0")),
    ("blanks around the id", str.strip),
    ("capital and small letters", str.casefold),
    ("letters before the number", _after_prefix),
)


def fit(ids: pa.Array, rows: np.ndarray, of_place: pa.Array) -> Fit:
    """Compare ids of interactions, each with its number of rows, with the distinct ids of a place."""
    known = pc.is_in(ids, of_place).to_numpy(zero_copy_only=False)
    n_rows = int(rows.sum())
    without = of_place.filter(pc.invert(pc.is_in(of_place, ids)))
    counts = (n_rows, len(ids), int(known.sum()), len(of_place), len(without))
    share = float(rows[known].sum()) / n_rows if n_rows else 1.0
    lacking = np.flatnonzero(~known & (rows > 0))
    if not lacking.size:
        return Fit(share, *counts)
    most = lacking[np.argsort(-rows[lacking], kind="stable")][:_SAMPLE]
    missing = ids.take(pa.array(most)).to_pylist()
    there = without.slice(0, _MOST).to_pylist()
    for cause, normal in _CAUSES:
        twins = {normal(one): one for one in there}
        pairs = [(one, twins[normal(one)]) for one in missing if normal(one) in twins]
        if 2 * len(pairs) >= len(missing):
            return Fit(share, *counts, *pairs[0], cause)
    return Fit(share, *counts, missing[0], there[0] if there else None)
