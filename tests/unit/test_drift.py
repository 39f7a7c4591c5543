"""Drift, on windows whose shares are known by eye."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from recjobs.core.rows.drift import compare, profile, stability_index
from tests.unit.worlds import NOW, interactions

HOUR = 1 / 24


def night(rows, users=400, items=30, kinds=(), first_user=0, first_item=0):
    made = interactions(rows, n_users=users, n_items=items, kinds=kinds)
    user_ids = pa.array([f"u{n}" for n in range(first_user, first_user + users)])
    item_ids = pa.array([f"i{n}" for n in range(first_item, first_item + items)])
    return profile(made, user_ids, item_ids, NOW, 7)


def week(rng, kind=-1, weight=1.0, hours=(9, 17), items=30, n=4000, users=400):
    """n rows of the last week, spread evenly over hours of the day (noon is NOW) and items."""
    days, hour = rng.integers(1, 7, n), rng.integers(*hours, n)
    return [
        (int(u), int(i), float(d) + (12 - h) * HOUR, weight, kind)
        for u, i, d, h in zip(rng.integers(0, users, n), rng.integers(0, items, n), days, hour, strict=True)
    ]


def drift(before, now):
    return {moved.feature: moved.value for moved in compare(before, now)}


def test_the_index_by_hand():
    # shares of 0.6 and 0.4 against 0.5 and 0.5, half a row added to each
    p, q = np.array([60.5, 40.5]) / 101, np.array([50.5, 50.5]) / 101
    assert stability_index(np.array([50, 50]), np.array([60, 40])) == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert stability_index(np.array([5, 0, 5]), np.array([5, 0, 5])) == 0
    assert stability_index(np.array([0]), np.array([0])) == 0
    assert stability_index(np.array([10, 0]), np.array([0, 10])) > 2


def test_two_weeks_of_one_shop_have_not_moved():
    first, second = (night(week(np.random.default_rng(seed))) for seed in (1, 2))
    found = drift(first, second)
    shares = {"unknown_users", "unknown_items"}
    assert set(found) == {"item_mix", "user_activity", "kinds", "weights", "hour_of_day"} | shares
    assert max(found.values()) < 0.1


@pytest.mark.parametrize(
    ("changed", "feature"),
    [
        ({"hours": (14, 22)}, "hour_of_day"),
        ({"kind": 1}, "kinds"),
        ({"weight": 100.0}, "weights"),
        ({"users": 40}, "user_activity"),
        ({"items": 6}, "item_mix"),
    ],
)
def test_what_moves_is_named_and_nothing_else(changed, feature):
    usual = {"kind": 0}
    first = night(week(np.random.default_rng(1), **usual), kinds=("buy", "view"))
    second = night(week(np.random.default_rng(2), **(usual | changed)), kinds=("buy", "view"))
    assert {name for name, value in drift(first, second).items() if value > 0.25} == {feature}


def test_users_and_items_that_the_earlier_night_did_not_have_are_counted_as_shares():
    rng = np.random.default_rng(1)
    first = night(week(rng))
    second = night(week(rng), first_user=100, first_item=15)
    found = drift(first, second)
    assert found["unknown_users"] == pytest.approx(0.25, abs=0.01)
    assert found["unknown_items"] == pytest.approx(0.5, abs=0.05)


def test_only_the_window_is_described():
    old = [(0, 0, 30.0)] * 50
    assert night([*old, (1, 2, 1.0)]).n == 1
    found = night([*old, (1, 2, 1.0)])
    assert found.items["n_ever"].to_pylist()[:3] == [50, 0, 1]
    assert found.active.to_pylist() == ["u1"]


def test_an_empty_window_is_a_profile_too():
    empty = night([])
    assert empty.n == 0
    assert set(drift(empty, empty).values()) == {0.0}


def test_a_kind_that_is_new_is_a_bin_of_its_own():
    first, second = (night([(0, 0, 1.0, 1.0, k)] * 9, kinds=("buy", "view")) for k in (0, 1))
    renamed = replace(second, histograms=second.histograms | {"kinds": {"none": 0, "wish": 9}})
    bins = {moved.feature: moved.bins for moved in compare(first, renamed)}["kinds"]
    assert (bins["buy"], bins["wish"]) == ((9, 0), (0, 9))
