"""Times as exports write them, and what is said of those that are not understood."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from recjobs.catalog.sources import Time
from recjobs.core.rows.times import likely_setting
from recjobs.core.rows.validation import as_microseconds

SECOND = 1_000_000
AT = 1_714_557_600  # 2024-05-01 10:00:00 UTC
NONE = -(2**63)


def read(*values, unit="iso", timezone="UTC", time_format=None):
    return [int(at) for at in as_microseconds(pa.array(values), unit, timezone, time_format)]


# --- names of zones


@pytest.mark.parametrize("zone", [" UTC", " GMT", "UTC", "Z", "+00:00", " +0000 UTC", "+00:00 GMT"])
@pytest.mark.parametrize("timezone", ["UTC", "America/New_York"])
def test_a_time_that_says_utc_is_utc(zone, timezone):
    assert read(f"2024-05-01 10:00:00{zone}", "2024-05-01T10:00:00.5Z", timezone=timezone) == [
        AT * SECOND,
        AT * SECOND + 500_000,
    ]


def test_fractions_stand_before_the_name_and_neighbours_may_have_none():
    assert read("2024-05-01 10:00:00.123456 UTC", None, "2024-05-01 10:00:00", timezone="Europe/Berlin") == [
        AT * SECOND + 123_456,
        NONE,
        (AT - 7200) * SECOND,
    ]


@pytest.mark.parametrize("text", ["UTC", "soon UTC", "2024-05-01 10:00:00 EST", "2024-05-01 25:00:00 UTC"])
def test_other_names_and_what_is_no_time_stay_unread(text):
    assert read(text) == [NONE]


# --- formats


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("%d.%m.%Y %H:%M", "01.05.2024 10:00"),
        ("%m/%d/%Y %I:%M %p", "05/01/2024 10:00 AM"),
        ("%Y%m%d%H%M%S", "20240501100000"),
        ("%d/%b/%Y:%H:%M:%S %z", "01/May/2024:12:00:00 +0200"),
        ("%d.%m.%y, %H:%M", " 1.5.24, 10:00 "),
    ],
)
def test_a_format_reads_what_is_written_in_it_and_nothing_else(time_format, text):
    assert read(text, "31.02.2024 99:99", None, "", time_format=time_format) == [AT * SECOND, NONE, NONE, NONE]


def test_a_format_without_an_offset_is_local():
    assert read("01.05.2024 12:00", timezone="Europe/Berlin", time_format="%d.%m.%Y %H:%M") == [AT * SECOND]


def test_a_format_reads_numbers_such_as_20240501_too():
    assert read(20240501, time_format="%Y%m%d") == [(AT - 36_000) * SECOND]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"format": "%d.%m.%Y", "unit": "s"}, "a format is for text, a unit for numbers"),
        ({"format": "%d.%Q.%Y"}, "is no format of a time"),
        ({"format": "%d.%m. %"}, "is no format of a time"),
        ({"format": "%d.%m."}, "has no year"),
        ({"format": "dd.mm.yyyy"}, "has no year"),
    ],
)
def test_a_format_that_can_be_none_is_a_mistake_of_the_catalog(settings, said):
    with pytest.raises(ValidationError, match=said):
        Time(**settings)


# --- Excel


@pytest.mark.parametrize("kind", [pa.float64(), pa.string()])
def test_excels_days_are_local_times(kind):
    values = pa.array([45413.4166666667, 45413.0, None]).cast(kind)
    assert as_microseconds(values, "excel", "UTC").tolist() == [AT * SECOND, (AT - 36_000) * SECOND, NONE]
    assert as_microseconds(values, "excel", "Asia/Tokyo").tolist()[0] == (AT - 9 * 3600) * SECOND


def test_what_is_no_day_of_excel_is_none():
    assert read("0", "-3", "3000000", "inf", "x", unit="excel") == [NONE] * 5


# --- what is said


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        (["01.05.2024", "31.12.2023"], 'format: "%d.%m.%Y"'),
        (["13/05/2024 10:00"], 'format: "%d/%m/%Y %H:%M"'),
        (["05/13/2024"], 'format: "%m/%d/%Y"'),
        (["05/01/2024"], 'format: "%d/%m/%Y" or format: "%m/%d/%Y"'),
        (["45413.41", "45000"], "unit: excel"),
        (["1714557600"], "unit: s"),
        (["1714557600000"], "unit: ms"),
        (["01/May/2024:12:00:00 +0200"], 'format: "%d/%b/%Y:%H:%M:%S %z"'),
        (["05 1, 2014"], 'format: "%m %d, %Y"'),
    ],
)
def test_the_setting_that_reads_all_values_is_named(values, setting):
    shown = ", ".join(map(repr, values))
    assert likely_setting(values) == f": it has {shown}; say `time: {{{setting}}}` in the catalog"
    assert likely_setting([*values, "soon"]) == f": it has {shown}, 'soon'"


def test_three_values_are_shown_and_of_none_nothing_is_said():
    assert likely_setting(["a", "a", "b", "c", "d"]) == ": it has 'a', 'b', 'c'"
    assert likely_setting([]) == likely_setting(["", " "]) == ""
