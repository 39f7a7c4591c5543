"""The output contract: a sound batch passes, and each way to break it is named with the user whose list it is."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.lists.contract import Broken, World, check_ids, check_lists, check_other_lists
from recjobs.night import list_checks

ITEMS = pa.array(["a", "b", "c", "d", "e"])
USERS = pa.array(["u0", "u1", "u2"])
# e may not be shown; u0 has seen a, u2 has seen a to d and e
SEEN = np.array([0 * 5 + 0, 2 * 5 + 0, 2 * 5 + 1, 2 * 5 + 2, 2 * 5 + 3, 2 * 5 + 4])
WORLD = World(USERS, ITEMS, np.array([1, 1, 1, 1, 0], bool), SEEN, SEEN, stored=3)


def row(user, items, scores=None, n_model=None, n_category=0, reasons=None, because=None):
    scores = [1 - i / 10 for i in range(len(items))] if scores is None else scores
    n_model = len(items) if n_model is None else n_model
    return {
        "user_id": user,
        "item_ids": items,
        "scores": scores,
        "n_model": n_model,
        "n_category": n_category,
        "reasons": reasons,
        "because": because,
    }


SHAPE = pa.schema(
    {
        "user_id": pa.string(),
        "item_ids": pa.list_(pa.string()),
        "scores": pa.list_(pa.float32()),
        "n_model": pa.int16(),
        "n_category": pa.int16(),
        "reasons": pa.list_(pa.string()),
        "because": pa.list_(pa.int32()),
    }
)
GOOD = [row("u0", ["b", "c", "d"]), row("u1", ["a", "d", "b"]), row("u2", [])]


def broken_by(*rows, world=WORLD):
    found = Broken()
    users = check_lists(pa.Table.from_pylist(list(rows), SHAPE), world, found)
    return found, users.tolist()


PAIR = 1 | 2 << 10


def test_reasons_are_distinct_items_of_the_users_history_and_their_places_are_among_them():
    world = World(USERS, ITEMS, WORLD.eligible, np.zeros(0, int), SEEN, stored=3)
    listed = ["b", "c", "a"]
    sound = row("u2", listed, reasons=["a", "d"], because=[PAIR, 2, 0])
    assert broken_by(sound, world=world)[0].counts == {}
    for wrong, check in (
        (row("u0", listed, reasons=["a", "d"], because=[PAIR, 2, 0]), "foreign_reason"),
        (row("u2", listed, reasons=["a", "z"], because=[PAIR, 2, 0]), "foreign_reason"),
        (row("u2", listed, reasons=["a", None], because=[PAIR, 2, 0]), "foreign_reason"),
        (row("u2", listed, reasons=["a", "a"], because=[PAIR, 2, 0]), "duplicate_reason"),
        (row("u2", listed, reasons=["a", "d"], because=[PAIR, 2]), "as_many_becauses_as_items"),
        (row("u2", listed, reasons=["a", "d"], because=None), "as_many_becauses_as_items"),
        (row("u2", listed, reasons=None, because=[0, 0, 0]), "as_many_becauses_as_items"),
        (row("u2", listed, reasons=["a", "d"], because=[PAIR, 3, 0]), "reason_out_of_place"),
        (row("u2", listed, reasons=["a", "d"], because=[3 << 20, 2, 0]), "reason_out_of_place"),
        (row("u2", listed, reasons=["a", "d"], because=[-1, 2, 0]), "reason_out_of_place"),
        (row("u2", listed, n_model=1, reasons=["a", "d"], because=[PAIR, 2, 0]), "reason_without_model"),
    ):
        found, _ = broken_by(row("u1", listed), wrong, world=world)
        assert found.counts == {check: 1}
        assert found.users == {check: [wrong["user_id"]]}


def test_sound_lists_break_nothing():
    found, users = broken_by(*GOOD)
    assert found.counts == {}
    assert users == [0, 1, 2]


@pytest.mark.parametrize(
    ("wrong", "checks"),
    [
        (row("u1", ["a", "b"]), {"wrong_length"}),
        (row("u1", ["a", "b", "c", "d"]), {"wrong_length"}),
        (row("u1", []), {"wrong_length"}),
        (row("u1", ["a", "b", "b"]), {"duplicate_item"}),
        (row("u1", ["a", "b", "z"]), {"unknown_item"}),
        (row("u1", ["a", "b", None]), {"missing_item"}),
        (row("u1", ["a", "b", "e"]), {"ineligible_item"}),
        (row("u0", ["a", "b", "c"]), {"seen_item"}),
        (row("u1", ["a", "b", "c"], [3, float("nan"), 1]), {"score_not_finite"}),
        (row("u1", ["a", "b", "c"], [float("inf"), 2, 1]), {"score_not_finite"}),
        (row("u1", ["a", "b", "c"], [3, None, 1]), {"score_not_finite"}),
        (row("u1", ["a", "b", "c"], [3, 2, -3.4e38]), {"score_absurd"}),
        (row("u1", ["a", "b", "c"], [3, 1, 2]), {"rising_score"}),
        (row("u1", ["a", "b", "c"], [3, 2]), {"as_many_scores_as_items"}),
        (row("stranger", ["a", "b", "c"]), {"unknown_user"}),
        (row("u1", ["a", "a", "z"], [1, 2, 3]), {"duplicate_item", "unknown_item", "rising_score"}),
    ],
)
def test_each_broken_list_is_named_with_its_user(wrong, checks):
    found, _ = broken_by(*[good for good in GOOD if good["user_id"] != wrong["user_id"]], wrong)
    assert set(found.counts) == checks
    for check in checks:
        assert found.counts[check] == 1
        assert found.users[check] == [wrong["user_id"]]


def test_an_unknown_user_has_no_number():
    assert broken_by(GOOD[1], row("stranger", ["a", "b", "c"]))[1] == [1, -1]


def test_scores_may_rise_from_the_model_to_the_popular_list_but_not_within_one():
    rungs = {"n_model": 1, "n_category": 1}
    assert broken_by(row("u1", ["a", "b", "c"], [0.1, 5.0, 900.0], **rungs))[0].counts == {}
    assert broken_by(row("u1", ["a", "b", "c"], [0.1, 5.0, 900.0], n_model=1))[0].counts == {"rising_score": 1}


def test_where_seen_items_may_be_shown_again_lists_are_as_long_as_the_catalogue():
    again = World(USERS, ITEMS, WORLD.eligible, None, SEEN, stored=9)
    assert broken_by(row("u0", ["a", "b", "c", "d"]), world=again)[0].counts == {}
    assert broken_by(row("u0", ["b", "c", "d"]), world=again)[0].counts == {"wrong_length": 1}


def test_a_seen_item_that_is_not_eligible_shortens_no_list():
    seen = World(USERS, ITEMS, WORLD.eligible, np.array([1 * 5 + 4]), SEEN, stored=9)
    assert broken_by(row("u1", ["a", "b", "c", "d"]), world=seen)[0].counts == {}


def test_one_chunk_after_another_counts_together_and_ten_users_are_shown():
    users = pa.array([f"u{n:02d}" for n in range(30)])
    world = World(users, ITEMS, WORLD.eligible, None, SEEN, stored=3)
    found = Broken()
    for first in (0, 15):
        chunk = [row(f"u{n:02d}", ["a"]) for n in range(first, first + 15)]
        check_lists(pa.Table.from_pylist(chunk, SHAPE), world, found)
    assert found.counts == {"wrong_length": 30}
    assert found.users["wrong_length"] == [f"u{n:02d}" for n in range(10)]


@given(st.data())
def test_a_list_that_is_right_passes_and_with_one_item_swapped_for_a_seen_one_does_not(data):
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=5, max_size=5)))
    gone = data.draw(st.sets(st.integers(0, 4)))
    user = data.draw(st.integers(0, 2))
    stored = data.draw(st.integers(1, 6))
    pairs = np.array(sorted(user * 5 + item for item in gone), int)
    world = World(USERS, ITEMS, eligible, pairs, pairs, stored)
    allowed = [i for i in data.draw(st.permutations(range(5))) if eligible[i] and i not in gone][:stored]
    assert broken_by(row(f"u{user}", [ITEMS[i].as_py() for i in allowed]), world=world)[0].counts == {}
    if allowed and gone:
        swapped = [ITEMS[i].as_py() for i in [*allowed[:-1], min(gone)]]
        assert "seen_item" in broken_by(row(f"u{user}", swapped), world=world)[0].counts


def others(named, *rows):
    kinds = {named: pa.string(), "item_ids": pa.list_(pa.string()), "scores": pa.list_(pa.float32())}
    found = Broken()
    table = pa.Table.from_pylist([dict(zip(kinds, one, strict=True)) for one in rows], pa.schema(kinds))
    check_other_lists(table, named, WORLD, found, eligible_only=True)
    return found.counts


@pytest.mark.parametrize(
    ("rows", "checks"),
    [
        ([("a", ["b", "c"], [2, 1]), ("b", [], [])], {}),
        ([("a", ["a", "c"], [2, 1])], {"item_list_with_itself": 1}),
        ([("a", ["z"], [2]), ("b", ["e"], [2])], {"item_list_unknown_item": 2}),
        ([("a", ["b", "c"], [1, 2])], {"item_list_rising_score": 1}),
        ([("a", ["b"], [float("nan")])], {"item_list_bad_score": 1}),
        ([("a", ["b", "c"], [1])], {"item_list_without_scores": 1}),
    ],
)
def test_lists_of_similar_items_are_held_against_the_contract_too(rows, checks):
    assert others("item_id", *rows) == checks


def test_a_popular_list_may_not_show_what_is_not_eligible():
    assert others("segment", ("all", ["a", "e"], [2, 1])) == {"segment_list_unknown_item": 1}


def test_a_table_has_exactly_the_ids_of_the_night():
    found = Broken()
    check_ids(ITEMS, ITEMS, "items_differ", found)
    assert found.counts == {}
    check_ids(pa.array(["a", "b", "c", "d", "x"]), ITEMS, "items_differ", found)
    assert (found.counts, found.users) == ({"items_differ": 1}, {"items_differ": ["x"]})
    check_ids(pa.array([], pa.string()), ITEMS, "history_differs", found)
    assert found.counts["history_differs"] == 5


@given(st.lists(st.integers(0, 30)), st.booleans())
def test_the_pairs_of_a_night_are_each_once_and_in_order(pairs, is_sorted):
    given_pairs = np.array(sorted(pairs) if is_sorted else pairs, np.int64)
    kept = given_pairs.copy()
    assert list_checks._sorted(given_pairs).tolist() == sorted(set(pairs))
    assert given_pairs.tolist() == kept.tolist(), "the rows themselves stay"


def test_what_is_found_in_two_chunks_is_counted_together_and_shows_ten_users():
    first, second = Broken(), Broken()
    first.note("seen_item", pa.array([f"a{n}" for n in range(8)]), np.ones(8, bool))
    second.note("seen_item", pa.array([f"b{n}" for n in range(8)]), np.ones(8, bool))
    second.note("missing_item", pa.array(["c"]), np.ones(1, bool))
    first.join(second)
    assert first.counts == {"seen_item": 16, "missing_item": 1}
    assert first.users == {"seen_item": [*(f"a{n}" for n in range(8)), "b0", "b1"], "missing_item": ["c"]}
