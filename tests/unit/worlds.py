"""Small worlds whose answers are known by eye."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from recjobs.core.model.als import row_regularization
from recjobs.core.model.fold_in import FoldIn
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.core.rows.validation import Checked

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
NOW = microseconds(NOON)


def interactions(rows, n_users=None, n_items=None, kinds=()):
    """Interactions from (user_idx, item_idx, days ago[, weight[, kind_idx]]) rows, seen from NOW."""
    full = [(*row, 1.0, -1)[:5] if len(row) == 3 else (*row, -1)[:5] for row in rows]
    users, items, ago, weight, kind = zip(*full, strict=True) if full else ((), (), (), (), ())
    return Interactions(
        np.array(users, np.int32),
        np.array(items, np.int32),
        np.array([NOW - round(days * DAY) for days in ago], np.int64),
        np.array(weight, np.float32),
        np.array(kind, np.int16),
        n_users if n_users is not None else max(users, default=-1) + 1,
        n_items if n_items is not None else max(items, default=-1) + 1,
        kinds,
    )


def sets(*rows, n_items):
    """A user_items matrix from each user's item_idx."""
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.array([item for row in rows for item in row], int)
    return csr_matrix((np.ones(users.size, np.float32), (users, items)), shape=(len(rows), n_items))


def checkerboard(n_users, n_items, withheld):
    """Pairs where user and item are both even or both odd, without the withheld ones: who misses what, one can see."""
    return [
        (user, item, 1)
        for user in range(n_users)
        for item in range(n_items)
        if (user + item) % 2 == 0 and (user, item) not in withheld
    ]


def batches(rows, *sizes, **raw):
    """(checked, which are sound, raw columns) of rows (user_id, item_id, time[, weight[, kind]])."""
    first = 0
    for size in sizes or [len(rows)]:
        part = [(*row, 1.0, None)[:5] if len(row) == 3 else (*row, None)[:5] for row in rows[first : first + size]]
        users, items, times, weights, kinds = zip(*part, strict=True) if part else ((), (), (), (), ())
        checked = Checked(
            pa.array(users, pa.string()),
            pa.array(items, pa.string()),
            np.array(times, np.int64),
            np.array(weights, np.float64),
            pa.array(kinds, pa.string()),
            np.full(size, -1, np.int8),
        )
        yield checked, np.ones(size, bool), {name: values.slice(first, size) for name, values in raw.items()}
        first += size


def fold_in(user_items, item_factors, recipe, threads=1):
    """The vector of each user, as lists are made with it."""
    return FoldIn(item_factors, recipe, threads).vectors(user_items)


def fold_in_by_implicit(user_items, item_factors, recipe):
    """The same by implicit's own solver, user by user."""
    user_items = user_items.copy()
    user_items.data[~item_factors.any(axis=1)[user_items.indices]] = 0
    user_items.eliminate_zeros()
    weighted = user_items * recipe.alpha
    model = AlternatingLeastSquares(factors=recipe.factors, alpha=recipe.alpha, num_threads=1)
    model.item_factors = item_factors
    vectors = []
    for user, regularization in enumerate(row_regularization(weighted, recipe)):
        model.regularization = float(regularization)
        vectors.append(model.recalculate_user(np.array([0]), user_items[[user]])[0])
    return np.where(np.diff(user_items.indptr)[:, None] > 0, np.array(vectors), 0)
