"""Volume, freshness, repetition: what is usual, by eye."""

from datetime import UTC, datetime, timedelta

import pytest

from recjobs.core.rows.volume import PastNight, of_a_cut, of_freshness, of_repetition, of_volume

MONDAY = datetime(2025, 6, 2, tzinfo=UTC)


def past(*counts, hashes=None):
    """Nights before MONDAY, newest first."""
    return [
        PastNight(f"b{k}", MONDAY - timedelta(days=k + 1), n, (hashes or [f"h{k}" for k in range(len(counts))])[k])
        for k, n in enumerate(counts)
    ]


def found(n, nights, band=(0.5, 2.0), last=7, by_weekday=False):
    options = {"band": band, "nights": last, "by_weekday": by_weekday, "action": "refuse"}
    return [(f.reason, f.action) for f in of_volume(n, MONDAY, nights, **options)]


@pytest.mark.parametrize(
    ("n", "reasons"),
    [(49, [("volume_too_low", "refused")]), (50, []), (200, []), (201, [("volume_too_high", "refused")])],
)
def test_the_band_is_a_multiple_of_the_median(n, reasons):
    assert found(n, past(100, 1, 100, 9000, 100)) == reasons


def test_only_the_last_nights_count():
    assert found(100, past(*[100] * 7, *[9000] * 20)) == []
    assert found(100, past(*[9000] * 3, *[100] * 20), last=3) == [("volume_too_low", "refused")]


def test_by_weekday_a_sunday_is_no_measure_for_a_monday():
    counts = [10 if k % 7 == 6 else 100 for k in range(28)]
    assert found(10, past(*counts)) == [("volume_too_low", "refused")]
    assert found(10, past(*counts), by_weekday=True) == []


def test_with_nothing_to_compare_there_is_no_finding():
    assert found(1, []) == []
    assert found(1, past(100), by_weekday=True) == []


@pytest.mark.parametrize(("hours", "reasons"), [(0, []), (48, []), (48.1, ["stale_input"])])
def test_the_newest_interaction_may_be_so_old(hours, reasons):
    newest = MONDAY - timedelta(hours=hours)
    assert [f.reason for f in of_freshness(newest, MONDAY, max_age_hours=48, action="skip")] == reasons


def test_without_an_interaction_nothing_is_stale():
    assert of_freshness(None, MONDAY, max_age_hours=1, action="skip") == []


def test_only_the_very_last_night_makes_a_repetition():
    nights = past(1, 1, hashes=["new", "old"])
    assert [f.reason for f in of_repetition("new", nights, action="refuse")] == ["repeated_input"]
    assert of_repetition("old", nights, action="refuse") == []
    assert of_repetition("old", [], action="refuse") == []


def test_the_way_out_is_said_as_it_is_typed():
    (finding,) = of_volume(1, MONDAY, past(100), band=(0.5, 2), nights=7, by_weekday=False, action="refuse")
    assert "`--force REASON`" in finding.example
    assert "the last night, 2025-06-01, had 100" in finding.example


def test_an_export_that_ends_before_the_last_nights_looks_cut():
    last = PastNight("b1", MONDAY - timedelta(days=1), 100, "h1", newest=MONDAY - timedelta(days=1, hours=2))
    older = PastNight("b0", MONDAY - timedelta(days=2), 100, "h0", newest=MONDAY)
    assert of_a_cut(last.newest, [last, older]) == []
    [finding] = of_a_cut(last.newest - timedelta(minutes=1), [last, older])
    assert (finding.reason, finding.action) == ("looks_cut", "warned")
    assert "2025-05-31 21:59 UTC" in finding.example
    assert "of 2025-05-31 22:00" in finding.example


def test_without_times_or_an_earlier_night_nothing_looks_cut():
    assert of_a_cut(None, [PastNight("b1", MONDAY, 100, "h1", newest=MONDAY)]) == []
    assert of_a_cut(MONDAY, past(100)) == []
    assert of_a_cut(MONDAY, []) == []
