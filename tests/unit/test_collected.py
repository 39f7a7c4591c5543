"""Rows gathered: ids numbered, rows ordered, duplicates merged, bots set aside, an earlier night carried."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.rows.accepted_rows import AcceptedRows, BotLimits
from recjobs.core.rows.gathering import RowCollector, RowPiece
from recjobs.core.rows.range_rows import RangeRows
from recjobs.core.rows.user_ranges import UserRanges
from recjobs.core.rows.validation import encoded_ids
from tests.unit.hostile import HOSTILE
from tests.unit.worlds import batches


def collected(rows, *sizes):
    """Collect rows of (user_id, item_id, time[, weight[, kind]]) in batches of these sizes."""
    result = RowCollector()
    for checked, sound, _ in batches(rows, *sizes):
        result.add(RowPiece.of(checked, sound))
    return result


NO_LIMITS = BotLimits(1.0, 1.0, 1 << 60)


def accepted(collecting, limits=NO_LIMITS):
    """The rows of one range of users as those of a night."""
    return AcceptedRows.of([RangeRows.held(collecting.finish(), 0, limits.min_interactions)], limits)


def test_ids_are_numbered_in_byte_order_and_nfc_and_nfd_stay_apart():
    rows = [("u", identifier, n) for n, identifier in enumerate(HOSTILE)]
    found = collected(rows, 10, len(rows) - 10).finish()
    assert found.item_ids.to_pylist() == sorted(HOSTILE, key=str.encode)
    assert (found.user_ids.to_pylist(), found.merged, len(found.interactions)) == (["u"], 0, len(HOSTILE))
    # the time of each row was its place in the list
    assert [HOSTILE[at] for at in found.interactions.occurred_at] == found.item_ids.to_pylist()


def same(first, again):
    for name in ("user_idx", "item_idx", "occurred_at", "weight", "kind"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_the_order_of_the_rows_does_not_matter():
    rows = [("b", "x", 3), ("a", "y", 2, 2.0), ("a", "y", 2, 1.0), ("a", "x", 9), ("b", "x", 1, 1.0, "view")]
    first, again = collected(rows).finish().interactions, collected(rows[::-1], 2, 3).finish().interactions
    same(first, again)
    assert first.user_idx.tolist() == [0, 0, 0, 1, 1]
    assert first.occurred_at.tolist() == [9, 2, 2, 1, 3]


EQUAL_BUT_ONE = [
    ("u", "i", 1, 1.0, "view"),
    ("u", "i", 1, 1.0, "view"),
    ("u", "i", 1, 1.0, "buy"),
    ("u", "i", 1, 2.0, "view"),
    ("u", "i", 2, 1.0, "view"),
    ("u", "j", 1, 1.0, "view"),
    ("v", "i", 1, 1.0, "view"),
]


def test_only_rows_equal_in_everything_are_merged():
    found = collected(EQUAL_BUT_ONE, 1, 6).finish()
    assert (len(found.interactions), found.merged) == (6, 1)
    assert found.interactions.kinds == ("buy", "view")


@pytest.mark.parametrize("step", [1, 1_000_000, 10**17])
def test_rows_come_in_one_order_whether_their_keys_fit_into_64_bits_or_not(step):
    rng = np.random.default_rng(3)
    rows = [
        (f"u{u}", f"i{i}", int(t) * step, float(w), k)
        for u, i, t, w, k in zip(
            rng.integers(9, size=500),
            rng.integers(9, size=500),
            rng.integers(4, size=500),
            rng.integers(1, 3, size=500),
            rng.choice(["buy", "view"], 500),
            strict=True,
        )
    ]
    found = collected(rows, 200, 300).finish().interactions
    expected = sorted(set(rows), key=lambda row: (row[0], row[1], row[2], row[3], row[4]))
    assert list(zip(found.user_idx.tolist(), found.item_idx.tolist(), found.occurred_at.tolist(), strict=True)) == [
        (int(u[1:]), int(i[1:]), t) for u, i, t, _, _ in expected
    ]
    assert [(w, found.kinds[k]) for w, k in zip(found.weight.tolist(), found.kind.tolist(), strict=True)] == [
        (w, k) for _, _, _, w, k in expected
    ]


def test_the_ids_of_rows_that_were_left_out_are_not_numbered():
    collecting = RowCollector()
    for checked, sound, _ in batches([("a", "x", 1), ("bad", "y", 2), ("c", "x", 3)]):
        encoded = replace(checked, user_id=encoded_ids(checked.user_id, "u"), item_id=encoded_ids(checked.item_id, "i"))
        collecting.add(RowPiece.of(encoded, sound & np.array([True, False, True])))
    found = collecting.finish()
    assert (found.user_ids.to_pylist(), found.item_ids.to_pylist()) == (["a", "c"], ["x"])
    assert found.interactions.user_idx.tolist() == [0, 1]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.int64()])
def test_ids_may_be_encoded_by_indices_of_any_size_and_by_entries_that_no_row_has(kind):
    collecting = RowCollector()
    for users, entries in (([0, 1, 0], ["a", "b"]), ([2, 2, 0], ["c", "nobody", "a"])):
        [(checked, sound, _)] = batches([(str(user), "x", n) for n, user in enumerate(users)])
        ids = pa.DictionaryArray.from_arrays(pa.array(users, kind), pa.array(entries))
        encoded = replace(checked, user_id=ids, item_id=encoded_ids(checked.item_id, "i"))
        collecting.add(RowPiece.of(encoded, sound))
    found = collecting.finish()
    assert found.user_ids.to_pylist() == ["a", "b", "c"]
    assert found.interactions.user_idx.tolist() == [0, 0, 0, 1, 2]


def test_nothing_at_all_is_no_interactions_and_no_ids():
    found = RowCollector().finish()
    assert (len(found.interactions), len(found.user_ids), len(found.item_ids), found.merged) == (0, 0, 0, 0)


def test_users_without_a_row_are_numbered_too():
    collecting = collected([("b", "x", 1)])
    collecting.know_users(pa.array(["c", "a", "b"]))
    found = collecting.finish()
    assert found.user_ids.to_pylist() == ["a", "b", "c"]
    assert (found.interactions.user_idx.tolist(), found.interactions.n_users) == ([1], 3)


def test_an_earlier_night_is_carried_and_its_rows_are_not_counted_twice():
    before = collected(EQUAL_BUT_ONE[:4]).finish()
    night = RowCollector()
    night.carry(RowPiece.of_interactions(before.interactions, before.user_ids, before.item_ids))
    for checked, sound, _ in batches([*EQUAL_BUT_ONE[3:], ("a", "k", 5, 1.0, "wish")]):
        night.add(RowPiece.of(checked, sound))
    found, whole = night.finish(), collected([*EQUAL_BUT_ONE, ("a", "k", 5, 1.0, "wish")]).finish()
    same(found.interactions, whole.interactions)
    assert found.interactions.kinds == whole.interactions.kinds
    assert found.user_ids == whole.user_ids
    assert (found.is_carried.sum(), found.merged, len(found.interactions)) == (3, 1, 7)


BUSY = [("bot", f"i{n % 50:02}", n) for n in range(200)]
PEOPLE = [(f"u{n % 40:02}", f"i{n % 30:02}", n) for n in range(400)]


def test_a_user_with_more_than_a_person_can_is_set_aside_with_the_items_only_they_took():
    found = accepted(collected(BUSY + PEOPLE, 300, 300), BotLimits(0.2, 0.9, 100))
    alone = collected(PEOPLE).finish()
    same(found.interactions.whole(), alone.interactions)
    assert (found.user_ids, found.item_ids) == (alone.user_ids, alone.item_ids)
    assert (found.bots, found.set_aside, found.merged) == (["bot"], 200, 0)


@pytest.mark.parametrize(
    ("bots", "names"),
    [
        (BotLimits(0.2, 1.0, 100), ["bot"]),  # of all interactions
        (BotLimits(1.0, 0.9, 100), ["bot"]),  # of all items
        (BotLimits(0.4, 1.0, 100), []),
        (BotLimits(0.0, 0.0, 201), []),  # too few to be a bot, whatever the share
    ],
)
def test_a_bot_is_one_by_its_share_of_rows_or_of_items(bots, names):
    assert accepted(collected(BUSY + PEOPLE), bots).bots == names


def test_carried_rows_of_a_bot_are_neither_carried_nor_tonights():
    before = collected(BUSY[:120] + PEOPLE[:30]).finish()
    night = RowCollector()
    night.carry(RowPiece.of_interactions(before.interactions, before.user_ids, before.item_ids))
    for checked, sound, _ in batches(BUSY[120:] + PEOPLE[30:]):
        night.add(RowPiece.of(checked, sound))
    found = accepted(night, BotLimits(0.2, 0.9, 100))
    assert (found.bots, found.set_aside, found.carried, found.n_rows) == (["bot"], 80, 30, 400)


def test_items_that_nobody_took_find_their_place_among_the_others():
    found = accepted(collected([("u", "b", 1), ("u", "\u00e9", 2), ("v", "b", 3)]))
    more = found.with_items(pa.array(["a", "z", "e\u0301"]))
    assert more.item_ids.to_pylist() == ["a", "b", "e\u0301", "z", "\u00e9"]
    assert (more.interactions.whole().item_idx.tolist(), more.interactions.n_items) == ([1, 4, 1], 5)
    assert found.with_items(pa.array([], pa.string())) is found


def test_an_earlier_nights_items_that_nobody_took_are_not_carried():
    before = collected([("u", "b", 1), ("v", "d", 2)]).finish()
    item_ids = pa.array(["a", "b", "c", "d"])
    rows = replace(before.interactions, item_idx=np.array([1, 3], np.int32), n_items=4)
    tonight = RowCollector()
    tonight.carry(RowPiece.of_interactions(rows, before.user_ids, item_ids))
    assert tonight.finish().item_ids.to_pylist() == ["b", "d"]


def ranged(rows, begins, sizes, night, limits=NO_LIMITS, sums=False):
    """Rows gathered by ranges of users, an earlier night's carried."""
    ranges = UserRanges(pa.array([text.encode() for text in begins], pa.binary()))
    collecting = [RowCollector() for _ in range(len(ranges))]
    for number, piece in enumerate(ranges.split(night) if len(night) else []):
        if piece is not None:
            collecting[number].carry(piece)
    for checked, sound, _ in batches(rows, *sizes):
        for number, piece in enumerate(ranges.split(RowPiece.of(checked, sound))):
            if piece is not None:
                collecting[number].add(piece)
    return AcceptedRows.of(
        [RangeRows.held(one.finish(sums=sums), 0, limits.min_interactions) for one in collecting], limits
    )


SOME_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "b\u0301", "\u00e9", "\U0001f642", "7", "70", "\uffff"]),
        st.sampled_from(["x", "y", "\u00e9", "z"]),
        st.integers(0, 3),
        st.sampled_from([1.0, 2.0]),
        st.sampled_from([None, "view", "buy"]),
    ),
    max_size=40,
)


@given(
    SOME_ROWS,
    SOME_ROWS,
    st.sets(st.sampled_from(["", "0", "70", "a", "b", "c", "\u00e9", "\U0001f642", "\U0001f643"])),
    st.booleans(),
    st.sampled_from([NO_LIMITS, BotLimits(0.3, 1.0, 5), BotLimits(1.0, 0.5, 4)]),
)
def test_rows_do_not_depend_on_ranges(rows, earlier, begins, sums, limits):
    before = collected(earlier).finish()
    carried = RowPiece.of_interactions(before.interactions, before.user_ids, before.item_ids)
    sizes = [len(rows) // 3, len(rows) - len(rows) // 3]
    one, several = (ranged(rows, some, sizes, carried, limits, sums) for some in ([], sorted(begins, key=str.encode)))
    same(several.interactions.whole(), one.interactions.whole())
    assert several.interactions.whole().kinds == one.interactions.whole().kinds
    for name in ("user_ids", "item_ids", "n_rows", "merged", "carried", "set_aside", "bots"):
        assert getattr(several, name) == getattr(one, name), name


@given(SOME_ROWS, st.integers(0, 12))
def test_a_user_is_in_one_range_and_ranges_ascend(rows, n):
    ids = pa.array([row[0] for row in rows], pa.string())
    ranges = UserRanges(pc.unique(ids.cast(pa.binary()).take(pc.sort_indices(ids.cast(pa.binary())))).slice(0, n))
    place = ranges.of(ids)
    expected = [sum(begin <= row[0].encode() for begin in ranges.begins.to_pylist()) for row in rows]
    assert place.tolist() == expected


def test_ranges_of_a_sample_have_about_as_many_rows_each():
    ids = pa.array([f"{number:05}" for number in np.random.default_rng(0).integers(0, 5000, 40_000)])
    ranges = UserRanges.of_sample(ids, 64 << 20)
    counts = np.bincount(ranges.of(ids), minlength=len(ranges))
    assert len(ranges) == 16
    assert counts.max() < 1.2 * counts.mean()
    assert len(UserRanges.of_sample(ids, 1000)) == len(UserRanges.of_sample(ids.slice(0, 0), 64 << 20)) == 1
