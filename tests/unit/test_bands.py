"""What is measured of all lists together, on a batch that can be counted by eye."""

import numpy as np
import pyarrow as pa
import pytest

from recjobs.core.lists import bands
from recjobs.core.lists.bands import Shape, measure, top_items

ITEMS = pa.array(["a", "b", "c", "d", "e", "f", "g"])
ELIGIBLE = np.array([1, 1, 1, 1, 0, 1, 1], bool)
TAKEN = np.ones(7, bool)


@pytest.fixture(autouse=True)
def few_lists_have_a_shape(monkeypatch):
    monkeypatch.setattr(bands, "MIN_LISTS", 1)


LISTS = {"u0": ["a", "b", "c"], "u1": ["a", "c"], "u2": ["b", "a", "c"], "u3": ["a", "b", "c"]}
N_MODEL = {"u0": 3, "u1": 2, "u2": 1, "u3": 0}


def table(lists, n_model=N_MODEL):
    return pa.table(
        {
            "user_id": pa.array(list(lists)),
            "item_ids": pa.array(list(lists.values()), pa.list_(pa.string())),
            "n_model": pa.array([n_model[user] for user in lists], pa.int16()),
        }
    )


def measured(lists=LISTS, n_model=N_MODEL, served=3, active=("u0", "u1", "u2", "u3"), live=None, chunks=1, taken=TAKEN):
    shape, whole = Shape(ITEMS, 20), table(lists, n_model)
    size = -(-whole.num_rows // chunks)
    for first in range(0, whole.num_rows, size):
        shape.add(whole.slice(first, size))
    live_tops = None if live is None else (pa.array(list(live)), top_items(table(live, dict.fromkeys(live, 1)), ITEMS))
    active_users = pa.array(active, pa.string())
    return measure(shape, served=served, eligible=ELIGIBLE, taken=taken, active=active_users, live=live_tops)


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_each_value_and_the_users_it_is_about(chunks):
    found = measured(chunks=chunks)
    assert (found["short_lists"].value, found["short_lists"].users) == (0.25, ["u1"])
    assert found["coverage"].value == 0.5  # d, f and g are shown to nobody, e may not be
    # of the three lists that a model began, two begin with a
    assert (found["top_item_share"].value, found["top_item_share"].users) == (pytest.approx(2 / 3), ["u0", "u1"])
    assert (found["fallback_share"].value, found["fallback_share"].users) == (0.25, ["u3"])
    assert found["overlap_with_live"].value is None


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_exposure_counts_lists_that_serve_an_item(chunks):
    whole = table(LISTS)
    shape = Shape(ITEMS, 2)
    for first in range(0, 4, 4 // chunks):
        shape.add(whole.slice(first, 4 // chunks))
    # c is third in three lists, of which two items are served
    assert shape.exposure().to_pydict() == {"item_id": ["a", "b", "c"], "n_lists": [4, 3, 1], "n_top10": [4, 3, 1]}
    assert Shape(ITEMS, 2).exposure().num_rows == 0


def test_items_that_nobody_took_need_not_be_listed():
    assert measured(taken=np.array([1, 1, 1, 1, 0, 0, 0], bool))["coverage"].value == 0.75


def test_a_list_is_not_short_where_there_is_no_more_to_show():
    lists = {"u0": ["a", "b", "c", "d"]}
    assert measured(lists, served=4)["short_lists"].value is None


def test_users_without_an_interaction_are_not_asked_of_the_model():
    assert measured(active=("u0", "u1", "u2"))["fallback_share"].value == 0


def test_popular_lists_are_not_held_against_what_a_model_should_do():
    found = measured(n_model=dict.fromkeys(LISTS, 0))
    assert [name for name, one in found.items() if one.value is not None] == ["short_lists"]


def test_overlap_is_the_mean_over_users_in_both_batches_and_names_the_least():
    live = {"u0": ["c", "b", "a"], "u1": ["d", "a"], "u2": ["d", "e", "x"], "gone": ["a"]}
    found = measured(live=live)["overlap_with_live"]
    assert found.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.users == ["u2", "u1", "u0"]


def test_an_item_that_neither_knows_is_no_overlap():
    assert measured({"u0": ["x"]}, {"u0": 1}, live={"u0": ["x"]})["overlap_with_live"].value is None


def test_too_few_lists_have_no_shape(monkeypatch):
    monkeypatch.setattr(bands, "MIN_LISTS", 10)
    assert {one.value for one in measured().values()} == {None}


@pytest.mark.parametrize("chunks", [1, 2])
def test_the_first_items_that_a_shape_collects_are_those_of_the_lists(chunks):
    lists = table(LISTS)
    shape = Shape(ITEMS, 3)
    for start in range(0, lists.num_rows, -(-lists.num_rows // chunks)):
        shape.add(lists.slice(start, -(-lists.num_rows // chunks)))
    assert np.array_equal(np.concatenate(shape.tops), top_items(lists, ITEMS))


@pytest.mark.parametrize(("compared", "overlap"), [(10, 0.0), (15, 0.5), (20, 1.0)])
def test_the_live_batchs_first_ten_are_looked_for_among_as_many_as_rotation_may_move(compared: int, overlap: float):
    """Tonight the second ten stand in front of the first ten."""
    items, one = pa.array([f"i{k:02}" for k in range(20)]), {"u": 20}
    before, now = ({"u": [f"i{k:02}" for k in order]} for order in (range(20), [*range(10, 20), *range(10)]))
    shape, everything = Shape(items, 20, compared), np.ones(20, bool)
    shape.add(table(now, one))
    live = (pa.array(["u"]), top_items(table(before, one), items))
    found = measure(shape, served=20, eligible=everything, taken=everything, active=pa.array(["u"]), live=live)
    assert found["overlap_with_live"].value == overlap
