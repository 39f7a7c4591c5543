"""Two models' lists side by side: what is kept of them, who gained and lost places, which users are shown."""

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.exam import Exam
from recjobs.core.evaluation.side_by_side import PlacesChange, drawn, kept_lists, movers, places, places_of_categories

USERS = np.array([4, 7])
TAKEN = csr_matrix(np.array([[0, 1, 0, 0, 1], [0, 0, 0, 1, 0]]))
CANDIDATE = np.array([[3, 1, 0], [2, -1, -1]])
CHAMPION = np.array([[1, 3, 4], [2, 3, 0]])
KEPT = kept_lists(Exam(USERS, None, TAKEN), {"candidate": CANDIDATE, "champion": CHAMPION, "popularity_all": CHAMPION})


def test_the_lists_are_kept_with_their_users_and_what_those_took():
    assert KEPT.to_pylist() == [
        {"user_idx": 4, "taken": [1, 4], "candidate": [3, 1, 0], "champion": [1, 3, 4]},
        {"user_idx": 7, "taken": [3], "candidate": [2], "champion": [2, 3, 0]},
    ]


def test_of_nobody_there_are_no_lists():
    nobody = Exam(np.zeros(0, np.int64), None, csr_matrix((0, 5)))
    kept = kept_lists(nobody, {"candidate": np.zeros((0, 3), np.int32)})
    assert (kept.num_rows, kept.column_names) == (0, ["user_idx", "taken", "candidate"])


def test_an_item_has_as_many_places_as_lists_it_stands_in():
    assert places(KEPT["candidate"].combine_chunks(), 5).tolist() == [1, 1, 1, 1, 0]
    assert places(KEPT["champion"].combine_chunks(), 5).tolist() == [1, 1, 1, 2, 1]


def test_a_category_has_the_places_of_its_items_and_an_item_may_be_in_several():
    categories = pa.array([["a"], ["a", "b"], [], ["b"], ["c"]])
    assert places_of_categories(np.array([1, 10, 100, 1000, 0]), categories) == {"a": 11, "b": 1010, "c": 0}


def test_movers_are_those_that_gained_and_lost_most():
    moved = [
        PlacesChange("a", 1, 5),
        PlacesChange("b", 5, 1),
        PlacesChange("c", 3, 3),
        PlacesChange("d", 0, 9),
        PlacesChange("e", 8, 0),
    ]
    gained, lost = movers(moved, most=2)
    assert [one.name for one in gained] == ["d", "a"]
    assert [one.name for one in lost] == ["e", "b"]
    assert movers([PlacesChange("c", 3, 3)]) == ([], [])
    assert [one.name for one in movers(moved, most=1)[0]] == ["d"]


def test_the_users_are_drawn_by_the_seed():
    assert drawn(1000, 7) == drawn(1000, 7) != drawn(1000, 8)
    assert len(set(drawn(1000, 7))) == 20
    assert drawn(3, 7) == [0, 1, 2]
