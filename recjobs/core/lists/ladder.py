"""Finished lists: the model's items, then the ladder, until a list is full or no items are left."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.model.compiled import newest
from recjobs.core.model.ranking import Ranked, first_unseen
from recjobs.core.rows.interactions import Interactions, RowBlocks


@dataclass(frozen=True)
class PopularList:
    """Eligible items by popularity, best first, with the score of each."""

    order: np.ndarray
    score: np.ndarray

    def restricted_to(self, mask: np.ndarray) -> "PopularList":
        """The same order over the items where mask is true."""
        return PopularList(self.order[mask[self.order]], self.score[mask[self.order]])

    def before(self, other: "PopularList") -> "PopularList":
        """The items of another list: first those with a score above 0 here, in this order, then the rest."""
        own = self.restricted_to(np.isin(np.arange(self.order.size), other.order))
        taken = own.score > 0
        rest = ~np.isin(other.order, own.order[taken])
        least = float(own.score[taken].min()) if taken.any() else 1.0
        most = float(other.score.max(initial=0.0)) or 1.0
        # The rest must score below the items before it.
        scores = np.concatenate([own.score[taken], other.score[rest] * (least / (2 * most))])
        return PopularList(np.concatenate([own.order[taken], other.order[rest]]), scores.astype(np.float32))


@dataclass(frozen=True)
class Ladder:
    """What lists are filled from: popular items of a user's preferred categories, then of the user's segment.

    prefers: each user's preferred categories. segments: each user's segment, or None.
    """

    overall: PopularList
    by_category: dict[str, PopularList]
    by_segment: dict[str, PopularList]
    prefers: list[list[str]]
    segments: list[str | None]

    @classmethod
    def of(
        cls,
        overall: PopularList,
        categories: pa.Array | None,
        segments: list[str | None] | None,
        prefers: list[list[str]] | None,
        among: Mapping[str, PopularList],
        n_users: int,
    ) -> "Ladder":
        """The ladder from each item's categories, each user's segment and preferred categories (None: unknown); among:
        what is popular among the users of each segment."""
        by_category = {}
        if categories is not None:
            item_of_name = pc.list_parent_indices(categories).to_numpy(zero_copy_only=False)
            names = categories.flatten().dictionary_encode()
            for place, name in sorted(enumerate(names.dictionary.to_pylist()), key=lambda pair: pair[1]):
                mask = np.zeros(len(categories), bool)
                mask[item_of_name[names.indices.to_numpy() == place]] = True
                by_category[name] = overall.restricted_to(mask)
        by_segment = {name: popular.before(overall) for name, popular in sorted(among.items())}
        segments = segments or [None] * n_users
        return cls(overall, by_category, by_segment, prefers or [[]] * n_users, segments)

    def rungs_of(self, user: int) -> tuple[tuple[str, ...], str | None]:
        """The categories and the segment of a user that have a popular list."""
        segment = self.segments[user]
        prefers = tuple(sorted({name for name in self.prefers[user] if name in self.by_category}))
        return prefers, segment if segment in self.by_segment else None

    def preferred(self, names: tuple[str, ...]) -> PopularList:
        """Popular items in any of these categories."""
        wanted = np.concatenate([self.by_category[name].order for name in names])
        mask = np.isin(self.overall.order, wanted)
        return PopularList(self.overall.order[mask], self.overall.score[mask])


def fill_up(
    ranked: Ranked,
    ladder: Ladder,
    users: np.ndarray,
    seen: csr_matrix | None,
    n_items: int,
    limits: GroupLimits | None = None,
) -> tuple[Ranked, np.ndarray, np.ndarray]:
    """(lists filled down the ladder, the number of items of each from the model, and from categories).

    users: the owners of the lists, as indices into the ladder; seen: their rows; limits: the lists are within them.
    """
    item_idx, scores = ranked.item_idx.copy(), ranked.scores.copy()
    n_model, n_category = ranked.lengths, np.zeros(len(item_idx), np.int64)
    short = np.flatnonzero(n_model < item_idx.shape[1])
    alike: dict[tuple[tuple[str, ...], str | None], list[int]] = {}
    for row in short.tolist():
        alike.setdefault(ladder.rungs_of(int(users[row])), []).append(row)
    for (categories, segment), rows in alike.items():
        part = Ranked(item_idx[rows], scores[rows])
        seen_here = None if seen is None else seen[rows]
        if categories:
            part, before = fill(part, ladder.preferred(categories), seen_here, n_items, limits)
            n_category[rows] = part.lengths - before
        popular = ladder.overall if segment is None else ladder.by_segment[segment]
        part, _ = fill(part, popular, seen_here, n_items, limits)
        item_idx[rows], scores[rows] = part.item_idx, part.scores
    return Ranked(item_idx, scores), n_model, n_category


def fill(
    ranked: Ranked, popular: PopularList, seen: csr_matrix | None, n_items: int, limits: GroupLimits | None = None
) -> tuple[Ranked, np.ndarray]:
    """(lists filled from the popular list, the number of items of each from the model)."""
    item_idx, scores, n_model = ranked.item_idx.copy(), ranked.scores.copy(), ranked.lengths
    n = item_idx.shape[1]
    short = np.flatnonzero(n_model < n)
    if short.size == 0:
        return ranked, n_model
    blocked = None if seen is None else seen[short]
    if blocked is None or n_model[short].any():
        taken = _listed(item_idx[short], n_items)
        blocked = taken if blocked is None else (taken + blocked).tocsr()
    score_of = np.full(n_items, np.nan, np.float32)
    score_of[popular.order] = popular.score
    behind = np.arange(n) - n_model[short][:, None]  # how far behind the model's last item each place is
    if limits is None:
        extra = first_unseen(popular.order, n, blocked, short.size)
        added = np.where(behind >= 0, np.take_along_axis(extra, np.maximum(behind, 0), axis=1), -1)
        added_scores = score_of[added]
    else:
        added = np.where(behind >= 0, limits.filled(item_idx[short], popular.order, blocked), -1)
        falling = np.where(behind >= 0, np.where(added >= 0, score_of[added], -np.inf), np.inf)
        added_scores = -np.sort(-falling, axis=1)
    rows, places = np.nonzero(added >= 0)
    item_idx[short[rows], places] = added[rows, places]
    scores[short[rows], places] = added_scores[rows, places]
    return Ranked(item_idx, scores), n_model


def _listed(lists: np.ndarray, n_items: int) -> csr_matrix:
    rows, columns = np.nonzero(lists >= 0)
    return csr_matrix((np.ones(rows.size, np.float32), (rows, lists[rows, columns])), shape=(len(lists), n_items))


def latest(interactions: RowBlocks, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each user's n latest distinct liked items, newest first: (user_idx, item_idx, occurred_at) sorted by user."""
    parts = [_latest(block.liked(), n) for block in interactions.blocks()]
    parts.append((np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64)))
    user, item, at = (np.concatenate(each) for each in zip(*parts, strict=True))
    return user, item, at


def _latest(rows: Interactions, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at, pair = rows.occurred_at, rows.user_idx.astype(np.int64) * rows.n_items + rows.item_idx
    if (pair[1:] < pair[:-1]).any():  # rows from `validate` are sorted already
        order = np.argsort(pair, kind="stable")
        pair, at = pair[order], at[order]
    begins = np.flatnonzero(np.diff(pair, prepend=-1))
    user, item = np.divmod(pair[begins], max(1, rows.n_items))
    at = np.maximum.reduceat(at, begins)
    kept = newest(user, at, n)  # of one instant in order of item_idx, as they come
    return user[kept].astype(np.int32), item[kept].astype(np.int32), at[kept]


def as_lists(ranked: Ranked, ids: pa.Array) -> tuple[pa.ListArray, pa.ListArray]:
    """(item ids, scores) as Arrow lists, without the padding."""
    kept = ranked.item_idx >= 0
    offsets = pa.array(np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32))
    return (
        pa.ListArray.from_arrays(offsets, ids.take(pa.array(ranked.item_idx[kept]))),
        pa.ListArray.from_arrays(offsets, pa.array(ranked.scores[kept], pa.float32())),
    )
