"""What the rows, or a file, say about items."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recjobs.core.rows import stated_items
from recjobs.core.rows.items import ATTRIBUTES, OPTIONAL, of_file, table, untried
from recjobs.core.rows.stated_items import StatedItems
from recjobs.errors import DataRefused
from tests.unit.hostile import HOSTILE
from tests.unit.worlds import batches


def said(rows, *sizes, **raw):
    """What the rows say of each item, one dict a row of the items table."""
    found = StatedItems()
    for checked, sound, columns in batches(rows, *sizes, **raw):
        found.join(StatedItems.of(checked, sound, columns))
    item_ids = pa.array(sorted({row[1] for row in rows}, key=str.encode), pa.string())
    return {row.pop("item_id"): row for row in table(item_ids, found.attributes()).to_pylist()}


def test_an_item_has_its_most_frequent_title_and_of_equals_the_first_in_order():
    rows = [("u", "a", n) for n in range(3)] + [("u", "b", 0), ("u", "b", 1)]
    found = said(rows, 2, 3, title=pa.array(["Cup", "MUG", "Cup", "Zebra", "Ant"]))
    assert (found["a"]["title"], found["b"]["title"]) == ("Cup", "Ant")


def test_blank_titles_do_not_count_however_frequent():
    rows = [("u", "a", n) for n in range(4)] + [("u", "b", 1)]
    found = said(rows, title=pa.array(["", " ", None, "Cup", ""]))
    assert (found["a"]["title"], found["b"]["title"]) == ("Cup", None)


def test_the_latest_price_counts_unless_it_says_nothing():
    rows = [("u", "a", 5), ("u", "a", 9), ("u", "a", 7), ("u", "a", 10)]
    found = said(rows, 2, 2, price=pa.array([1.0, 3.0, 2.0, None]))
    assert found["a"]["price"] == 3.0


def test_values_of_several_types_are_read_as_text():
    found = StatedItems()
    for values, n in ((pa.array([2.5, 1.0]), 0), (pa.array(["3", ""]), 2), (pa.nulls(2), 4)):
        for checked, sound, columns in batches([("u", "a", n), ("u", "b", n + 1)], price=values):
            found.join(StatedItems.of(checked, sound, columns))
    prices = table(pa.array(["a", "b"]), found.attributes())["price"].to_pylist()
    assert prices == [3.0, 1.0]


def test_what_many_rows_say_is_what_all_of_them_say_at_once(monkeypatch):
    rng = np.random.default_rng(1)
    rows = [("u", f"i{n}", int(at)) for n, at in zip(rng.integers(0, 9, 300), rng.integers(0, 40, 300), strict=True)]
    titles = pa.array(rng.choice(["Cup", "MUG", "Zebra", " ", None], 300).tolist(), pa.string())
    prices = pa.array([None if at % 3 == 0 else float(n) for n, at in enumerate(rng.integers(0, 9, 300))])
    at_once = said(rows, title=titles, price=prices)
    monkeypatch.setattr(stated_items, "_MANY", 5)
    assert said(rows, *[7] * 42, 6, title=titles, price=prices) == at_once


def test_a_blank_price_in_text_says_nothing_either():
    assert said([("u", "a", 1), ("u", "a", 2)], price=pa.array(["2.50", " "]))["a"]["price"] == 2.5


@pytest.mark.parametrize(
    ("value", "price"),
    [("2.5", 2.5), (0.0, 0.0), (-1.0, None), (float("inf"), None), ("free", None), (7, 7.0)],
)
def test_a_price_is_a_number_from_zero_on_or_none(value, price):
    assert said([("u", "a", 1)], price=pa.array([value]))["a"]["price"] == price


@pytest.mark.parametrize(
    ("value", "categories"),
    [
        ("Kitchen", ["Kitchen"]),
        ("Kitchen| Table |", ["Kitchen", "Table"]),
        (["Kitchen", "A|B", "", None], ["Kitchen", "A|B"]),
        ("a\0b", ["ab"]),
        (12, ["12"]),
        (None, []),
    ],
)
def test_categories_are_a_list_or_parts_between_bars(value, categories):
    kind = pa.list_(pa.string()) if isinstance(value, list) else None
    assert said([("u", "a", 1)], categories=pa.array([value], kind))["a"]["categories"] == categories


def test_whole_numbers_stay_whole_beside_a_row_that_says_nothing():
    found = said([("u", "a", 1), ("u", "b", 1)], categories=pa.array([12, None]), available=pa.array([0, None]))
    assert found["a"]["categories"] == ["12"]
    assert (found["a"]["available"], found["b"]["available"]) == (False, True)


@pytest.mark.parametrize(
    ("value", "available"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        ("no", False),
        (1, True),
        (0, False),
        (0.0, False),
        (None, True),
    ],
)
def test_availability_is_yes_unless_somebody_says_no(value, available):
    assert said([("u", "a", 1)], available=pa.array([value]))["a"]["available"] is available


def test_without_any_attribute_every_item_is_there_and_available():
    found = said([("u", "b", 1), ("u", "a", 1)])
    assert list(found) == ["a", "b"]
    assert found["a"] == {"title": None, "categories": [], "price": None, "url": None, "image": None, "available": True}


def test_texts_of_an_item_lose_what_postgres_cannot_store():
    found = said([("u", "a", 1)], url=pa.array([" http://x/\0 "]), image=pa.array(["\0"]))
    assert (found["a"]["url"], found["a"]["image"]) == ("http://x/", None)


def file_of(**columns):
    return of_file(pa.table(columns))


def test_of_a_file_the_last_row_of_an_item_counts():
    found = table(pa.array(["a", "b"]), file_of(item_id=["b", "a", "b"], title=["old", "A", "new"]))
    assert found["title"].to_pylist() == ["A", "new"]


def test_a_file_says_nothing_of_items_it_does_not_know_and_its_own_are_left_out():
    found = table(pa.array(["a", "b"]), file_of(item_id=["z", "b", None], price=[1.0, 2.0, 3.0]))
    assert found["item_id"].to_pylist() == ["a", "b"]
    assert found["price"].to_pylist() == [None, 2.0]
    assert found.schema.names == ["item_id", *(name for name in ATTRIBUTES if name not in OPTIONAL)]


def test_item_ids_of_a_file_are_ids_like_any_other():
    numbered = table(pa.array(["7"]), file_of(item_id=pa.array([7]), title=["seven"]))
    assert numbered["title"].to_pylist() == ["seven"]
    assert table(pa.array(["007"]), file_of(item_id=["7"], title=["seven"]))["title"].to_pylist() == [None]
    with pytest.raises(DataRefused, match="item_id"):
        file_of(item_id=pa.array([7.0]), title=["seven"])


def test_hostile_ids_find_their_attributes():
    titles = [f"title {n}" for n in range(len(HOSTILE))]
    found = table(pa.array(HOSTILE), file_of(item_id=HOSTILE, title=titles))
    assert found["title"].to_pylist() == titles


def test_untried_are_available_items_of_a_file_that_nobody_took_and_something_is_said_of():
    ids = ["taken", "titled", "of a category", "silent", "blank", "sold out", "", "nul\0", "x" * 257]
    titles = ["T", "T", None, None, " ", "T", "T", "T", "T"]
    categories = ["C", None, "C", None, " | ", "C", "C", "C", "C"]
    available = ["yes", None, "yes", "yes", "yes", "no", "yes", "yes", "yes"]
    found = file_of(item_id=ids, title=titles, categories=categories, available=available)
    assert untried(pa.array(["taken"]), found).to_pylist() == ["titled", "of a category"]
    assert untried(pa.array(["taken"]), found[[]]).to_pylist() == []


def test_an_empty_frame_of_attributes_makes_an_empty_table():
    assert table(pa.array([], pa.string()), pd.DataFrame()).num_rows == 0
