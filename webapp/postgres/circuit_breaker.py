"""A circuit breaker: while Postgres is silent, requests fail at once instead of each waiting for its deadline.

Otherwise every thread would sit out its deadline, and /healthz would wait behind them. One slow answer beside others
that arrive does not open it: on a busy machine that happens, and refusing the rest would spread it.
"""

import time

from webapp.api.errors import Unavailable

OPENS_AFTER_SECONDS = 0.5
RETRY_SECONDS = 0.25


class CircuitBreaker:
    """One for all catalogs. Threads share it."""

    def __init__(self) -> None:
        self.silent_since = 0.0
        """Since when no answer arrived in time; 0: the last one did."""
        self.open_until = 0.0
        """Until when requests fail at once; 0: they do not."""

    def check(self) -> None:
        """Raise `Unavailable` while the breaker is open, except for one request in each `RETRY_SECONDS`."""
        now = time.monotonic()
        if now < self.open_until:
            raise away()
        self.open_until = now + RETRY_SECONDS  # this request tries for all

    def answered(self) -> None:
        """Close the breaker: Postgres answered."""
        self.silent_since = self.open_until = 0.0

    def timed_out(self) -> None:
        """Note an answer that did not arrive in time, whether Postgres said so or not."""
        now = time.monotonic()
        self.silent_since = self.silent_since or now
        if now - self.silent_since > OPENS_AFTER_SECONDS:
            self.open_until = now + RETRY_SECONDS


def away() -> Unavailable:
    """The error while Postgres is away or slow."""
    return Unavailable("database_unavailable", "The database does not answer; try again in a moment")
