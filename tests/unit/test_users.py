"""What a source of their own says about users."""

import pyarrow as pa

from recjobs.core.rows.users import sound, table


def test_each_user_of_the_night_has_a_segment_or_none_and_the_categories_they_prefer():
    said = pa.table({"user_id": ["b", "a", "z"], "segment": [" new ", "", "x"], "prefers": ["toys| books|", None, ""]})
    assert table(pa.array(["a", "b", "c"]), sound(said)).to_pylist() == [
        {"user_id": "a", "segment": None, "prefers": []},
        {"user_id": "b", "segment": "new", "prefers": ["toys", "books"]},
        {"user_id": "c", "segment": None, "prefers": []},
    ]


def test_without_a_source_nobody_has_a_segment():
    assert table(pa.array(["a"]), None).to_pylist() == [{"user_id": "a", "segment": None, "prefers": []}]


def test_of_several_rows_for_one_user_the_last_counts_and_ids_that_cannot_be_are_left_out():
    said = pa.table({"user_id": ["a", "", None, "n\0l", "u" * 257, "a"], "segment": list("123456")})
    assert sound(said).to_pylist() == [{"user_id": "a", "segment": "6"}]


def test_numbers_are_ids_too():
    assert sound(pa.table({"user_id": [7, 12]}))["user_id"].to_pylist() == ["7", "12"]
