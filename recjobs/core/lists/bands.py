"""Measures of finished lists as a whole, for the bands of `inspect`. Shares no code with the list maker."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BANDS = {
    "users_covered": "min_users_covered",
    "short_lists": "max_short_lists",
    "coverage": "min_coverage",
    "top_item_share": "max_top_item_share",
    "overlap_with_live": "min_overlap_with_live",
    "fallback_share": "max_fallback_share",
}
"""Measure of a batch -> the key of `inspect` in the catalog that bounds it."""
TOP = 10
"""Items of a list that are compared with the live batch."""
EXAMPLES = 10
MIN_LISTS = 10
"""The fewest lists that are measured."""


def top_items(lists: pa.Table, item_ids: pa.Array, n: int = TOP) -> np.ndarray:
    """(lists, n): the place of each list's first n items in item_ids, -1 behind the end and for an unknown item."""
    return _top(*_places(lists, item_ids), n)


def _top(length: np.ndarray, index: np.ndarray, rank: np.ndarray, n: int) -> np.ndarray:
    result = np.full((length.size, n), -1, np.int64)
    row = np.repeat(np.arange(length.size), length)
    result[row[rank < n], rank[rank < n]] = index[rank < n]
    return result


def _places(lists: pa.Table, item_ids: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(length of each list; of each listed item: its place in item_ids or -1, and its rank from 0)"""
    ids = lists["item_ids"].combine_chunks()
    length = pc.list_value_length(ids).to_numpy(zero_copy_only=False)
    index = pc.fill_null(pc.index_in(ids.flatten(), item_ids), -1).to_numpy(zero_copy_only=False)
    return length, index, np.arange(index.size) - np.repeat(np.cumsum(length) - length, length)


@dataclass
class Shape:
    """Facts of every list, collected by chunks."""

    item_ids: pa.Array
    served: int
    """Items served of a list."""
    compared: int = TOP
    """Items of a list among which the first ones of the live batch's are looked for."""
    users: list[pa.Array] = field(default_factory=list)
    length: list[np.ndarray] = field(default_factory=list)
    n_model: list[np.ndarray] = field(default_factory=list)
    tops: list[np.ndarray] = field(default_factory=list)
    shown: np.ndarray | None = None
    n_lists: np.ndarray | int = 0
    n_top: np.ndarray | int = 0

    def add(self, lists: pa.Table) -> None:
        """Add one chunk of lists."""
        length, index, rank = _places(lists, self.item_ids)
        self.users.append(lists["user_id"].combine_chunks())
        self.length.append(length)
        self.n_model.append(lists["n_model"].to_numpy())
        self.tops.append(_top(length, index, rank, self.compared))
        if self.shown is None:
            self.shown = np.zeros(len(self.item_ids), bool)
        self.shown[index[index >= 0]] = True
        in_lists, in_tops = ((index >= 0) & (rank < n) for n in (self.served, min(TOP, self.served)))
        self.n_lists = self.n_lists + np.bincount(index[in_lists], minlength=len(self.item_ids))
        self.n_top = self.n_top + np.bincount(index[in_tops], minlength=len(self.item_ids))

    def join(self, other: "Shape") -> None:
        """Add the facts of further lists."""
        for name in ("users", "length", "n_model", "tops"):
            getattr(self, name).extend(getattr(other, name))
        if other.shown is not None:
            self.shown = other.shown if self.shown is None else self.shown | other.shown
        self.n_lists, self.n_top = self.n_lists + other.n_lists, self.n_top + other.n_top

    def exposure(self) -> pa.Table:
        """item_id, n_lists (lists that serve it), n_top10 (lists with it among the first ten); shown items only."""
        n_lists, n_top = (np.zeros(len(self.item_ids), np.int64) + counts for counts in (self.n_lists, self.n_top))
        some = n_lists > 0
        item_id = self.item_ids.filter(pa.array(some))
        return pa.table({"item_id": item_id, "n_lists": n_lists[some], "n_top10": n_top[some]})


@dataclass(frozen=True)
class Measured:
    """A value of the whole batch, None where there is nothing to measure, and up to ten users concerned."""

    value: float | None
    users: list[str] = field(default_factory=list)


def measure(
    shape: Shape,
    *,
    served: int,
    eligible: np.ndarray,
    taken: np.ndarray,
    active: pa.Array,
    live: tuple[pa.Array, np.ndarray] | None,
    places: int | None = None,
    may_be_short: bool = False,
) -> dict[str, Measured]:
    """short_lists, coverage, top_item_share, fallback_share and overlap_with_live.

    served: items served of a list; a list with fewer is short. eligible, taken: masks over items. active: users with an
    interaction, whom a model can know. live: (user ids, `top_items`) of the live batch. Measures of the model's lists
    are None where it has none. places: the items that one list can hold, if those are fewer than the eligible ones.
    may_be_short: lists may lack items, or have none: short_lists is None, and fallback_share leaves empty ones out.
    """
    users = pa.concat_arrays([*shape.users, pa.array([], pa.string())])
    length = np.concatenate([*shape.length, np.zeros(0, np.int64)])
    by_model = np.concatenate([*shape.n_model, np.zeros(0, np.int64)]) > 0
    tops = np.concatenate([*shape.tops, np.zeros((0, shape.compared), np.int64)])

    def some(mask: np.ndarray) -> list[str]:
        return [str(user) for user in users.filter(pa.array(mask)).slice(0, EXAMPLES).to_pylist()]

    def share(mask: np.ndarray) -> Measured:
        return Measured(float(mask.mean()) if mask.size else 0.0, some(mask))

    if len(users) < MIN_LISTS:
        return dict.fromkeys(BANDS, Measured(None))
    # A catalogue hardly longer than a list cannot fill it for users who have seen some of its items.
    longest = int(eligible.sum()) if places is None else places
    asked = longest >= 2 * served and not may_be_short
    result = {"short_lists": share(length < served) if asked else Measured(None)}
    if not by_model.any():
        of_model = ("coverage", "top_item_share", "fallback_share", "overlap_with_live")
        return result | dict.fromkeys(of_model, Measured(None))
    shown = shape.shown if shape.shown is not None else np.zeros(eligible.size, bool)
    # Items that nobody took do not count: a file may hold any number of them.
    counted = eligible & taken
    result["coverage"] = Measured(float(shown[counted].mean()) if counted.any() else 0.0, some(length > 0))
    first = np.where(by_model, tops[:, 0], -1)
    counts = np.bincount(first[first >= 0], minlength=1)
    result["top_item_share"] = Measured(float(counts.max() / by_model.sum()), some(first == counts.argmax()))
    is_active = pc.is_in(users, active).to_numpy(zero_copy_only=False)
    without = is_active & ~by_model & (length > 0 if may_be_short else True)
    result["fallback_share"] = Measured(float(without.sum() / max(1, is_active.sum())), some(without))
    result["overlap_with_live"] = _overlap(users, tops, live) if live else Measured(None)
    return result


def _overlap(users: pa.Array, tops: np.ndarray, live: tuple[pa.Array, np.ndarray]) -> Measured:
    """The mean share of the live list's first items that are among those of tonight's, over users with both."""
    place = pc.fill_null(pc.index_in(users, live[0]), -1).to_numpy(zero_copy_only=False)
    both = np.flatnonzero((place >= 0) & (tops[:, 0] >= 0))
    shares = np.empty(both.size)
    for start in range(0, both.size, 20_000):
        rows = both[start : start + 20_000]
        mine, theirs = tops[rows], live[1][place[rows]]
        common = ((mine[:, :, None] == theirs[:, None, :]) & (mine >= 0)[:, :, None]).any(axis=2).sum(axis=1)
        shares[start : start + rows.size] = common / np.minimum((mine >= 0).sum(axis=1), TOP)
    if not both.size:
        return Measured(None)
    least = both[np.argsort(shares, kind="stable")[:EXAMPLES]]
    return Measured(float(shares.mean()), [str(user) for user in users.take(pa.array(least)).to_pylist()])
