"""The bootstrap: paired, seeded, and its interval holds what it promises."""

import numpy as np
import pytest

from recjobs.core.evaluation import bootstrap
from recjobs.core.evaluation.bootstrap import (
    geometric_mean_difference,
    mean_intervals,
    relative_difference,
    resampled_means,
)


def test_the_interval_of_a_mean_covers_the_truth_in_about_95_of_100_worlds():
    rng = np.random.default_rng(1)
    worlds = rng.normal(10, 3, (200, 60))
    found = [bootstrap.interval(w.mean(), resampled_means(w[:, None], 7, 500)[:, 0]) for w in worlds]
    covered = np.mean([i.low <= 10 <= i.high for i in found])
    assert 0.88 <= covered <= 0.99


def test_the_interval_has_the_width_of_the_normal_one():
    values = np.random.default_rng(2).normal(0, 1, 400)
    [found] = mean_intervals(values[:, None], seed=1)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)


def test_differences_are_paired_so_a_constant_gain_has_no_doubt():
    first = np.random.default_rng(3).random(300)
    found = relative_difference(first * 1.1, first, seed=1)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    rng = np.random.default_rng(4)
    first, second = rng.random(80), rng.random(80)
    assert relative_difference(first, second, 5) == relative_difference(first, second, 5)
    assert relative_difference(first, second, 5) != relative_difference(first, second, 6)


def test_more_resamples_than_fit_into_one_block_are_all_drawn():
    means = resampled_means(np.arange(1000.0)[:, None], 1, 4001)[:, 0]
    assert means.shape == (4001,)
    assert len(np.unique(means)) > 3500
    assert means.mean() == pytest.approx(499.5, abs=1)
    assert means.std() == pytest.approx(np.arange(1000).std() / np.sqrt(1000), rel=0.06)


def test_a_value_that_is_nan_does_not_count():
    found, other = mean_intervals(np.array([[1.0, 5], [np.nan, 5], [3.0, 5]]), seed=1)
    assert found.value == 2
    assert 1 <= found.low <= found.high <= 3
    assert (other.low, other.high) == (5, 5)


def test_models_that_share_segments_are_each_counted_over_their_own_users():
    rng = np.random.default_rng(6)
    columns = rng.integers(0, 9, (90, 7)).astype(float)  # sums of whole numbers are exact in any order
    light, heavy = np.arange(90) % 3 == 0, np.arange(90) % 3 == 1
    for column, users in ((1, light), (2, heavy), (3, light), (5, heavy), (6, light & heavy)):
        columns[~users, column] = np.nan
    drawn = np.random.default_rng(8).integers(0, 90, (40, 90), dtype=np.int32)
    with np.errstate(invalid="ignore"):
        expected = np.nansum(columns[drawn], axis=1) / np.isfinite(columns[drawn]).sum(axis=1)
    assert np.array_equal(resampled_means(columns, 8, 40), expected, equal_nan=True)


def test_a_model_does_not_differ_from_itself_by_the_last_bit():
    scores = np.random.default_rng(8).random(70) / 3
    assert relative_difference(scores, scores.copy(), 1) == bootstrap.Interval(0, 0, 0)


def test_two_columns_of_zeros_do_not_differ():
    assert relative_difference(np.zeros(5), np.zeros(5), 1) == bootstrap.Interval(0, 0, 0)


def test_against_zeros_any_gain_is_infinite_and_beyond_doubt():
    found = relative_difference(np.ones(5), np.zeros(5), 1)
    assert (found.value, found.low, found.high) == (np.inf, np.inf, np.inf)


def test_where_the_second_is_zero_in_some_resamples_the_interval_is_still_a_pair_of_numbers():
    found = relative_difference(np.ones(5), np.array([0, 0, 0, 0, 0.5]), 1)
    assert found.value == pytest.approx(9)
    assert 0 < found.low < np.inf
    assert found.high == np.inf


def test_losing_everything_is_minus_one():
    assert relative_difference(np.zeros(4), np.ones(4), 1) == bootstrap.Interval(-1, -1, -1)


def test_of_two_equal_models_one_is_called_better_in_at_most_about_one_of_twenty():
    # one-sided: the interval's lower end above 0
    rng = np.random.default_rng(6)
    worlds = rng.gamma(0.5, 1, (40, 2, 60))
    better = np.mean([relative_difference(*w, seed=1).low > 0 for w in worlds])
    assert better <= 0.05 + 0.04


def test_gains_on_several_dates_have_their_geometric_mean():
    base = np.random.default_rng(6).random(300) + 0.5
    found = geometric_mean_difference([(base * 2, base), (base[:200] / 2, base[:200]), (base * 1.331, base)], seed=1)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_equal_models_differ_by_exactly_nothing_on_any_number_of_dates():
    rng = np.random.default_rng(7)
    found = geometric_mean_difference([(values, values) for values in (rng.random(90), rng.random(50))], seed=1)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_more_dates_make_a_difference_surer():
    rng = np.random.default_rng(8)
    dates = [(rng.random(200) + 0.05, rng.random(200)) for _ in range(9)]
    widths = [np.ptp([i.low, i.high]) for i in (geometric_mean_difference(dates[:n], 1) for n in (1, 9))]
    assert widths[1] < widths[0] / 2


def test_a_date_on_which_the_second_found_nothing_is_without_bound():
    nothing = np.zeros(30)
    assert geometric_mean_difference([(nothing + 0.1, nothing), (nothing + 1, nothing + 1)], 1).value == np.inf
