"""Rows, one by one: ids byte for byte, instants in UTC, and one reason for each row that is not sound."""

import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.rows.gathering import RowCollector, RowPiece
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.reason_codes import QUARANTINE, REASONS
from recjobs.core.rows.validation import as_ids, as_microseconds, check
from recjobs.errors import DataRefused
from tests.unit.hostile import HOSTILE
from tests.unit.worlds import NOON, NOW

NONE = np.iinfo(np.int64).min
LONDON = "Europe/London"
NAIVE = datetime(2011, 6, 9, 12)  # noqa: DTZ001  to have no offset is what it is for


def instants(values, unit="iso", timezone=LONDON):
    """As ISO text in UTC, None where there is none."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    found = as_microseconds(array, unit, timezone)
    assert found.dtype == np.int64
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [None if at == NONE else (epoch + timedelta(microseconds=at)).isoformat() for at in found.tolist()]


# --- ids


def test_ids_stay_byte_for_byte():
    assert as_ids(pa.array(HOSTILE), "user").to_pylist() == HOSTILE


@given(st.lists(st.text()))
def test_any_text_is_an_id_and_stays_what_it_was(ids):
    assert as_ids(pa.array(ids, pa.string()), "user").to_pylist() == ids


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()])
def test_text_of_every_make_is_an_id(kind):
    assert as_ids(pa.array(["007", "ü", None]).cast(kind), "user").to_pylist() == ["007", "ü", None]


def test_a_dictionary_of_texts_is_decoded():
    assert as_ids(pa.array(["007", "7", "007", None]).dictionary_encode(), "user").to_pylist() == [
        "007",
        "7",
        "007",
        None,
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [(pa.int8(), -7), (pa.int64(), 2**53 + 1), (pa.int64(), -(2**63)), (pa.uint64(), 2**63), (pa.uint64(), 2**64 - 1)],
)
def test_integers_become_decimal_digits(kind, value):
    assert as_ids(pa.array([value, None], kind), "user").to_pylist() == [str(value), None]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.list_(pa.string())])
def test_types_that_would_change_an_id_are_refused_by_name(kind):
    with pytest.raises(DataRefused, match=r"column 'Customer ID' has type .* export it as text or integers"):
        as_ids(pa.array([None], kind), "Customer ID")


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DataRefused, match="not UTF-8"):
        as_ids(pa.array([b"\xff"]), "user")


def test_a_column_of_nothing_holds_no_ids():
    assert as_ids(pa.nulls(2), "user").to_pylist() == [None, None]


# --- instants


def test_a_naive_time_is_that_of_its_timezone():
    assert instants(["2011-12-09 12:50:00", "2011-06-09T12:50:00", "2011-06-09T12:50"]) == [
        "2011-12-09T12:50:00+00:00",
        "2011-06-09T11:50:00+00:00",
        "2011-06-09T11:50:00+00:00",
    ]


def test_the_hour_that_autumn_repeats_is_taken_as_its_first_pass():
    assert instants(["2011-10-30 00:59:59", "2011-10-30 01:30:00", "2011-10-30 02:00:00"]) == [
        "2011-10-29T23:59:59+00:00",
        "2011-10-30T00:30:00+00:00",
        "2011-10-30T02:00:00+00:00",
    ]


def test_the_hour_that_spring_skips_is_the_instant_of_the_change():
    assert instants(["2011-03-27 00:59:59", "2011-03-27 01:30:00", "2011-03-27 02:00:00"]) == [
        "2011-03-27T00:59:59+00:00",
        "2011-03-27T01:00:00+00:00",
        "2011-03-27T01:00:00+00:00",
    ]


@pytest.mark.parametrize("offset", ["+02:00", "+0200", "+02", " +02:00"])
def test_an_offset_counts_and_the_timezone_does_not(offset):
    assert instants([f"2011-06-09 12:50:00{offset}"], timezone="America/New_York") == ["2011-06-09T10:50:00+00:00"]


@pytest.mark.parametrize("utc", ["2011-06-09T12:50:00Z", "2011-06-09 12:50:00+00", "2011-06-09T12:50:00.000-00:00"])
def test_utc_is_utc_also_as_postgres_writes_it(utc):
    assert instants([utc]) == ["2011-06-09T12:50:00+00:00"]


def test_a_bare_date_is_its_midnight_where_the_shop_is():
    assert instants(["2011-06-09", "2011-12-09"]) == ["2011-06-08T23:00:00+00:00", "2011-12-09T00:00:00+00:00"]


def test_times_with_and_without_offset_may_stand_in_one_column():
    assert instants(["2011-06-09 12:00:00", "2011-06-09T12:00:00Z", None, "2011-06-09"]) == [
        "2011-06-09T11:00:00+00:00",
        "2011-06-09T12:00:00+00:00",
        None,
        "2011-06-08T23:00:00+00:00",
    ]


def test_fractions_beyond_microseconds_are_cut():
    assert instants(["2011-12-09T12:50:00.123456789", "2011-12-09T12:50:00.1234567Z"]) == [
        "2011-12-09T12:50:00.123456+00:00",
        "2011-12-09T12:50:00.123456+00:00",
    ]


@pytest.mark.parametrize(
    "garbage",
    ["", " ", "yesterday", "now", "today", "NaT", "null", "12/09/2011", "2011-13-01", "2011-02-30", "1e9", "١"],
)
def test_what_is_no_time_is_none_and_its_neighbour_is_read(garbage):
    assert instants([garbage, "2011-12-09"]) == [None, "2011-12-09T00:00:00+00:00"]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 1_000_000)])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.float64(), pa.string()])
def test_numbers_count_from_1970_in_their_unit(unit, factor, kind):
    values = pa.array([1_323_435_000 * factor, None]).cast(kind)
    assert instants(values, unit) == ["2011-12-09T12:50:00+00:00", None]


def test_milliseconds_keep_their_fraction_of_a_second():
    assert instants([1_323_435_000_123], "ms") == ["2011-12-09T12:50:00.123000+00:00"]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**62])
def test_a_number_that_would_overflow_is_no_time(value):
    assert instants([value], "s") == [None]


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "soon", ""])
def test_text_that_is_no_number_is_no_time(value):
    assert instants([value], "s") == [None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_without_a_zone_are_local_and_with_one_are_not(unit):
    noon = pa.array([NAIVE], pa.timestamp(unit))
    assert instants(noon) == ["2011-06-09T11:00:00+00:00"]
    aware = pa.array([datetime(2011, 6, 9, 12, tzinfo=UTC)], pa.timestamp(unit, "Asia/Tokyo"))
    assert instants(aware) == ["2011-06-09T12:00:00+00:00"]


def test_a_date_column_is_midnight_where_the_shop_is():
    assert instants(pa.array([date(2011, 6, 9), None])) == ["2011-06-08T23:00:00+00:00", None]


@pytest.mark.parametrize("machine", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_the_machines_own_timezone_does_not_matter(monkeypatch, machine):
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    try:
        assert instants(["2011-06-09 12:50:00"]) == ["2011-06-09T11:50:00+00:00"]
        assert instants(pa.array([NAIVE])) == ["2011-06-09T11:00:00+00:00"]
        assert microseconds(NOON) == NOW
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.datetimes(NAIVE.replace(year=1990), NAIVE.replace(year=2099)))
def test_any_instant_written_in_utc_is_read_back(at):
    expected = [at.replace(tzinfo=UTC).isoformat()]
    assert instants([at.isoformat() + "Z"], timezone="Asia/Kolkata") == expected
    assert instants([at.isoformat(" ")], timezone="UTC") == expected


# --- rows


def checked(rows, kinds=None, **columns):
    """Check rows of (user_id, item_id, time, weight)."""
    user, item, at, weight = zip(*rows, strict=True)
    given_ = {
        "user_id": pa.array(user, pa.string()),
        "item_id": pa.array(item, pa.string()),
        "occurred_at": pa.array(at, pa.string()),
        "weight": pa.array(weight),
    } | columns
    return check(given_, "iso", "UTC", NOW, kinds or {})


def reasons(found):
    return [QUARANTINE[code] if code >= 0 else None for code in found.reason.tolist()]


GOOD = ("u", "i", "2011-12-09T12:50:00Z", 1.0)


def but(**changes):
    return tuple({**dict(zip(("user", "item", "at", "weight"), GOOD, strict=True)), **changes}.values())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD, None),
        (but(user=""), "empty_user_id"),
        (but(user=None), "empty_user_id"),
        (but(user=" "), None),
        (but(user="x" * 256), None),
        (but(user="x" * 257), "user_id_too_long"),
        (but(user="ü" * 129), "user_id_too_long"),
        (but(user="a\0b"), "user_id_with_nul"),
        (but(item=""), "empty_item_id"),
        (but(item=None), "empty_item_id"),
        (but(item="x" * 257), "item_id_too_long"),
        (but(item="\0"), "item_id_with_nul"),
        (but(at=None), "bad_time"),
        (but(at="soon"), "bad_time"),
        (but(at="1989-12-31T23:59:59Z"), "time_without_sense"),
        (but(at="1990-01-01T00:00:00Z"), None),
        (but(at="2024-06-01T12:00:00Z"), None),
        (but(at="2024-06-01T12:00:00.000001Z"), "time_in_future"),
        (but(weight=None), "bad_weight"),
        (but(weight=float("nan")), "bad_weight"),
        (but(weight=float("inf")), "bad_weight"),
        (but(weight=float("-inf")), "bad_weight"),
        (but(weight=1e39), "bad_weight"),
        (but(weight=0.0), "weight_not_positive"),
        (but(weight=-1.0), "weight_not_positive"),
        (but(weight=1e-30), None),
        (but(user="", item="", at="soon", weight=-1.0), "empty_user_id"),
    ],
)
def test_each_row_has_its_reason(row, reason):
    # its neighbours have none, on either side
    assert reasons(checked([GOOD, row, GOOD])) == [None, reason, None]


def test_every_reason_is_a_sentence_about_its_column():
    assert len(REASONS) == len({reason.meaning for reason in REASONS.values()})
    assert all(reason.meaning[0].islower() and " " in reason.remedy for reason in REASONS.values())


@pytest.mark.parametrize(
    ("text", "reason"), [("2", None), ("two", "bad_weight"), ("", "bad_weight"), ("-3", "weight_not_positive")]
)
def test_a_weight_in_text_is_read_as_a_number(text, reason):
    assert reasons(checked([GOOD], weight=pa.array([text]))) == [reason]


def test_a_weight_column_of_times_is_refused_by_name():
    with pytest.raises(DataRefused, match="'weight' has type timestamp"):
        checked([GOOD], weight=pa.array([NAIVE]))


def test_without_a_weight_column_every_row_counts_once():
    columns = {"user_id": pa.array(["u"]), "item_id": pa.array(["i"]), "occurred_at": pa.array(["2011-12-09"])}
    assert check(columns, "iso", "UTC", NOW, {}).weight.tolist() == [1.0]


@pytest.mark.parametrize(
    ("kind", "reason"), [("view", None), ("purchase", None), ("View", "unknown_kind"), (None, "unknown_kind")]
)
def test_a_kind_must_have_a_weight_in_the_catalog(kind, reason):
    assert reasons(checked([GOOD], {"view": 1.0, "purchase": 5.0}, kind=pa.array([kind], pa.string()))) == [reason]


def test_without_kinds_in_the_catalog_any_kind_will_do():
    assert reasons(checked([GOOD, GOOD], kind=pa.array(["whatever", None]))) == [None, None]


# --- accounting

SOME_IDS = st.sampled_from(["a", "b", "7", "007", "", None, "x" * 300, "\0", "caf\u00e9", "cafe\u0301"])
SOME_TIMES = st.sampled_from(
    ["2011-12-09", "2011-12-09T00:00:00Z", "2011-12-10", "soon", None, "1970-01-01", "2999-01-01"]
)
SOME_WEIGHTS = st.sampled_from([1.0, 2.0, None, float("nan"), float("inf"), 0.0, -1.0])
SOME_ROWS = st.lists(st.tuples(SOME_IDS, SOME_IDS, SOME_TIMES, SOME_WEIGHTS), min_size=1, max_size=30)


@given(st.lists(SOME_ROWS, min_size=1, max_size=3))
def test_every_row_is_accepted_or_merged_or_quarantined_for_one_reason(batches):
    collected, quarantined, distinct = RowCollector(), 0, set()
    for rows in batches:
        found = checked(rows, weight=pa.array([row[3] for row in rows], pa.float64()))
        sound = found.reason < 0
        quarantined += int((~sound).sum())
        collected.add(RowPiece.of(found, sound))
        distinct |= {
            (user, item, at, weight)
            for (user, item, _, weight), at, ok in zip(rows, found.occurred_at, sound, strict=True)
            if ok
        }
    gathered = collected.finish()
    interactions, users, items, merged = gathered.interactions, gathered.user_ids, gathered.item_ids, gathered.merged
    assert len(interactions) + merged + quarantined == sum(map(len, batches))
    assert len(interactions) == len(distinct)
    assert users.to_pylist() == sorted({row[0] for row in distinct}, key=str.encode)
    assert items.to_pylist() == sorted({row[1] for row in distinct}, key=str.encode)
    back = {
        (users[u].as_py(), items[i].as_py(), t, w)
        for u, i, t, w in zip(
            interactions.user_idx.tolist(),
            interactions.item_idx.tolist(),
            interactions.occurred_at.tolist(),
            interactions.weight.tolist(),
            strict=True,
        )
    }
    assert back == distinct
