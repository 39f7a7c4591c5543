"""Names of batches, and what an as_of means."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.batch_ids import batch_id_of, parse_as_of, parse_batch_id
from recjobs.errors import Misuse


def test_a_batch_is_named_by_its_as_of_in_utc_and_the_attempt():
    at = datetime(2011, 12, 9, 14, 50, 1, tzinfo=timezone(timedelta(hours=2)))
    assert batch_id_of(at, 3) == "20111209T125001Z-3"


@given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 999_999))
def test_a_name_and_back_is_the_same(at, attempt):
    at = at.replace(microsecond=0)
    assert parse_batch_id(batch_id_of(at, attempt)) == (at, attempt)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "20111209T125001Z",
        "20111209T125001Z-0",
        "20111209T125001Z-01",
        "20111209T125001Z-1234567",
        "20111309T125001Z-1",
        "20111209T125001Z-1\n",
        " 20111209T125001Z-1",
        "20111209T125001Z-1/..",
        "２０111209T125001Z-1",
        "../../etc/passwd",
    ],
)
def test_anything_else_is_no_batch(name):
    with pytest.raises(Misuse, match="is no batch id"):
        parse_batch_id(name)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2011-12-09", "2011-12-10T00:00:00+00:00"),
        ("2012-02-28", "2012-02-29T00:00:00+00:00"),
        ("2011-12-31", "2012-01-01T00:00:00+00:00"),
        ("2011-12-09T12:50:00Z", "2011-12-09T12:50:00+00:00"),
        ("2011-12-09T12:50:00+02:00", "2011-12-09T10:50:00+00:00"),
        ("2011-12-09T12:50:00.5Z", "2011-12-09T12:50:01+00:00"),
    ],
)
def test_a_date_means_its_whole_day_and_an_instant_itself_to_the_next_second(text, at):
    assert parse_as_of(text).isoformat() == at


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2011-02-30", "09.12.2011", "2011-12-09T25:00:00Z", "9999-12-31", "0001-01-01T00:00:00+05:00"],
)
def test_what_is_neither_date_nor_instant_is_misuse(text):
    with pytest.raises(Misuse, match="neither a date"):
        parse_as_of(text)


def test_an_instant_without_an_offset_says_how_to_write_it():
    with pytest.raises(Misuse, match="no offset: write 2011-12-09T12:50:00Z for UTC"):
        parse_as_of("2011-12-09T12:50:00")
