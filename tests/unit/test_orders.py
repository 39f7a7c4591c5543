"""Orders: which rows are one order, through the rows' checks, their gathering and a part of them."""

import numpy as np
import pyarrow as pa
import pytest

from recjobs.core.rows import interactions as rows_module
from recjobs.core.rows.gathering import RowCollector, RowPiece
from recjobs.core.rows.instants import NO_TIME
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.core.rows.orders import MINUTE, orders_of
from recjobs.core.rows.validation import check, order_keys
from recjobs.errors import DataRefused


def gathered(rows, *sizes, carried=None):
    """The interactions of rows (user_id, item_id, microseconds, order_id), collected in batches of these sizes."""
    collected, first = RowCollector(), 0
    if carried:
        collected.carry(RowPiece.of_interactions(*carried))
    for size in sizes or [len(rows)]:
        users, items, times, orders = zip(*rows[first : first + size], strict=True)
        columns = {"user_id": users, "item_id": items, "order_id": orders}
        columns = {name: pa.array(values, pa.string()) for name, values in columns.items()}
        columns["occurred_at"] = pa.array(times, pa.int64())
        checked = check(columns, "us", "UTC", 2**60, ())
        collected.add(RowPiece.of(checked, checked.reason < 0))
        first += size
    return collected.finish()


def groups(found, gap_minutes=None):
    """The sets of items of one order, each in order of item."""
    interactions, items = found.interactions, found.item_ids.to_pylist()
    order, result = orders_of(interactions, gap_minutes), {}
    for row, item in enumerate(interactions.item_idx.tolist()):
        result.setdefault(int(order[row]), []).append(items[item])
    assert sorted(result) == list(range(min(result), min(result) + len(result)))  # numbered without gaps
    return sorted("".join(sorted(goods)) for goods in result.values())


DAYS = 20_000 * DAY
NIGHT = [
    ("u", "a", DAYS, "1"),
    ("u", "b", DAYS, "1"),
    ("u", "c", DAYS, "2"),
    ("v", "d", DAYS, "1"),
    ("v", "e", DAYS + 5 * MINUTE, ""),
    ("v", "f", DAYS + 60 * MINUTE, None),
    ("v", "g", DAYS + DAY, " "),
]


@pytest.mark.parametrize("sizes", [(7,), (3, 4)])
def test_rows_of_one_user_and_id_are_one_order_and_the_rest_one_a_day(sizes):
    assert groups(gathered(NIGHT, *sizes)) == ["ab", "c", "d", "ef", "g"]


def test_a_visit_ends_before_a_pause():
    assert groups(gathered(NIGHT), 55) == ["ab", "c", "d", "e", "f", "g"]
    assert groups(gathered(NIGHT), 55.1) == ["ab", "c", "d", "ef", "g"]


def test_rows_of_two_orders_are_two_and_the_same_row_of_one_order_is_merged():
    again = [("u", "a", DAYS, "1"), ("u", "a", DAYS, "2"), ("u", "a", DAYS, "1")]
    found = gathered(again)
    assert (len(found.interactions), found.merged) == (2, 1)


def test_a_whole_number_names_the_order_that_its_digits_do_and_a_fraction_is_refused():
    texts, numbers = pa.array(["17", "", None, "18"]), pa.array([17, None, None, 18])
    assert order_keys(texts).tolist() == order_keys(numbers).tolist()
    assert (order_keys(texts) != 0).tolist() == [True, False, False, True]
    with pytest.raises(DataRefused, match="'order_id' has type double"):
        order_keys(pa.array([1.5]))


def test_an_order_is_the_same_one_in_the_next_night():
    first = gathered(NIGHT[:1])
    both = gathered(NIGHT[:2], carried=(first.interactions, first.user_ids, first.item_ids))
    assert (groups(both), both.merged, both.is_carried.sum()) == (["ab"], 1, 1)


def test_orders_stay_with_their_rows_in_files_and_parts():
    interactions = gathered(NIGHT).interactions
    again = Interactions.from_table(interactions.to_table())
    np.testing.assert_array_equal(again.order_key, interactions.order_key)
    part = interactions.where(interactions.user_idx == 1)
    assert part.joined(part).order_key.tolist() == [*part.order_key, *part.order_key]


@pytest.mark.parametrize("gap_minutes", [None, 90])
@pytest.mark.parametrize("ascending", [True, False])
def test_orders_are_the_same_however_many_rows_are_sorted_at_once(ascending, gap_minutes, monkeypatch):
    rng = np.random.default_rng(1)
    rows = [
        (f"u{rng.integers(9)}", f"i{k}", DAYS + int(rng.integers(3 * DAY)), rng.choice(["", "1"])) for k in range(200)
    ]
    found = gathered(rows).interactions
    found = found if ascending else found.where(rng.permutation(200))
    at_once = orders_of(found, gap_minutes)
    monkeypatch.setattr(rows_module, "BLOCK", 3)
    np.testing.assert_array_equal(orders_of(found, gap_minutes), at_once)
    of_user = found.user_idx[np.unique(at_once, return_index=True)[1]]
    assert (of_user[1:] >= of_user[:-1]).all()


def test_without_ids_nothing_is_stored_and_without_times_there_are_no_orders():
    rows = [("u", "a", NO_TIME), ("u", "b", NO_TIME)]
    collected = RowCollector()
    users, items, times = zip(*rows, strict=True)
    columns = {"user_id": pa.array(users), "item_id": pa.array(items), "occurred_at": pa.array(times, pa.int64())}
    checked = check(columns, "us", "UTC", 2**60, ())
    collected.add(RowPiece.of(checked, checked.reason < 0))
    interactions = collected.finish().interactions
    assert "order_key" not in interactions.to_table().column_names
    assert orders_of(interactions).tolist() == [-1, -1]
