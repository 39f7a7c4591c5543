"""Reasons for listed items: the user's own interactions that added most to their scores."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recjobs.core.model import compiled
from recjobs.core.model.fold_in import FoldedIn
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.own_part import BlendWithOwn
from recjobs.core.model.ranking import CHUNK, Ranked
from recjobs.core.model.threads import in_threads

MOST = 3
"""Reasons per item."""
BITS = 10
"""Bits of a packed reason: its position, from 1, among those of the list; the strongest in the lowest bits."""
MAX_PLACES = ((1 << BITS) - 1) // MOST
"""Places that can have reasons: the positions of all must fit into BITS."""


@dataclass(frozen=True)
class Because:
    """packed: (n_users, places) int32, positions in the user's reasons, 0 where an item has none; item_idx: the
    distinct reasons of all users, one user after the other, ascending; counts: (n_users,), the number of each user."""

    packed: np.ndarray
    item_idx: np.ndarray
    counts: np.ndarray


def because(
    ranked: Ranked,
    places: int,
    item_factors: np.ndarray,
    folded: FoldedIn | None,
    threads: int = 1,
    blend: Blend | None = None,
) -> Because:
    """For each of the first places of ranked lists, the up to MOST items of the user's history that added most to the
    score, and more than 0. Of equal ones, rounded as scores are, the first in order of item_idx.

    item_factors: (n_items, factors) of the listed items, which may include more than users were folded in with. folded:
    the same users; None: nobody was, and there are no reasons. blend: neighbours' part; its centring on all items is no
    interaction's part.
    """
    listed = np.ascontiguousarray(ranked.item_idx[:, : min(places, MAX_PLACES)])
    packed, counts = np.zeros(listed.shape, np.int32), np.zeros(len(listed), np.int64)
    if folded is None or not listed.size:
        return Because(packed, np.zeros(0, np.int32), counts)
    factors = neighbours = own = None
    if blend is None or blend.weight < 1:
        factors = (folded.item_factors, folded.factorizations, np.ascontiguousarray(item_factors, np.float32))
    if blend is not None and ranked.neighbours_unit is not None:
        neighbours = (blend.similarity, ranked.neighbours_unit)
    if isinstance(blend, BlendWithOwn):
        own = (blend.own.sorted_indices(), blend.own_unit)
    most = np.minimum(np.diff(folded.rows.indptr), MOST * listed.shape[1])
    begins = np.cumsum(most, dtype=np.int64) - most
    used = np.empty(int(most.sum()), np.int32)

    def explain(first: int) -> None:
        place = slice(first, min(first + CHUNK, len(listed)))
        compiled.reasons(
            listed, place, BITS, folded.rows, folded.alpha, factors, neighbours, own, packed, counts, used, begins
        )

    in_threads(explain, range(0, len(listed), CHUNK), threads)
    item_idx = used[np.repeat(begins - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())]
    return Because(packed, item_idx, counts)


def joined(parts: list[Because]) -> Because:
    """The reasons of all parts, one after the other."""
    return Because(*(np.concatenate([getattr(part, name) for part in parts]) for name in Because.__dataclass_fields__))


def as_columns(reasons: Because, lengths: np.ndarray, item_ids: pa.Array) -> tuple[pa.ListArray, pa.ListArray]:
    """(ids of each user's reasons, packed positions of each place of a list of that length), null where no item of the
    list has a reason."""
    none = pa.array(reasons.counts == 0)
    width = reasons.packed.shape[1]
    place = np.arange(max(width, int(lengths.max(initial=0))))
    padded = np.zeros((len(lengths), place.size), np.int32)
    padded[:, :width] = reasons.packed
    kept = (place < lengths[:, None]) & (reasons.counts > 0)[:, None]
    return (
        pa.ListArray.from_arrays(_offsets(reasons.counts), item_ids.take(pa.array(reasons.item_idx)), mask=none),
        pa.ListArray.from_arrays(_offsets(kept.sum(axis=1)), pa.array(padded[kept]), mask=none),
    )


def _offsets(counts: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
