"""The table of costs: complete, growing with the input, and led by what past nights took."""

from dataclasses import asdict, fields, replace

import pytest

from recjobs import NIGHT
from recjobs.core import estimate
from recjobs.core.estimate import DATABASE, RATES, Cost, Past, Size
from recjobs.core.model import als
from recjobs.core.rows import user_ranges

SMALL = Size(rows=200_000, interactions=180_000, users=4_000, items=2_000, stored=100, factors=64)
LARGE = replace(SMALL, rows=20_000_000, interactions=18_000_000, users=138_000, items=26_000)


def past(size: Size, times: float, name: str = "1") -> Past:
    """A night whose every cost was so many times the table's."""
    of = estimate.steps(size)
    costs = {
        step: Cost(*(times * (getattr(cost, field.name) or 0) for field in fields(Cost))) for step, cost in of.items()
    }
    return Past(name, size, costs, times * estimate.in_database(size))


def test_the_table_has_every_step_and_no_term_but_those_of_a_size():
    assert tuple(RATES) == NIGHT
    for rate in RATES.values():
        for terms in (rate.seconds, rate.peak_bytes, rate.disk_bytes):
            assert terms
            assert set(terms) <= set(SMALL.terms())
            assert min(terms.values()) > 0
    assert set(DATABASE) <= set(SMALL.terms())


def test_where_a_fit_begins_with_some_users_is_what_the_table_knows_of():
    assert estimate.FIRST_PAIRS == als.FIRST_PAIRS


def test_how_many_rows_are_sorted_at_a_time_is_too():
    assert (estimate.LEAST, estimate.MOST, estimate.USUAL) == (user_ranges.LEAST, user_ranges.MOST, user_ranges.USUAL)


@pytest.mark.parametrize("field", [field.name for field in fields(Cost)])
def test_more_input_costs_more_and_no_more_than_in_proportion_to_its_largest_part(field: str):
    little, much = (sum(getattr(cost, field) for cost in estimate.steps(size).values()) for size in (SMALL, LARGE))
    most = max(b / a for a, b in zip(SMALL.terms().values(), LARGE.terms().values(), strict=True))
    assert 1 < much / little <= most


def test_only_seconds_depend_on_the_speed_of_the_machine_and_only_without_a_past():
    usual, slow = estimate.steps(LARGE), estimate.steps(LARGE, speed=3.0)
    assert slow == {step: replace(cost, seconds=3 * (cost.seconds or 0)) for step, cost in usual.items()}
    assert estimate.steps(LARGE, [past(LARGE, 1.0)], speed=3.0) == usual


def test_the_night_before_is_what_an_equal_night_costs():
    before = past(LARGE, 1.7)
    for step, cost in estimate.steps(LARGE, [before]).items():
        assert asdict(cost) == pytest.approx(asdict(before.steps[step]))
    assert estimate.in_database(LARGE, [before]) == pytest.approx(before.database_bytes)


def test_of_several_nights_the_one_in_the_middle_counts_and_one_bad_night_does_not():
    nights = [past(LARGE, times) for times in (1.0, 9.0, 1.1)]
    assert estimate.steps(LARGE, nights)["score"].seconds == pytest.approx(
        1.1 * (estimate.steps(LARGE)["score"].seconds or 0)
    )


def test_what_a_night_did_not_measure_is_the_tables():
    unmeasured = Past("1", LARGE, {"train": Cost(None, 1e9, None)})
    planned, usual = estimate.steps(LARGE, [unmeasured])["train"], estimate.steps(LARGE)["train"]
    assert planned.peak_bytes == pytest.approx(1e9)
    assert (planned.seconds, planned.disk_bytes) == (usual.seconds, usual.disk_bytes)


def test_spark_spreads_some_steps_and_pays_once_these_are_longer_than_a_session():
    costs = estimate.steps(LARGE)
    alone, here = estimate.seconds_on_spark(costs, 1), sum(cost.seconds or 0 for cost in costs.values())
    assert alone > here + estimate.SESSION_SECONDS
    many = estimate.seconds_on_spark(costs, 10**9)
    rest = sum(cost.seconds or 0 for step, cost in costs.items() if step not in estimate.SPREAD)
    assert many == pytest.approx(rest + estimate.SESSION_SECONDS)
    assert estimate.pays_from(LARGE, 1) is None
    two, four = estimate.pays_from(LARGE, 2), estimate.pays_from(LARGE, 4)
    assert two
    assert four
    assert four < two
    for interactions, is_less in ((two, True), (two // 2, False)):
        times = interactions / LARGE.interactions
        users, rows = round(LARGE.users * times), round(LARGE.rows * times)
        of = estimate.steps(replace(LARGE, rows=rows, interactions=interactions, users=users))
        assert (estimate.seconds_on_spark(of, 2) < sum(cost.seconds or 0 for cost in of.values())) is is_less


def test_on_spark_only_the_memory_of_steps_is_another():
    here, there = estimate.steps(LARGE), estimate.steps(LARGE, on_spark=True)
    for step, cost in here.items():
        if step in estimate.ON_SPARK:
            assert (there[step].peak_bytes or 0) < (cost.peak_bytes or 0)
        assert replace(there[step], peak_bytes=cost.peak_bytes) == cost
