"""Values of attributes and ids that are hardly what was meant: named with examples, never taken for a yes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recjobs.core.rows import attribute_values, strange_ids
from recjobs.core.rows.fit import fit
from recjobs.core.rows.items import of_known, table


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        *((word, True) for word in ("In Stock", "in_stock", "YES", " y ", "https://schema.org/InStock", 12, "3", 0.5)),
        *((word, False) for word in ("Out of Stock", "sold out", "discontinued", "no", 0, "0.0", -1, "nein")),
        *((word, None) for word in ("maybe", "???", "Q3", "nan", "ask us", "inf")),
    ],
)
def test_availability_is_known_or_not_understood_and_then_unavailable(value, meaning):
    assert attribute_values.available(value) is meaning
    items = table(pa.array(["a"]), pd.DataFrame({"available": [value]}, index=["a"], dtype=object))
    assert items["available"].to_pylist() == [bool(meaning)]


@pytest.mark.parametrize(
    "wrong",
    [
        ["1,00", "2,50", "1.234,5"],
        ["$12.99", "12.50 EUR", "€3"],
        ["free", "-1", "inf"],
        ["1 234.50", "12.99-15.99", "CHF 7"],
    ],
)
def test_prices_that_are_no_numbers_are_counted_and_shown(wrong):
    frame = pd.DataFrame({"price": [*wrong, "2.5", None, " ", float("nan"), 7], "title": "x"}, dtype=object)
    [misread] = attribute_values.misread(frame)
    assert (misread.name, misread.n, misread.of) == ("price", 3, 5)
    assert misread.examples == tuple(map(repr, wrong))


def test_words_for_availability_are_counted_and_what_is_missing_is_not():
    frame = pd.DataFrame({"available": ["yes", "perhaps", "perhaps", None, "", 1, False]}, dtype=object)
    [misread] = attribute_values.misread(frame)
    assert (misread.name, misread.n, misread.of, misread.examples) == ("available", 2, 5, ("'perhaps'",))
    assert attribute_values.misread(frame[:1]) == []


@pytest.mark.parametrize(
    ("values", "sign"),
    [
        (["Home > Light", "Home > Sofa", "Home"], ">"),
        (["Home, Light", "Home, Sofa", None], ","),
        (["Home;Light", "Sofa"], ";"),
        (["Home|Light", "Home > Sofa"], None),
        (["Home", "Light", "Bed, Bath"], None),
        (['["Home", "Light"]'], None),
        ([["Home, Light"]], None),
        ([None, ""], None),
    ],
)
def test_categories_that_seem_to_be_several_are_named_with_the_sign_between_them(values, sign):
    found = attribute_values.unsplit_categories(values, "|")
    assert (found and found[0]) == sign
    if found:
        assert attribute_values.unsplit_categories(values, sign) is None
        items = table(pa.array(["a"]), pd.DataFrame({"categories": values[:1]}, index=["a"]), sign)
        assert items["categories"].to_pylist()[0][0] == "Home"


# --- how places fit


def of(ids, place, rows=None):
    return fit(pa.array(ids, pa.string()), np.array(rows or [1] * len(ids)), pa.array(place, pa.string()))


IDS = [f"{n:03}" for n in range(100)]
WRITINGS = {
    "`.0`": lambda one: f"{one}.0",
    "leading zeros": lambda one: str(int(one)),
    "blanks": lambda one: f"{one}  ",
    "letters before": lambda one: f"gid://shop/Product/{one}",
}


@pytest.mark.parametrize("cause", WRITINGS)
@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_ids_in_another_writing_are_found_with_their_cause_however_many_fit(cause, share):
    place = [one if n < share else WRITINGS[cause](one) for n, one in enumerate(IDS)]
    found = of(IDS, place)
    assert (found.share, found.n_known, found.n_without) == (share / 100, share, 100 - share)
    assert cause in found.cause
    assert (found.example, found.example_there) == (IDS[share], WRITINGS[cause](IDS[share]))
    back = of(place, IDS)
    assert (back.share, back.cause) == (found.share, found.cause)


def test_capital_letters_are_a_cause_and_no_likeness_is_none():
    assert "capital" in of(["SKU-1"], ["sku-1"]).cause
    stranger = of(["a", "b"], ["x"], rows=[1, 3])
    assert (stranger.share, stranger.example, stranger.example_there, stranger.cause) == (0, "b", "x", None)


def test_the_share_is_that_of_interactions_and_all_is_well_where_all_are_known():
    assert of(["a", "b"], ["a"], rows=[9, 1]).share == 0.9
    assert of(["a", "b"], ["a"], rows=[9, 0]).example is None
    well = of(["a"], ["a", "b"])
    assert (well.share, well.n_of_place, well.n_without, well.example, well.cause) == (1, 2, 1, None, None)
    assert of([], ["a"]).share == 1
    assert of(["a"], []).share == 0


def test_items_that_a_feed_does_not_have_are_unavailable_and_keep_what_is_known_of_them():
    before = pd.DataFrame({"title": ["A", "B"], "available": [True, None]}, index=["a", "b"], dtype=object)
    ids = pa.array(["a", "b", "c"])
    items = table(ids, of_known(before, ids, pa.array(["b"])))
    assert items["available"].to_pylist() == [False, True, False]
    assert items["title"].to_pylist() == ["A", "B", None]


# --- ids


@pytest.mark.parametrize("word", ["nan", "None", "NULL", "n/a", "anonymous", "Guest", " null ", "(not set)", "-"])
def test_ids_that_mean_nobody_are_found_with_their_rows(word):
    ids = pa.array(["u1", word, "nancy", "noneson", "u-"])
    assert strange_ids.nobody(ids, np.array([5, 3, 5, 5, 5])) == {word: 3}
    assert strange_ids.nobody(ids, np.array([5, 0, 5, 5, 5])) == {}


@pytest.mark.parametrize("zero", ["0", "-1", "0.0", "00000000-0000-0000-0000-000000000000"])
def test_zero_means_nobody_only_if_it_has_many_rows(zero):
    ids = pa.array([zero, "1", "2", "3"])
    assert strange_ids.nobody(ids, np.array([60, 22, 20, 22])) == {zero: 60}
    assert strange_ids.nobody(ids, np.array([30, 22, 20, 22])) == {}


def crowd(n, each=20):
    return [f"u{k}" for k in range(n)], [each] * n


@pytest.mark.parametrize("word", ["guest-checkout", "Gast", "walk-in customer", "anonymous@example.com", "99999"])
def test_a_guest_with_a_thousandth_of_all_rows_is_found(word):
    ids, rows = crowd(1000)
    assert strange_ids.nobody(pa.array([*ids, word]), np.array([*rows, 41])) == {word: 41}
    assert strange_ids.nobody(pa.array([*ids, word]), np.array([*rows, 19])) == {}
    assert strange_ids.nobody(pa.array([*ids, word]), np.array([*rows, 41]), people=False) == {}


def test_one_user_far_ahead_of_all_others_may_be_nobody():
    ids, rows = crowd(1000)
    assert strange_ids.far_ahead(pa.array([*ids, "c-17"]), np.array([*rows, 1001])) == {"c-17": 1001}
    assert strange_ids.far_ahead(pa.array([*ids, "c-17", "c-18"]), np.array([*rows, 1001, 600])) == {}
    assert strange_ids.far_ahead(pa.array([*ids, "c-17"]), np.array([*rows, 999])) == {}
    assert strange_ids.far_ahead(pa.array(["u", "v"]), np.array([5000, 0])) == {}


@pytest.mark.parametrize("user", ["agastya", "august", "guesthouse-bern"])
def test_a_name_is_no_guest_unless_it_has_many_rows(user):
    ids, rows = crowd(1000)
    assert strange_ids.nobody(pa.array([*ids, user]), np.array([*rows, 22])) == {}


@pytest.mark.parametrize(
    ("one", "is_rounded"),
    [
        ("1.23457E+11", True),
        ("1,23457E+11", True),
        ("5E+12", True),
        ("1E5", False),
        ("E+1", False),
        ("SKU-1E+2", False),
    ],
)
def test_ids_that_a_spreadsheet_rounded_are_known_by_their_look(one, is_rounded):
    assert strange_ids.rounded(pa.array([one, "u"]), np.array([4, 1])) == ({one: 4} if is_rounded else {})
