"""The output contract, checked on finished lists. Shares no code with the list maker."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MAX_SCORE = 1e30
OTHER_LISTS = ["item_id", "item_ids", "scores"]
"""Columns of lists of similar items, as `check_other_lists` takes them."""


@dataclass
class Broken:
    """Failed checks: name -> number of lists, and up to ten users (or items, segments) with such a list."""

    counts: dict[str, int] = field(default_factory=dict)
    users: dict[str, list[str]] = field(default_factory=dict)

    def note(self, check: str, users: pa.Array, wrong: np.ndarray) -> None:
        """Count the lists where `wrong` is true."""
        if wrong.any():
            self.counts[check] = self.counts.get(check, 0) + int(wrong.sum())
            shown = self.users.setdefault(check, [])
            shown += [str(u) for u in users.filter(pa.array(wrong)).slice(0, 10 - len(shown)).to_pylist()]

    def join(self, other: "Broken") -> None:
        """Add what was found in further lists."""
        for check, count in other.counts.items():
            self.counts[check] = self.counts.get(check, 0) + count
            shown = self.users.setdefault(check, [])
            shown += other.users[check][: 10 - len(shown)]


@dataclass(frozen=True)
class World:
    """What lists are checked against: ids of users and items in byte order, a mask of the items that may be shown, and
    the seen pairs user_idx * n_items + item_idx, sorted; None if seen items may be shown again. taken: all pairs in the
    users' histories, sorted. stored: the longest list. product: (n_items,), the number of the product that each item is
    a variant of, of which a list holds one; None: a list may hold all. may_be_short: lists may lack items."""

    user_ids: pa.Array
    item_ids: pa.Array
    eligible: np.ndarray
    seen: np.ndarray | None
    taken: np.ndarray
    stored: int
    product: np.ndarray | None = None
    may_be_short: bool = False

    @cached_property
    def n_eligible(self) -> int:
        """How many items a list could hold, if nothing had been seen."""
        return int(self.eligible.sum() if self.product is None else np.unique(self.product[self.eligible]).size)

    @cached_property
    def n_seen(self) -> np.ndarray:
        """How many of the items that may be shown each user has seen, or of the products, with all their variants;
        (n_users,)."""
        seen = np.zeros(0, np.int64) if self.seen is None else self.seen
        if self.product is None and self.eligible.all():
            return np.diff(np.searchsorted(seen, np.arange(len(self.user_ids) + 1) * len(self.item_ids)))
        user, item = np.divmod(seen, max(1, len(self.item_ids)))
        user, item = user[self.eligible[item]], item[self.eligible[item]]
        if self.product is not None:
            of_product = np.bincount(self.product[self.eligible], minlength=int(self.product.max(initial=0)) + 1)
            pairs, n = np.unique(user * of_product.size + self.product[item], return_counts=True)
            user, product = np.divmod(pairs, of_product.size)
            user = user[n == of_product[product]]
        return np.bincount(user, minlength=len(self.user_ids))


def check_lists(lists: pa.Table, world: World, broken: Broken) -> np.ndarray:
    """Check one chunk of lists; returns the user_idx of each row, -1 for an unknown user.

    A list has min(stored, eligible items not seen, or their products where it holds one variant of each) distinct,
    known, eligible and, where the catalog says so, unseen items, with finite scores that do not rise within one source.
    """
    users = lists["user_id"].combine_chunks()
    ids, scores = lists["item_ids"].combine_chunks(), lists["scores"].combine_chunks()
    user_idx = pc.fill_null(pc.index_in(users, world.user_ids), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    broken.note("unknown_user", users, user_idx < 0)

    length = pc.list_value_length(ids).to_numpy(zero_copy_only=False)
    broken.note("as_many_scores_as_items", users, length != pc.list_value_length(scores).to_numpy(zero_copy_only=False))
    row = np.repeat(np.arange(len(users)), length)
    listed = ids.flatten()
    missing = listed.is_null().to_numpy(zero_copy_only=False)
    item_idx = pc.fill_null(pc.index_in(listed, world.item_ids), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    broken.note("missing_item", users, _rows(row[missing], len(users)))
    broken.note("unknown_item", users, _rows(row[(item_idx < 0) & ~missing], len(users)))
    broken.note("ineligible_item", users, _rows(row[(item_idx >= 0) & ~world.eligible[item_idx]], len(users)))

    n_items = len(world.item_ids)
    broken.note("duplicate_item", users, _rows(_repeated(row, item_idx, n_items), len(users)))

    if world.product is not None:
        is_known = item_idx >= 0
        twice = _repeated(row[is_known], world.product[item_idx[is_known]], int(world.product.max(initial=0)) + 1)
        broken.note("two_variants_of_a_product", users, _rows(twice, len(users)))
    expected = np.full(len(users), world.n_eligible)
    if world.seen is not None:
        is_seen = _among(user_idx[row] * n_items + item_idx, world.seen)
        broken.note("seen_item", users, _rows(row[is_seen & (item_idx >= 0)], len(users)))
        known = user_idx >= 0
        expected[known] -= world.n_seen[user_idx[known]]
    longest = np.minimum(world.stored, expected)
    broken.note("wrong_length", users, length > longest if world.may_be_short else length != longest)

    values = scores.flatten().to_numpy(zero_copy_only=False)
    if values.size == row.size:
        broken.note("score_not_finite", users, _rows(row[~np.isfinite(values)], len(users)))
        # implicit marks a filtered item with the score -FLT_MAX.
        broken.note("score_absurd", users, _rows(row[np.isfinite(values) & (np.abs(values) > MAX_SCORE)], len(users)))
    rank = np.arange(row.size) - np.repeat(np.cumsum(length) - length, length)
    n_model = lists["n_model"].to_numpy()
    rung = (rank >= n_model[row]).astype(int) + (rank >= (n_model + lists["n_category"].to_numpy())[row])
    if values.size == row.size and values.size:
        rises = (row[1:] == row[:-1]) & (rung[1:] == rung[:-1]) & (values[1:] > values[:-1])
        broken.note("rising_score", users, _rows(row[1:][rises], len(users)))
    _check_reasons(lists, user_idx, length, world, broken)
    return np.asarray(user_idx)


def _check_reasons(lists: pa.Table, user_idx: np.ndarray, length: np.ndarray, world: World, broken: Broken) -> None:
    """A list's reasons are distinct items of the user's own history; each of the model's items has up to three places
    in them, counted from 1; other items have none."""
    users, reasons, because = (lists[name].combine_chunks() for name in ("user_id", "reasons", "because"))
    n_reasons, n_because = (
        pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False) for column in (reasons, because)
    )
    row = np.repeat(np.arange(len(users)), n_reasons)
    item_idx = pc.fill_null(pc.index_in(reasons.flatten(), world.item_ids), -1).to_numpy(zero_copy_only=False)
    pair = user_idx[row] * len(world.item_ids) + item_idx
    broken.note("foreign_reason", users, _rows(row[(item_idx < 0) | ~_among(pair, world.taken)], len(users)))
    broken.note("duplicate_reason", users, _rows(_repeated(row, item_idx, len(world.item_ids)), len(users)))

    has_none = reasons.is_null().to_numpy(zero_copy_only=False)
    aligned = np.where(has_none, n_because == 0, n_because == length)
    broken.note("as_many_becauses_as_items", users, ~aligned)
    row = np.repeat(np.arange(len(users)), n_because)
    packed = because.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    places = np.stack([packed & 1023, packed >> 10 & 1023, packed >> 20])
    out_of_place = ((places < 0) | (places > n_reasons[row])).any(axis=0)
    broken.note("reason_out_of_place", users, _rows(row[out_of_place], len(users)))
    rank = np.arange(row.size) - np.repeat(np.cumsum(n_because) - n_because, n_because)
    unmodelled = (packed != 0) & (rank >= lists["n_model"].to_numpy()[row])
    broken.note("reason_without_model", users, _rows(row[unmodelled], len(users)))


def _among(pairs: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A mask of the pairs that are in `known`, which is sorted."""
    if not known.size:
        return np.zeros(pairs.size, bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, pairs), known.size - 1)] == pairs)


def check_other_lists(lists: pa.Table, named: str, world: World, broken: Broken, *, eligible_only: bool) -> None:
    """Check lists other than users' recommendations; `named`: the column with the owner of a list.

    Each has distinct, known (eligible) items other than itself, with finite scores that do not rise.
    """
    owners, ids = lists[named].combine_chunks(), lists["item_ids"].combine_chunks()
    row = np.repeat(np.arange(len(owners)), pc.list_value_length(ids).to_numpy(zero_copy_only=False))
    item_idx = pc.fill_null(pc.index_in(ids.flatten(), world.item_ids), -1).to_numpy(zero_copy_only=False)
    what = named.removesuffix("_id")
    unknown = item_idx < 0
    if eligible_only:
        unknown |= ~world.eligible[item_idx]
    broken.note(f"{what}_list_unknown_item", owners, _rows(row[unknown], len(owners)))
    if named == "item_id":
        own = pc.fill_null(pc.index_in(owners, world.item_ids), -1).to_numpy(zero_copy_only=False)
        broken.note("item_list_with_itself", owners, _rows(row[item_idx == own[row]], len(owners)))
    values = lists["scores"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if values.size != row.size:
        broken.note(f"{what}_list_without_scores", owners, np.ones(len(owners), bool))
        return
    rises = (row[1:] == row[:-1]) & ~(values[1:] <= values[:-1])
    broken.note(f"{what}_list_bad_score", owners, _rows(row[~np.isfinite(values)], len(owners)))
    broken.note(f"{what}_list_rising_score", owners, _rows(row[1:][rises], len(owners)))


def check_ids(ids: pa.Array, expected: pa.Array, check: str, broken: Broken) -> None:
    """A table must have a row for each id, in their order."""
    if not ids.equals(expected):
        differ = pc.invert(pc.is_in(ids, expected)).to_numpy(zero_copy_only=False)
        broken.note(check, ids, differ if differ.any() else np.ones(len(ids), bool))
        broken.counts.setdefault(check, len(expected))
        broken.users.setdefault(check, [])


def _repeated(row: np.ndarray, item_idx: np.ndarray, n_items: int) -> np.ndarray:
    """The rows in which an item, or -1, stands more than once."""
    ordered = np.sort(row * (n_items + 1) + item_idx + 1)
    return np.asarray(ordered[1:][ordered[1:] == ordered[:-1]] // (n_items + 1))


def _rows(rows: np.ndarray, n: int) -> np.ndarray:
    wrong = np.zeros(n, bool)
    wrong[rows] = True
    return wrong
