"""StatsD that cannot be reached costs a night its metrics and nothing else."""

import logging

import pytest

from recjobs.adapters.statsd import Metrics


@pytest.mark.parametrize(("host", "said"), [("nowhere.invalid", 1), ("255.255.255.255", 0), ("", 0)])
def test_a_receiver_that_is_unknown_or_refused_stops_no_step(host: str, said: int, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        metrics = Metrics(host, 8125, "shop", "train")
        metrics.gauge("rows", 1)
        metrics.count("failed")
        metrics.timing("duration", 1.5)
    assert caplog.text.count(f"metrics are not sent: STATSD_HOST={host} is not known") == said
