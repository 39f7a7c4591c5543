"""StatsD: counters, gauges and timers by UDP. Losing it slows nothing and breaks nothing."""

import logging

import statsd

log = logging.getLogger(__name__)


class Metrics:
    """Metrics of one catalog and step: `recjobs.<catalog>.<step>.<name>`."""

    def __init__(self, host: str, port: int, catalog: str, step: str) -> None:
        self._client = None
        try:
            if host:
                self._client = statsd.StatsClient(host, port, prefix=f"recjobs.{catalog}.{step}")
        except OSError as error:  # it looks the name up
            log.warning("metrics are not sent: STATSD_HOST=%s is not known (%s)", host, error)

    def gauge(self, name: str, value: float) -> None:
        """The latest value of something."""
        if self._client:
            self._client.gauge(name, value)

    def count(self, name: str) -> None:
        """One more of something."""
        if self._client:
            self._client.incr(name)

    def timing(self, name: str, milliseconds: float) -> None:
        """How long something took."""
        if self._client:
            self._client.timing(name, milliseconds)
