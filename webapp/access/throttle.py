"""How often somebody may ask, or show a wrong credential, before being told to wait.

Counted by `limits` in the memory of this process, in windows of fixed length: n processes let n times as much through.
That is what both are for: to keep one client from crowding out the others, not to count exactly. Nobody guesses a
credential of 256 random bits; wrong ones are slowed down because they are a broken program, or noise.
"""

import time
from ipaddress import IPv6Network

from flask import Flask, current_app, g, request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from webapp.api.errors import TooMany
from webapp.settings import Settings

WRONG_CREDENTIALS = parse("10/minute")
FREE = ("/healthz", "/readyz", "/static/")
"""What is never counted: probes, and what a page needs besides itself."""


class Throttle:
    """Counts what each client does against one limit."""

    def __init__(self, limit: RateLimitItem) -> None:
        self._limit = limit
        self._counted = FixedWindowRateLimiter(MemoryStorage())

    def count(self, who: str, code: str, message: str) -> None:
        """Count one more; raises `TooMany` with the seconds to wait if it was one too many."""
        if not self._counted.hit(self._limit, who):
            ends = self._counted.get_window_stats(self._limit, who).reset_time
            raise TooMany(code, message, max(1, round(ends - time.time() + 0.5)))


def address() -> str:
    """Where the request comes from; of IPv6 the /64, which is what one client is given."""
    found = request.remote_addr or "unknown"
    return str(IPv6Network((found, 64), strict=False)) if ":" in found and "%" not in found else found


def wrong_credential() -> None:
    """Count a wrong credential; raises `TooMany` after ten in a minute from one address."""
    throttle: Throttle = current_app.extensions["wrong_credentials"]
    throttle.count(address(), "too_many_wrong_credentials", "Too many wrong credentials from this address")


def install(app: Flask, settings: Settings) -> None:
    """Count wrong credentials where there are right ones; and requests, where `WEBAPP_RATE_LIMIT` says how many."""
    if settings.api_keys or settings.operators:
        app.extensions["wrong_credentials"] = Throttle(WRONG_CREDENTIALS)
    if settings.rate_limit is None:
        return
    requests = Throttle(settings.rate_limit)
    message = f"At most {settings.rate_limit}"

    @app.before_request
    def _count() -> None:
        if not request.path.startswith(FREE):
            caller = g.get("caller")
            requests.count(f"key {caller.name}" if caller else address(), "too_many_requests", message)
