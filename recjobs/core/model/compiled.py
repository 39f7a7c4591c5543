"""Loops over users in C (compiled.c), for what NumPy makes one array of after another. (docs/decisions/0097)

Other threads run while one of these does. All arrays are rows one after the other; whoever calls has made them so.
"""

import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.errors import BadConfiguration

_NAME = "recjobs.core.model._compiled"
_INTERFACE = 6


def _library() -> ctypes.CDLL:
    found = importlib.util.find_spec(_NAME)
    library = None if found is None or found.origin is None else ctypes.CDLL(found.origin)
    if library is None or library.interface() != _INTERFACE:
        state = "is not compiled" if library is None else "was compiled for another version"
        raise BadConfiguration(
            f"recjobs/core/model/compiled.c {state}: `make install` does that, and `pip install --editable .`"
        )
    return library


_C = _library()


@dataclass(frozen=True)
class Exact:
    """What scores are exactly, where they are known up to rounding in single precision: inner products of users'
    vectors (n_users, factors) and item factors (columns, factors), of which the longest has the norm `longest`, and
    what is added to them (n_users, columns); None: nothing."""

    vectors: np.ndarray
    factors: np.ndarray
    longest: float
    added: np.ndarray | None = None


def highest(values: np.ndarray, n: int, exact: Exact | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(columns, rounded scores) of the n highest finite values in each row of float32 values, highest first, of equal
    ones the first column first; column 0 with a score of -inf behind the end. n: at most the number of columns. exact:
    the scores in place of values, which tell what is left out (-inf) and about which columns it can be."""
    values = np.ascontiguousarray(values, np.float32)
    columns, scores = np.empty((len(values), n), np.int64), np.empty((len(values), n), np.float32)
    if not n:
        return columns, scores
    vectors, factors, longest, added = None, None, 0.0, None
    if exact is not None:
        vectors, factors, longest = np.ascontiguousarray(exact.vectors, np.float32), exact.factors, exact.longest
        added = exact.added
    f = 0 if vectors is None else vectors.shape[1]
    _call("highest", *values.shape, values, n, f, vectors, factors, longest, added, columns, scores)
    return columns, scores


def gram(factors: np.ndarray) -> np.ndarray:
    """The sum of y y' over the rows y of factors (n, factors): (factors, factors), float64."""
    result = np.empty((factors.shape[1],) * 2)
    _call("gram", *factors.shape, factors, result)
    return result


def quadratic(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """v' M v of each vector v, (n,), float64; vectors (n, factors), matrix M (factors, factors) float64."""
    result = np.empty(len(vectors))
    _call("quadratic", *vectors.shape, np.ascontiguousarray(vectors, np.float32), matrix, result)
    return result


def solve_rows(
    weighted: csr_matrix,
    place: slice,
    fixed: np.ndarray,
    squared: np.ndarray,
    regularization: np.ndarray,
    steps: int,
    solved: np.ndarray,
) -> None:
    """Improve the rows at `place` of `solved` (n_rows, factors), each by some steps of conjugate gradients.

    weighted: (n_rows, n_fixed), alpha x confidence; below 0: of an item that is not preferred. fixed: (n_fixed,
    factors), and squared its `gram`; regularization: of each row, float64. A row without a pair becomes zeros.
    """
    _fits(weighted, len(solved), len(fixed))
    _call(
        "solve_rows", place.stop - place.start, fixed.shape[1], _ends(weighted, place), _items(weighted), weighted.data,
        fixed, squared, regularization[place], steps, solved[place],
    )  # fmt: skip


def fold_in(
    rows: csr_matrix,
    place: slice,
    alpha: float,
    item_factors: np.ndarray,
    gram: np.ndarray,
    regularization: np.ndarray,
    vectors: np.ndarray,
    factorizations: np.ndarray | None,
) -> None:
    """Write the vectors of the users at `place`, (n_users, factors) float32, and the Cholesky factor of each one's
    normal equations, (n_users, factors, factors) float64: the lower triangle, and the upper one its mirror image.

    rows: (n_users, n_items), confidence before alpha; gram: Y'Y, float64; regularization: of each user, float64. A
    vector of NaN: there is no solution; a user without interactions has a vector of zeros.
    """
    _fits(rows, len(vectors), len(item_factors))
    _call(
        "fold_in", place.stop - place.start, len(gram), _ends(rows, place), _items(rows), rows.data,
        alpha, item_factors, gram, regularization[place], vectors[place],
        None if factorizations is None else factorizations[place],
    )  # fmt: skip


def reasons(
    listed: np.ndarray,
    place: slice,
    bits: int,
    rows: csr_matrix,
    alpha: float,
    factors: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    neighbours: tuple[csr_matrix, np.ndarray] | None,
    own: tuple[csr_matrix, np.ndarray] | None,
    packed: np.ndarray,
    counts: np.ndarray,
    used: np.ndarray,
    begins: np.ndarray,
) -> None:
    """Write the reasons of the users at `place`, see `reasons.because`.

    listed: (n_users, places) item_idx; factors: (item factors of the histories, the factorizations that `fold_in` left,
    item factors of the lists); neighbours: (similarity, the unit of each user); own: (frequencies, the unit of each
    user); None: without that part. packed: (n_users, places), with `bits` for each; counts: of each user's reasons;
    used: their item_idx, from `begins` of that user on, sorted.
    """
    histories, factorizations, of_lists = factors or (None, None, None)
    near, near_unit = neighbours or (None, None)
    frequency, own_unit = own or (None, None)
    f = 1 if histories is None else histories.shape[1]
    _call(
        "reasons", place.stop - place.start, f, rows.shape[1], listed.shape[1], listed[place],
        bits, _ends(rows, place), _items(rows), rows.data, alpha, histories,
        None if factorizations is None else factorizations[place], of_lists,
        *((None, None, None, None) if near is None or near_unit is None else (*_csr(near), near_unit[place])),
        *((None, None, None, None) if frequency is None or own_unit is None
          else (_ends(frequency, place), _items(frequency), frequency.data, own_unit[place])),
        packed[place], counts[place], used, begins[place],
    )  # fmt: skip


def nearest(weighted: csr_matrix, by_item: csr_matrix, place: slice, n: int) -> csr_matrix:
    """For the items at `place`, the n columns of weighted' weighted that are highest and not 0, of equal ones the first
    columns.

    weighted: (n_users, n_items), float64; by_item: its transpose.
    """
    n_rows, n_items = place.stop - place.start, weighted.shape[1]
    counts, items = np.empty(n_rows, np.int64), np.empty((n_rows, n), np.int32)
    values = np.empty((n_rows, n))
    ends = np.asarray(by_item.indptr, np.int64)
    _call(
        "nearest", place.start, n_rows, n_items, ends, _items(by_item), by_item.data, *_csr(weighted), n, counts, items,
        values,
    )  # fmt: skip
    kept = np.arange(n) < counts[:, None]
    ends = np.concatenate([[0], np.cumsum(counts)])
    return csr_matrix((values[kept], items[kept], ends), shape=(n_rows, n_items))


def newest(user: np.ndarray, at: np.ndarray, n: int, then: np.ndarray | None = None) -> np.ndarray:
    """The rows of each user's n latest instants, newest first, of equal ones the highest `then`, else the first row;
    user: ascending."""
    ends = np.append(np.flatnonzero(np.diff(user, prepend=-1)), user.size)
    counts = np.minimum(np.diff(ends), n)
    rows = np.empty(int(counts.sum()), np.int64)
    second = None if then is None else np.ascontiguousarray(then, np.int64)
    _call("newest", counts.size, ends, np.ascontiguousarray(at, np.int64), second, n, rows)
    return rows


def unseen(order: np.ndarray, n: int, rows: csr_matrix) -> np.ndarray:
    """The first n items of an order (distinct item_idx, best first) that a user has not, (n_users, n) int32, padded
    with -1; rows: (n_users, n_items), what users have, whatever its value."""
    place = np.full(rows.shape[1], order.size, np.int32)
    place[order] = np.arange(order.size, dtype=np.int32)
    lists = np.empty((rows.shape[0], n), np.int32)
    ends, items, _ = _csr(rows)
    _call("unseen", rows.shape[0], order.size, n, np.asarray(order, np.int32), place, ends, items, lists)
    return lists


def counted(drawn: np.ndarray, counts: np.ndarray) -> None:
    """Write how often each number below n was drawn, row by row; drawn: (rows, draws) int32, counts: (rows, n)."""
    if len(drawn) != len(counts):
        raise ValueError(f"{len(drawn)} rows were drawn, and there is room for {len(counts)}: C would write beyond")
    _call("counted", *drawn.shape, counts.shape[1], drawn, counts)


def blended(sums: np.ndarray, unit: np.ndarray, values: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Add sums of neighbours to values in place, centred and scaled to the standard deviation `unit` (n_users,), and
    write what was added; all (n_users, n_items). Returns each user's factor; 0 where the sums are equal."""
    factor = np.empty(len(sums), np.float32)
    _call("blended", *sums.shape, sums, unit, values, added, factor)
    return factor


def neighbour_sums(rows: csr_matrix, place: slice, similarity: csr_matrix) -> np.ndarray:
    """The sums of the similarities to a user's items, times their confidence, (n_users, columns of the similarity)."""
    _fits(rows, rows.shape[0], similarity.shape[0])
    sums = np.zeros((place.stop - place.start, similarity.shape[1]), np.float32)
    _call("neighbour_sums", *sums.shape, _ends(rows, place), _items(rows), rows.data, *_csr(similarity), sums)
    return sums


def _fits(rows: csr_matrix, n_rows: int, n_columns: int) -> None:
    if rows.shape != (n_rows, n_columns):
        raise ValueError(f"a matrix of {rows.shape} beside {n_rows} rows and {n_columns} columns: C would read beyond")


def _ends(rows: csr_matrix, place: slice) -> np.ndarray:
    return np.asarray(rows.indptr[place.start : place.stop + 1], np.int64)


def _items(rows: csr_matrix) -> np.ndarray:
    return np.asarray(rows.indices, np.int32)


def _csr(matrix: csr_matrix) -> Sequence[np.ndarray]:
    return np.asarray(matrix.indptr, np.int64), _items(matrix), matrix.data


_ARGUMENTS = {
    "highest": "n n F n n F F f F L F",
    "gram": "n n F D",
    "quadratic": "n n F D D",
    "solve_rows": "n n L I F F D D n F",
    "fold_in": "n n L I F f F D D F D",
    "reasons": "n n n n I i L I F f F D F L I F F L I F F I L I L",
    "nearest": "n n n L I D L I D n L I D",
    "newest": "n L L L n L",
    "unseen": "n n n I I L I I",
    "counted": "n n n I D",
    "blended": "n n F F F F F",
    "neighbour_sums": "n n L I F L I F F",
}
"""Of each function, in order: n int64_t, i int, f float; pointers, or NULL: F float, D double, I int32_t, L int64_t."""
_NUMBERS: dict[str, Callable[[Any], object]] = {"n": ctypes.c_int64, "i": ctypes.c_int, "f": ctypes.c_float}
_ARRAYS = {"F": np.float32, "D": np.float64, "I": np.int32, "L": np.int64}


def _call(name: str, *arguments: float | np.ndarray | None) -> None:
    """Call a function of the library. Raises TypeError for an array that C would misread, and MemoryError."""
    passed: list[object] = []
    for kind, argument in zip(_ARGUMENTS[name].split(), arguments, strict=True):
        if kind in _NUMBERS:
            passed.append(_NUMBERS[kind](argument))
        elif argument is None:
            passed.append(None)
        else:
            assert isinstance(argument, np.ndarray)  # noqa: S101 - for mypy
            if argument.dtype != _ARRAYS[kind] or not argument.flags.c_contiguous:
                raise TypeError(f"{name}: argument {len(passed) + 1} is {argument.dtype}, {argument.strides}")
            passed.append(ctypes.c_void_p(argument.ctypes.data))
    if getattr(_C, name)(*passed):
        raise MemoryError
