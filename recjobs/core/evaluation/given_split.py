"""A train and a test part from outside, with ids numbered alike."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.exam import Exam
from recjobs.core.rows.gathering import Gathered
from recjobs.core.rows.interactions import Interactions


@dataclass(frozen=True)
class GivenSplit:
    """train: (users of both parts) x (items of the train part), which are the items that can be in a list.

    questions: every user of the test part. Items that only the test part has are the last columns of its holdout, so
    that they count in |T| but cannot be hit. A user's items in both parts are neither recommended nor counted.
    user_ids, item_ids: ids by index, those of the test part alone last.
    """

    train: Interactions
    questions: Exam
    user_ids: pa.Array
    item_ids: pa.Array
    n_users_without_train: int
    n_items_without_train: int
    n_pairs_without_train: int
    n_pairs_in_both: int


def given_split(train: Gathered, test: Gathered) -> GivenSplit:
    """Number the ids of both parts alike; the exam asks for items in a user's test part but not in the train part."""
    user_of, user_ids = _numbered(test.user_ids, train.user_ids)
    item_of, item_ids = _numbered(test.item_ids, train.item_ids)
    n_users, n_items, n_known = len(user_ids), len(item_ids), len(train.item_ids)
    known = replace(train.interactions, n_users=n_users)
    taken = _keys(user_of[test.interactions.user_idx], item_of[test.interactions.item_idx], n_items)
    in_both = np.isin(taken, _keys(known.user_idx, known.item_idx, n_items), assume_unique=True)
    users = np.unique(user_of[test.interactions.user_idx])
    held_out = taken[~in_both]
    shape = (n_users, n_items)
    holdout = csr_matrix((np.ones(held_out.size, np.float32), (held_out // n_items, held_out % n_items)), shape=shape)
    return GivenSplit(
        known,
        Exam(users, known.pairs(), holdout[users]),
        user_ids,
        item_ids,
        n_users_without_train=int((users >= len(train.user_ids)).sum()),
        n_items_without_train=n_items - n_known,
        n_pairs_without_train=int((held_out % n_items >= n_known).sum()),
        n_pairs_in_both=int(in_both.sum()),
    )


def _numbered(ids: pa.Array, known: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """(the number of each id, new ones behind the known; all ids by number)"""
    place = pc.index_in(ids, known)
    fresh = place.is_null().to_numpy(zero_copy_only=False)
    number = pc.fill_null(place, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    number[fresh] = len(known) + np.arange(int(fresh.sum()))
    return number, pa.concat_arrays([known, ids.filter(pa.array(fresh))])


def _keys(user_idx: np.ndarray, item_idx: np.ndarray, n_items: int) -> np.ndarray:
    """user_idx * n_items + item_idx of each pair once, ascending."""
    return np.unique(user_idx.astype(np.int64) * n_items + item_idx)
