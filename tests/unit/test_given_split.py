"""A split that somebody else made: one numbering for both parts, and only what can be found is in a list."""

import pyarrow as pa

from recjobs.core.evaluation.given_split import given_split
from recjobs.core.rows.gathering import RowCollector, RowPiece
from tests.unit.worlds import batches


def gathered(*pairs):
    collected = RowCollector()
    for checked, sound, _ in batches([(user, item, 0) for user, item in pairs]):
        collected.add(RowPiece.of(checked, sound))
    return collected.finish()


TRAIN = gathered(("ann", "hat"), ("ann", "map"), ("bob", "map"), ("cid", "pen"))
TEST = gathered(("ann", "map"), ("ann", "pen"), ("bob", "map"), ("abe", "hat"), ("abe", "cap"), ("cid", "hat"))


def test_ids_of_the_test_part_alone_come_last_and_train_keeps_its_own_items():
    split = given_split(TRAIN, TEST)
    assert split.user_ids.equals(pa.array(["ann", "bob", "cid", "abe"]))
    assert split.item_ids.equals(pa.array(["hat", "map", "pen", "cap"]))
    assert (split.train.n_users, split.train.n_items) == (4, 3)
    assert split.questions.kept_out.shape == (4, 3)
    assert split.questions.holdout.shape == (4, 4)


def test_what_a_user_has_in_both_parts_is_not_asked_for():
    split = given_split(TRAIN, TEST)
    assert split.questions.users.tolist() == [0, 1, 2, 3]
    assert split.questions.holdout.toarray().tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]]
    assert split.questions.kept_out.toarray().tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert split.n_pairs_in_both == 2


def test_it_is_counted_what_cannot_be_found_and_who_is_unknown():
    split = given_split(TRAIN, TEST)
    assert (split.n_users_without_train, split.n_items_without_train, split.n_pairs_without_train) == (1, 1, 1)
