"""Paired bootstrap over users: intervals of means and of their differences (Efron & Tibshirani 1993)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recjobs.core.ahead import ahead
from recjobs.core.model.compiled import counted

RESAMPLES = 10_000
LEVEL = 0.95
DECIMALS = 12
"""Decimals of a mean that count. The further ones depend on the order in which a processor adds: a difference that is
0 in exact arithmetic must not be above it."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95% interval."""

    value: float
    low: float
    high: float


def resampled_means(columns: np.ndarray, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Means of each column over resampled users; columns (n_users, m) -> (resamples, m).

    All columns are resampled together, so differences and ratios of them are paired. A value that is NaN does not
    count: its column's mean is over the others that were drawn, and NaN where none was.
    """
    rng = np.random.default_rng(seed)
    n_users, m = columns.shape
    present = np.isfinite(columns)
    partial = np.flatnonzero(~present.all(axis=0))  # only these need their own count of users drawn
    masks = [present[:, column].tobytes() for column in partial]
    distinct = list(dict.fromkeys(masks))  # models share their segments
    drawn_of = np.frombuffer(b"".join(distinct), bool).reshape(len(distinct), n_users).T
    values = np.concatenate([np.where(present, columns, 0), drawn_of], axis=1)
    sums = np.empty((resamples, values.shape[1]))
    block = max(1, 2_000_000 // max(1, n_users))
    blocks = [slice(first, min(first + block, resamples)) for first in range(0, resamples, block)]
    counts = np.empty((min(block, resamples), n_users))
    draws = (rng.integers(0, n_users, (of.stop - of.start, n_users), np.int32) for of in blocks)
    for of, drawn in zip(blocks, ahead(draws), strict=True):
        counted(drawn, counts[: len(drawn)])
        sums[of] = counts[: len(drawn)] @ values
    drawn_users = np.full((resamples, m), float(n_users))
    drawn_users[:, partial] = sums[:, [m + distinct.index(mask) for mask in masks]]
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[:, :m] / drawn_users)


def interval(estimate: float, resampled: np.ndarray) -> Interval:
    """The percentile interval of a statistic that was computed on each resample."""
    # Take a resampled value: there is no interpolating between infinite ones.
    low, high = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return Interval(float(estimate), float(low), float(high))


def relative_difference(first: np.ndarray, second: np.ndarray, seed: int) -> Interval:
    """(mean of first - mean of second) / mean of second over the same users, with its interval.

    Where the second mean is zero the difference is infinite if the first is above it, else zero.
    """
    return relative_differences(first, [second], seed)[0]


def relative_differences(first: np.ndarray, others: list[np.ndarray], seed: int) -> list[Interval]:
    """`relative_difference` of one model to each of several, all over the same resamples."""
    # The difference is a column of its own, so that equal models differ by exactly 0 in every resample.
    columns = np.column_stack([column for other in others for column in (first - other, other)])
    means, estimates = resampled_means(columns, seed), columns.mean(axis=0)[None]
    pairs = [slice(2 * n, 2 * n + 2) for n in range(len(others))]
    return [interval(float(_relative(estimates[:, pair])[0]), _relative(means[:, pair])) for pair in pairs]


def geometric_mean_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]], seed: int) -> Interval:
    """The geometric mean of (mean of first / mean of second) over several sets of users, less 1, with its interval.

    Each set is resampled by itself. Infinite where a second mean is zero and the first is not.
    """
    columns = [np.column_stack([first - second, second]) for first, second in pairs]
    resampled = [_relative(resampled_means(of_set, seed + n)) for n, of_set in enumerate(columns)]
    estimates = [_relative(of_set.mean(axis=0)[None]) for of_set in columns]
    value, means = (_mean_growth(np.array(changes)) for changes in (estimates, resampled))
    return interval(float(value[0]), means)


def mean_intervals(columns: np.ndarray, seed: int) -> list[Interval]:
    """The mean of each column over the users that have a value, with its interval; columns (n_users, m)."""
    means = resampled_means(columns, seed)
    return [interval(float(np.nanmean(columns[:, i])), means[:, i]) for i in range(columns.shape[1])]


def _mean_growth(changes: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):  # a change of -1 leaves nothing
        return np.asarray(np.expm1(np.log1p(changes).mean(axis=0)))


def _relative(means: np.ndarray) -> np.ndarray:
    difference, second = means.round(DECIMALS).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(second > 0, difference / second, np.where(difference > 0, np.inf, 0.0))
