"""Reasons for listed items: the user's own interactions that added most to their scores."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recjobs.core.model.fold_in import NUMBERS, Shares
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.own_part import BlendWithOwn
from recjobs.core.model.ranking import Ranked, in_threads, step_of

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
    shares: list[Shares],
    threads: int = 1,
    blend: Blend | None = None,
) -> Because:
    """For each of the first places of ranked lists, the up to MOST items of the user's history that added most to the
    score, and more than 0. Of equal ones, rounded as scores are, the first in order of item_idx.

    item_factors: (n_items, factors) of the listed items, which may include more than users were folded in with. blend:
    neighbours' part; its centring on all items is no interaction's part.
    """
    listed = ranked.item_idx[:, : min(places, MAX_PLACES)]
    packed = np.zeros(listed.shape, np.int32)
    users, reasons = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
    parts = [part for each in shares for part in _parts(each, listed.shape[1])]

    def of(part: Shares) -> tuple[np.ndarray, np.ndarray]:
        here = listed[part.rows]
        added = np.matmul(item_factors[here], part.of_vector.transpose(0, 2, 1))
        if blend is not None and ranked.neighbours_unit is not None:
            by_neighbours = blend.added(part.item_idx, part.confidence, ranked.neighbours_unit[part.rows], here)
            added = by_neighbours if blend.weight == 1 else added + by_neighbours
        if isinstance(blend, BlendWithOwn):
            added += blend.own_added(part.rows, part.item_idx, here)
        added[here < 0] = 0
        return _reasons(added)

    for part, (positions, used) in zip(parts, in_threads(of, parts, threads), strict=True):
        packed[part.rows] = positions
        row, column = np.nonzero(used)
        users.append(part.rows[row])
        reasons.append(part.item_idx[row, column])
    user, item_idx = np.concatenate(users), np.concatenate(reasons)
    return Because(packed, item_idx[np.argsort(user, kind="stable")], np.bincount(user, minlength=len(listed)))


def joined(parts: list[Because]) -> Because:
    """The reasons of all parts, one after the other."""
    return Because(*(np.concatenate([getattr(part, name) for part in parts]) for name in Because.__dataclass_fields__))


def _parts(shares: Shares, places: int) -> list[Shares]:
    """Parts in which users x places x the longest history is about NUMBERS."""
    size = max(1, NUMBERS // (max(1, places) * max(shares.item_idx.shape[1], shares.of_vector.shape[2])))
    return [
        Shares(*(getattr(shares, name)[first : first + size] for name in Shares.__dataclass_fields__))
        for first in range(0, len(shares.rows), size)
    ]


def _reasons(added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(packed positions of each place, a mask of the interactions that are reasons). added: by each interaction (last
    axis) to each place."""
    picked = _strongest(added)
    flat = picked.reshape(len(added), -1)
    used = np.zeros((len(added), added.shape[2] + 1), bool)
    np.put_along_axis(used, flat, True, axis=1)
    used[:, 0] = False
    position = np.cumsum(used, axis=1, dtype=np.int32) * used
    positions = np.take_along_axis(position, flat, axis=1).reshape(picked.shape)
    return (positions << (BITS * np.arange(MOST, dtype=np.int32))).sum(axis=2, dtype=np.int32), used[:, 1:]


def _strongest(added: np.ndarray) -> np.ndarray:
    """The places, from 1, of the largest values above 0 along the last axis; 0: none. Overwrites `added`."""
    flat = added.reshape(-1, added.shape[2])
    np.rint(flat / step_of(np.maximum(flat.max(axis=1), -flat.min(axis=1)))[:, None], out=flat)
    every = np.arange(len(flat))
    picked = np.zeros((len(flat), MOST), np.int64)
    for k in range(MOST):
        strongest = flat.argmax(axis=1)
        picked[:, k] = np.where(flat[every, strongest] > 0, strongest + 1, 0)
        flat[every, strongest] = 0
    return picked.reshape(*added.shape[:2], MOST)


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
