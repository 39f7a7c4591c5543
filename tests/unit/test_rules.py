"""Rules on raw columns: each operator, and what an empty value meets."""

from math import inf

import pyarrow as pa
import pytest

from recjobs.catalog.sources import RowFilter
from recjobs.core.rows.row_filter import as_numbers, meets
from recjobs.errors import DataRefused

TEXTS = ["C536", "c1", "536", "", "  ", None]


def met(values, **condition):
    found = meets(values if isinstance(values, pa.Array) else pa.array(values), RowFilter(column="x", **condition))
    assert found.null_count == 0
    return found.to_pylist()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"is_empty": True}, [0, 0, 0, 1, 1, 1]),
        ({"matches": "^[Cc]"}, [1, 1, 0, 0, 0, 0]),
        ({"not_matches": "^[Cc]"}, [0, 0, 1, 1, 1, 0]),
        ({"equals": "536"}, [0, 0, 1, 0, 0, 0]),
        ({"equals": ""}, [0, 0, 0, 1, 0, 0]),
        ({"at_least": 536}, [0, 0, 1, 0, 0, 0]),
        ({"at_most": 536}, [0, 0, 1, 0, 0, 0]),
        ({"at_most": 535}, [0, 0, 0, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_each_operator_on_text(condition, expected, kind):
    assert met(pa.array(TEXTS, kind), **condition) == [bool(e) for e in expected]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"is_empty": True}, [0, 0, 0, 1]),
        ({"equals": "7"}, [0, 1, 0, 0]),
        ({"matches": "^1"}, [0, 0, 1, 0]),
        ({"at_most": 7}, [1, 1, 0, 0]),
        ({"at_least": 7}, [0, 1, 1, 0]),
        ({"at_least": 0}, [0, 1, 1, 0]),
    ],
)
def test_each_operator_on_integers(condition, expected):
    assert met([-3, 7, 10, None], **condition) == [bool(e) for e in expected]


def test_a_bound_on_fractions_includes_the_bound():
    assert met([0.5, 0.4999, float("nan"), None], at_least=0.5) == [True, False, False, False]


def test_booleans_compare_as_text_and_as_numbers():
    assert met([True, False], equals="true") == [True, False]
    assert met([True, False], at_least=1) == [True, False]


def test_a_pattern_may_match_anywhere_and_minds_the_case():
    assert met(["xPOSTx", "post"], matches="POST") == [True, False]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        (" 2.5 ", 2.5),
        ("1e3", 1000.0),
        ("-0", 0.0),
        ("", None),
        ("1,5", None),
        ("abc", None),
        ("0x10", None),
    ],
)
def test_text_is_read_as_a_number_or_as_none(text, number):
    assert as_numbers(pa.array([text]), "x").to_pylist() == [number]


@pytest.mark.parametrize("other", ["3", " 3", "none"])
def test_a_number_is_the_same_whatever_stands_in_the_other_rows(other):
    texts = ["1e400", "4.9e-324", "-.5", "00012", "nan", "0.1", "9007199254740993"]
    numbers = [inf, 5e-324, -0.5, 12.0, None, 0.1, 9007199254740992.0]
    assert as_numbers(pa.array([*texts, other]), "x").to_pylist()[:-1] == numbers


def test_integers_too_long_for_a_float_are_rounded_not_refused():
    assert as_numbers(pa.array([2**62 + 1]), "x").to_pylist() == [float(2**62)]


def test_text_of_whole_numbers_beyond_two_to_the_53_is_compared_as_its_nearest_number():
    assert as_numbers(pa.array(["2053013555631882655", "7"]), "x").to_pylist() == [2053013555631882655.0, 7.0]
    assert as_numbers(pa.array([str(2**64 + 1), str(2**70), "x"]), "x").to_pylist() == [2.0**64, 2.0**70, None]


def test_a_time_is_no_number():
    with pytest.raises(DataRefused, match=r"column 'When' has type timestamp\[us\], which holds no numbers"):
        as_numbers(pa.array([0], pa.timestamp("us")), "When")
