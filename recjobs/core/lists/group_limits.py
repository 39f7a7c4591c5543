"""How many items of a group a list holds: one variant of a product, so many items of a category."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from recjobs.core.model.ranking import Ranked, first_unseen

POOL = 1000
"""Items of a model, or of a popular list, among which the places of a list are given away."""
_ROWS = 1024
_CELLS = 4_000_000
"""Users, and cells of their candidates, at a time."""


@dataclass(frozen=True, eq=False)
class GroupLimits:
    """product: (n_items,) int64, the number of the product that an item is a variant of; variants after the first are
    left out. categories: (n_items, width) int64, an item's categories, -1 behind the last one; items beyond
    max_per_category stand behind all others. None: no limit.
    """

    product: np.ndarray | None = None
    categories: np.ndarray | None = None
    max_per_category: int | None = None

    @classmethod
    def of(cls, items: pa.Table, variants_by: str | None, max_per_category: int | None) -> "GroupLimits | None":
        """The limits of a table of items, as `items.variants_by` and `top_n.max_per_category` set them; None: there
        are none. Titles are compared without case and surplus blanks."""
        product = None if variants_by is None else _products(items, variants_by)
        categories = None if max_per_category is None else _categories(items["categories"].combine_chunks())
        return None if product is None and categories is None else cls(product, categories, max_per_category)

    @property
    def of_categories(self) -> "GroupLimits | None":
        """The limit of a category alone; None: there is none."""
        return None if self.categories is None else replace(self, product=None)

    @property
    def of_products(self) -> "GroupLimits | None":
        """The limit on variants alone; None: there is none."""
        return None if self.product is None else replace(self, categories=None, max_per_category=None)

    def first(self, ranked: Ranked, n: int, before: np.ndarray | None = None) -> Ranked:
        """The first n items of each list within the limits, in order; then items beyond max_per_category, in order.

        Scores are those of the list's items, in falling order. before: (n_users, any number) item_idx, -1 for none,
        which count as if they stood in front.
        """
        if before is None:
            before = np.full((len(ranked.item_idx), 0), -1, np.int32)
        lists, skipped = Ranked.empty(len(ranked.item_idx), n), before.shape[1]
        for some in _blocks(len(ranked.item_idx), ranked.item_idx.shape[1]):
            places = self._places(np.concatenate([before[some], ranked.item_idx[some]], axis=1), skipped, n) - skipped
            width, none = places.shape[1], places < 0
            chosen = np.take_along_axis(ranked.item_idx[some], np.maximum(places, 0), axis=1)
            lists.item_idx[some, :width] = np.where(none, -1, chosen)
            falling = np.sort(np.where(none, ranked.item_idx.shape[1], places), axis=1)
            falling = np.minimum(falling, ranked.item_idx.shape[1] - 1)
            scores = np.take_along_axis(ranked.scores[some], falling, axis=1)
            lists.scores[some, :width] = np.where(none, np.nan, scores)
        return replace(lists, neighbours_unit=ranked.neighbours_unit)

    def filled(self, lists: np.ndarray, order: np.ndarray, blocked: csr_matrix) -> np.ndarray:
        """Lists (n_users, n) within the limits, filled from an order of items (item_idx, best first) that are not
        blocked (the users' rows). A list is shorter only if no item is left for it."""
        result, n = lists.copy(), lists.shape[1]
        for block in _blocks(len(lists), POOL):
            rows, depth = np.arange(len(lists))[block], POOL
            while rows.size:
                extra = first_unseen(order, min(depth, order.size), blocked[rows], rows.size)
                listed, length = np.concatenate([lists[rows], extra], axis=1), (lists[rows] >= 0).sum(axis=1)
                places = self._places(listed, n, n)
                added = np.where(places < 0, -1, np.take_along_axis(listed, np.maximum(places, 0), axis=1))
                added = np.concatenate([added, np.full((rows.size, n - added.shape[1]), -1, added.dtype)], axis=1)
                behind = np.arange(n) - length[:, None]
                result[rows] = np.where(
                    behind < 0, lists[rows], np.take_along_axis(added, np.maximum(behind, 0), axis=1)
                )
                if depth >= order.size:
                    break
                rows, depth = rows[(result[rows] < 0).any(axis=1)], depth * 8
        return result

    def _places(self, listed: np.ndarray, n_before: int, n: int) -> np.ndarray:
        """The places of at most n of each row's items from the place n_before on, -1 behind the last one; those beyond
        a category's limit come last."""
        listed = listed.astype(np.int64)
        rows, width = listed.shape
        usable = listed >= 0
        if self.product is not None:
            usable &= ~_repeated(np.where(usable, self.product[listed], -1 - np.arange(width)))
        rank = np.where(usable, 0, 2)
        if self.categories is not None:
            local = _numbered(np.where(usable[:, :, None], self.categories[listed], -1))
            counts = np.zeros((rows, int(local.max(initial=0)) + 1), np.int32)
            row, most, n_kept = np.arange(rows)[:, None], self.max_per_category or 0, np.zeros(rows, np.int64)
            for place in range(width):
                own = local[:, place]  # 0: no category
                fits = usable[:, place] & ((counts[row, own] < most) | (own == 0)).all(axis=1)
                counts[row[fits], own[fits]] += 1
                rank[usable[:, place] & ~fits, place] = 1
                n_kept += fits & (place >= n_before)
                if (n_kept >= n).all():
                    break
        rank[:, :n_before] = 2
        order = np.argsort(rank, axis=1, kind="stable")[:, :n]
        return np.where(np.take_along_axis(rank, order, axis=1) < 2, order, -1)


def _blocks(n_rows: int, width: int) -> Iterator[slice]:
    step = max(1, min(_ROWS, _CELLS // max(1, width)))
    return (slice(begin, min(begin + step, n_rows)) for begin in range(0, n_rows, step))


def _repeated(groups: np.ndarray) -> np.ndarray:
    """A mask of the places whose group, in the same row, stands further in front."""
    order = np.argsort(groups, axis=1, kind="stable")
    ordered = np.take_along_axis(groups, order, axis=1)
    mask = np.zeros(groups.shape, bool)
    np.put_along_axis(mask, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return mask


def _numbered(groups: np.ndarray) -> np.ndarray:
    """(rows, places, width) -> numbers of a row's distinct groups from 1; 0 for -1."""
    flat = groups.reshape(len(groups), -1)
    order = np.argsort(flat, axis=1, kind="stable")
    ordered = np.take_along_axis(flat, order, axis=1)
    new = np.zeros(flat.shape, np.int64)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    new[:, :1] = ordered[:, :1] >= 0
    numbers = np.empty(flat.shape, np.int64)
    np.put_along_axis(numbers, order, np.cumsum(new, axis=1), axis=1)
    return numbers.reshape(groups.shape)


def _products(items: pa.Table, column: str) -> np.ndarray:
    """A number for each product; an item without a value is a product of its own."""
    values = items[column].combine_chunks() if column in items.column_names else pa.nulls(items.num_rows, pa.string())
    if column == "title":
        values = pc.utf8_lower(pc.utf8_trim_whitespace(pc.replace_substring_regex(values, r"\s+", " ")))
    codes = values.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(codes >= 0, codes, len(codes) + np.arange(len(codes)))


def _categories(names: pa.Array) -> np.ndarray:
    """(n_items, width): the numbers of each item's categories, each once, -1 behind the last one."""
    item = pc.list_parent_indices(names).to_numpy(zero_copy_only=False).astype(np.int64)
    codes = names.flatten().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = np.unique(item * (int(codes.max(initial=0)) + 1) + codes)
    item, code = np.divmod(pairs, int(codes.max(initial=0)) + 1)
    place = np.arange(item.size) - np.searchsorted(item, item)
    result = np.full((len(names), int(place.max(initial=0)) + 1), -1, np.int64)
    result[item, place] = code
    return result
