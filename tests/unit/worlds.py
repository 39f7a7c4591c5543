"""Small worlds whose answers are known by eye."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

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
