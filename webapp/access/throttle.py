"""Rate limits: how often a client may ask, or send a wrong credential, before it must wait.

Counted in the memory of this process, so n processes let n times as much through. That is enough to keep one client
from crowding out the others. A credential of 256 random bits cannot be guessed; wrong ones are limited because they
come from a broken program.

The counters are our own: those of `limits` start a thread every 10 ms that looks at each client, beside a request that
takes a quarter of a millisecond.
"""

import math
import threading
import time
from typing import TYPE_CHECKING

from limits import RateLimitItem, parse

from webapp.access.addresses import client_network
from webapp.api.errors import TooMany

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

WRONG_CREDENTIALS = parse("10/minute")


class Throttle:
    """One limit for each client, in windows that begin with a client's first request."""

    def __init__(self, limit: RateLimitItem) -> None:
        self._amount, self._seconds = limit.amount, limit.get_expiry()
        self._windows: dict[str, tuple[float, int]] = {}
        """By client: when its window ends, and its requests so far."""
        self._cleared_at = time.monotonic()
        self._lock = threading.Lock()

    def count(self, client: str, code: str, message: str) -> None:
        """Count one request; raises `TooMany` with the seconds to wait above the limit."""
        now = time.monotonic()
        with self._lock:
            if now - self._cleared_at > self._seconds:
                self._windows = {one: window for one, window in self._windows.items() if window[0] > now}
                self._cleared_at = now
            ends_at, n = self._windows.get(client, (now, 0))
            if ends_at <= now:
                ends_at, n = now + self._seconds, 0
            self._windows[client] = (ends_at, n + 1)
        if n >= self._amount:
            raise TooMany(code, message, max(1, math.ceil(ends_at - now)))


def address(environ: "WSGIEnvironment") -> str:
    """The client's address; for IPv6 its /64, which is what one client gets."""
    return client_network(environ.get("REMOTE_ADDR") or "unknown")
