"""Ranked lists: the best items of each user, by factors or in one order for all.

The last bits of a score depend on the processor: OpenBLAS and NumPy have routines for each kind. So scores are rounded
before they are compared, and equal ones rank by item (docs/decisions/0024).
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.compiled import Exact, gram, highest, quadratic, unseen
from recjobs.core.model.neighbours import Blend, Sums, row_blocks
from recjobs.core.model.threads import in_threads

CHUNK = 64
"""Users multiplied at a time."""
_COLUMNS = 4096
"""Items multiplied at a time: their products in double precision stay in the cache of one core."""
BITS = 16
"""Bits that a list's highest score keeps; all others are rounded to multiples of its last one."""


@dataclass(frozen=True)
class Ranked:
    """item_idx (n_users, n) int32, -1 behind the end of a list; scores (n_users, n) float32, NaN there; neighbours_unit
    (n_users,): the factor of the neighbour scores in these scores, see `Blend.add_to`; None without neighbours."""

    item_idx: np.ndarray
    scores: np.ndarray
    neighbours_unit: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """The number of items in each list."""
        return np.asarray((self.item_idx >= 0).sum(axis=1))

    @classmethod
    def empty(cls, n_users: int, n: int) -> "Ranked":
        """Lists without items."""
        return cls(np.full((n_users, n), -1, np.int32), np.full((n_users, n), np.nan, np.float32))

    @classmethod
    def joined(cls, parts: list["Ranked"], n: int) -> "Ranked":
        """The lists of all parts, one after the other; n items wide."""
        parts = [cls(np.zeros((0, n), np.int32), np.zeros((0, n), np.float32)), *parts]
        return cls(np.concatenate([p.item_idx for p in parts]), np.concatenate([p.scores for p in parts]))

    def rows(self, rows: np.ndarray) -> "Ranked":
        """The lists of some of the users."""
        return Ranked(self.item_idx[rows], self.scores[rows])

    def first(self, n: int) -> "Ranked":
        """The first n places of each list."""
        return replace(self, item_idx=self.item_idx[:, :n], scores=self.scores[:, :n])

    def without(self, users: np.ndarray) -> "Ranked":
        """The same with empty lists where `users` (a mask) is true."""
        return replace(
            self,
            item_idx=np.where(users[:, None], np.int32(-1), self.item_idx),
            scores=np.where(users[:, None], np.float32(np.nan), self.scores),
        )


class Ranking:
    """Ranks the eligible items (a mask) of item_factors (n_items, factors) for any users, in calls of any size.

    blend: item neighbours, added to the inner products.
    """

    def __init__(self, item_factors: np.ndarray, eligible: np.ndarray, blend: Blend | None = None) -> None:
        self.n_items, self.columns = len(item_factors), np.flatnonzero(eligible).astype(np.int32)
        self._position = np.full(self.n_items, -1, np.int32)
        self._position[self.columns] = np.arange(self.columns.size, dtype=np.int32)
        self._factors = np.ascontiguousarray(item_factors[self.columns], np.float32)
        self._similar_of = None if blend is None else blend.similarity
        self._similarity = None if blend is None else blend.similar_among(self.columns)

    def best(
        self,
        user_factors: np.ndarray,
        n: int,
        seen: csr_matrix | None,
        threads: int = 1,
        blend: Blend | None = None,
    ) -> Ranked:
        """The n items with the highest inner product for each user, see `best_items`. blend: that of these users, where
        there is one of all."""
        [[ranked]] = best_in_one_pass([Scored(self, user_factors, blend)], n, [Asked(seen)], threads)
        return ranked

    def share_neighbours(self, others: Sequence["Ranking"]) -> None:
        """Use the neighbours among the items of another ranking, if those are the same."""
        for other in others:
            if self._similar_of is other._similar_of and np.array_equal(self.columns, other.columns):
                self._similarity = other._similarity

    def added(self, blend: Blend | None) -> Blend | None:
        """A blend of some users, among the items of this ranking."""
        return None if blend is None or self._similarity is None else blend.among(self.columns, self._similarity)

    def without_seen(self, values: np.ndarray, seen: csr_matrix, first: int) -> Callable[[], None]:
        """Leave out the seen items of users from `first` on in their scores; returns what puts the scores back."""
        last = first + len(values)
        row = np.repeat(np.arange(len(values)), np.diff(seen.indptr[first : last + 1]))
        places = self._position[seen.indices[seen.indptr[first] : seen.indptr[last]]]
        row, places = row[places >= 0], places[places >= 0]
        scores = values[row, places]
        values[row, places] = -np.inf

        def put_back() -> None:
            values[row, places] = scores

        return put_back

    @cached_property
    def _exact(self) -> np.ndarray:
        # In single precision the last bits depend on a row's place in the matrix: lists would on the other users.
        return np.ascontiguousarray(self._factors.T, np.float64)

    @cached_property
    def _rough(self) -> tuple[np.ndarray, float]:
        with np.errstate(over="ignore", invalid="ignore"):  # factors of a broken model
            squares = np.einsum("if,if->i", self._factors, self._factors, dtype=np.float64)
            return np.ascontiguousarray(self._factors.T), float(np.sqrt(squares.max(initial=0.0)))

    def pick(
        self,
        values: np.ndarray,
        known: np.ndarray,
        result: "Ranked",
        first: int,
        vectors: np.ndarray | None = None,
        added: np.ndarray | None = None,
    ) -> None:
        """Write the lists of known users (a mask) to the rows from `first`, by their scores of this ranking's items.
        vectors: of these users, where the values are `rough_products`; added: to these."""
        rows = np.flatnonzero(known)
        width = min(result.item_idx.shape[1], self.columns.size)
        if not (width and rows.size):
            return
        if rows.size < len(values):
            values = values[rows]
            vectors, added = (None if each is None else each[rows] for each in (vectors, added))
        exact = None if vectors is None else Exact(vectors, self._factors, self._rough[1], added)
        top, picked = highest(values, width, exact)
        kept = np.isfinite(picked)
        result.item_idx[first + rows, :width] = np.where(kept, self.columns[top], -1)
        result.scores[first + rows, :width] = np.where(kept, picked, np.nan)

    def spreads(self, users: np.ndarray) -> np.ndarray:
        """The standard deviations of some users' inner products, (n_users,), float64."""
        n, total = max(1, len(self._factors)), self._factors.sum(axis=0, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # factors of a broken model
            covariance = gram(self._factors) / n - np.outer(total, total) / n**2
            return np.asarray(np.sqrt(np.maximum(quadratic(users, covariance), 0)))

    def products(self, users: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The inner products of some users, float32: those in double precision, rounded. out: where to write them, in
        its first rows."""
        values = self._space(users, out)
        with np.errstate(over="ignore", invalid="ignore"):  # factors of a broken model
            users = users.astype(np.float64)
            for first in range(0, self.columns.size, _COLUMNS):
                here = slice(first, first + _COLUMNS)
                values[:, here] = users @ self._exact[:, here]
        return values

    def rough_products(self, users: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The same up to rounding, in half of the time; for `pick`."""
        with np.errstate(over="ignore", invalid="ignore"):  # as above
            return np.matmul(users, self._rough[0], out=self._space(users, out))

    def _space(self, users: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.empty((len(users), self.columns.size), np.float32) if out is None else out[: len(users)]


@dataclass(frozen=True)
class Scored:
    """What the scores of some users are made of: a ranking, their factors (n_users, factors), and their blend where
    there is one of all."""

    ranking: Ranking
    user_factors: np.ndarray
    blend: Blend | None = None


@dataclass(frozen=True)
class Asked:
    """Lists of some users. seen: (n_users, n_items), items to leave out; None: none. wanted: (n_users,), a mask of
    those whose lists are wanted, the others' are empty; None: all."""

    seen: csr_matrix | None
    wanted: np.ndarray | None = None


def best_in_one_pass(scored: Sequence[Scored], n: int, asked: Sequence[Asked], threads: int = 1) -> list[list[Ranked]]:
    """For each of several models, and each of several sets of seen items, what `Ranking.best` returns.

    All are of the same users. Scores are computed once for all sets, sums of neighbours once for all models that share
    them.
    """
    n_users = len(scored[0].user_factors)
    results = [[Ranked.empty(n_users, n) for _ in asked] for _ in scored]
    blends = [one.ranking.added(one.blend) for one in scored]
    units = [None if added is None else np.zeros(n_users, np.float32) for added in blends]
    # What adds nothing but neighbours needs no exact score of every item.
    are_rough = [added is None or (type(added) is Blend and added.weight < 1) for added in blends]
    spreads = [
        one.ranking.spreads(one.user_factors) if added is not None and is_rough else None
        for one, added, is_rough in zip(scored, blends, are_rough, strict=True)
    ]
    known_users = [np.asarray(one.user_factors.any(axis=1)) for one in scored]
    has_blend, is_shared = (sum(added is not None for added in blends) > least for least in (0, 1))

    # New memory for each chunk would take a tenth of the time.
    kept = threading.local()

    def rank(first: int) -> None:
        last = min(first + CHUNK, n_users)
        vectors = [one.user_factors[first:last] for one in scored]
        if not hasattr(kept, "products"):
            kept.products = [np.empty((CHUNK, one.ranking.columns.size), np.float32) for one in scored]
        products = [
            one.ranking.rough_products(of, out) if is_rough else one.ranking.products(of, out)
            for one, is_rough, of, out in zip(scored, are_rough, vectors, kept.products, strict=True)
        ]
        for here in row_blocks(last - first) if has_blend else [slice(0, last - first)]:
            begin, end = first + here.start, first + here.stop
            sums: Sums | None = {} if is_shared else None
            for one, added, unit, spread, is_rough, knows, of_asked, of_chunk, of_users in zip(
                scored, blends, units, spreads, are_rough, known_users, results, products, vectors, strict=True
            ):
                values, known, part = of_chunk[here], knows[begin:end], None
                if not values.size:
                    continue
                if added is not None and unit is not None:
                    own_spread = None if spread is None else spread[begin:end]
                    unit[begin:end], part = added.add_to(values, begin, end, sums, own_spread)
                    known = unit[begin:end] > 0 if added.weight == 1 else known
                for each, result in zip(asked, of_asked, strict=True):
                    put_back = None if each.seen is None else one.ranking.without_seen(values, each.seen, begin)
                    wanted = known if each.wanted is None else known & each.wanted[begin:end]
                    one.ranking.pick(values, wanted, result, begin, of_users[here] if is_rough else None, part)
                    if put_back is not None and len(asked) > 1:
                        put_back()

    if n_users:
        in_threads(rank, range(0, n_users, CHUNK), threads)
    return [[replace(r, neighbours_unit=unit) for r in of] for of, unit in zip(results, units, strict=True)]


def best_items(
    user_factors: np.ndarray,
    item_factors: np.ndarray,
    n: int,
    seen: csr_matrix | None,
    eligible: np.ndarray,
    threads: int = 1,
    blend: Blend | None = None,
) -> Ranked:
    """The n items with the highest inner product for each user, among eligible items (a mask over items).

    Scores are multiples of `step_of` the user's highest one; of equal scores the first item comes first. seen:
    (n_users, n_items), items to leave out of each user's list; None leaves none out. blend: item neighbours, added to
    the inner products. A user whose factors are all zero gets an empty list. Lists hold fewer than n where fewer items
    remain: a filtered item never comes back.
    """
    return Ranking(item_factors, eligible, blend).best(user_factors, n, seen, threads, blend)


def step_of(highest: np.ndarray) -> np.ndarray:
    """The unit that scores are rounded to beside a highest one: a power of 2, from 2^-BITS of it to twice that."""
    exponent = np.maximum(np.frexp(highest)[1], -100)  # no subnormal numbers
    return np.asarray(np.ldexp(np.float32(1), exponent - BITS))


def first_unseen(order: np.ndarray, n: int, seen: csr_matrix | None, n_users: int) -> np.ndarray:
    """The first n items of an order (item_idx, best first) each user has not seen: (n_users, n), padded with -1."""
    if seen is not None:
        return unseen(order, n, seen)
    result = np.full((n_users, n), -1, np.int32)
    result[:, : min(n, order.size)] = order[:n]
    return result


def overlap_at(first: np.ndarray, second: np.ndarray) -> float:
    """Mean share of the items of each list of `first` (n_users, k) that are in the same user's list of `second`."""
    if not len(first):
        return 1.0
    shared = (first[:, :, None] == second[:, None, :]).any(axis=2) & (first >= 0)
    return float((shared.sum(axis=1) / np.maximum(1, (first >= 0).sum(axis=1))).mean())
