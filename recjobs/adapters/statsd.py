"""StatsD: counters, gauges and timers by UDP. Losing it slows nothing and breaks nothing."""

import statsd


class Metrics:
    """Metrics of one catalog and step: `recjobs.<catalog>.<step>.<name>`."""

    def __init__(self, host: str, port: int, catalog: str, step: str) -> None:
        self._client = statsd.StatsClient(host, port, prefix=f"recjobs.{catalog}.{step}") if host else None

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
