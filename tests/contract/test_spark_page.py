"""The arithmetic of docs/spark.md follows from the rates of `recjobs plan`."""

import re
from pathlib import Path

import pytest

from recjobs.core.estimate import RATES, SPARK_TIMES, SPREAD, Size, in_database, pays_from, seconds_on_spark, steps

PAGE = (Path(__file__).parents[2] / "docs" / "spark.md").read_text()
LARGE = Size(10**10, 10**10, 10**8, 10**5, stored=100, factors=64)
MEASURED = Size(20_000_000, 20_000_000, 138_493, 26_744, stored=100, factors=64)


def test_its_table_is_what_the_rates_give_for_ten_billion_interactions():
    costs, driver = steps(LARGE), steps(LARGE, on_spark=True)
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \| (\d+) \| (\d+) \| (\d+) \|", PAGE, re.M)
    assert [name for name, *_ in rows] == [name for name in RATES if name != "gate"]
    for name, hours, process, on_spark, artifacts in rows:
        assert float(on_spark) == pytest.approx((driver[name].peak_bytes or 0) / 2**30, abs=0.51), name
        seconds, peak_bytes, disk_bytes = costs[name].seconds, costs[name].peak_bytes, costs[name].disk_bytes
        assert seconds
        assert peak_bytes
        assert float(hours) == pytest.approx(seconds * 2 / 3600, abs=0.051), name
        assert float(process) == pytest.approx(peak_bytes / 2**30, abs=0.51), name
        assert float(artifacts) == pytest.approx((disk_bytes or 0) / 2**30, abs=0.51), name


def test_its_minutes_and_bytes_are_too():
    seconds = {name: cost.seconds or 0 for name, cost in steps(LARGE).items()}
    on_spark = sum(seconds[name] for name in SPREAD) * 2 * SPARK_TIMES
    elsewhere = sum(seconds.values()) - sum(seconds[name] for name in SPREAD)
    costs = steps(MEASURED)
    here = sum(cost.seconds or 0 for cost in costs.values())
    assert seconds_on_spark(costs, 2) == pytest.approx(here, abs=0.5)
    two, four = (pays_from(MEASURED, machines) or 0 for machines in (2, 4))
    for text in (
        f"{on_spark / SPARK_TIMES / 3600:.0f} core hours, {on_spark / 3600:.0f} with what Spark costs",
        f"{on_spark / 128 / 60:.0f} minutes",
        f"{elsewhere / 60:.0f} minutes of two cores, {seconds['publish'] / 60:.0f} of them `publish`",
        f"over the same nodes, {elsewhere * 2 / 128 / 60:.0f}.",
        f"from some {two / 1e6:.0f} million interactions on with two machines",
        f"from {four / 1e6:.0f} million with four",
        f"{here:.0f} s here and on two machines of two cores, on four {seconds_on_spark(costs, 4):.0f} s",
        f"{in_database(LARGE) / 1e9:.0f} GB a batch",
    ):
        assert text in " ".join(PAGE.split()), text
