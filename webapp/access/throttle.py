"""Rate limits: how often a client may ask, or send a wrong credential, before it must wait.

Counted by `limits` in the memory of this process, in fixed windows, so n processes let n times as much through. That is
enough to keep one client from crowding out the others. A credential of 256 random bits cannot be guessed; wrong ones
are limited because they come from a broken program.
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
UNLIMITED = ("/healthz", "/readyz", "/static/")
"""Paths that are never counted: probes, and the static files of a page."""


class Throttle:
    """One limit for each client."""

    def __init__(self, limit: RateLimitItem) -> None:
        self._limit = limit
        self._counts = FixedWindowRateLimiter(MemoryStorage())

    def count(self, client: str, code: str, message: str) -> None:
        """Count one request; raises `TooMany` with the seconds to wait above the limit."""
        if not self._counts.hit(self._limit, client):
            resets_at = self._counts.get_window_stats(self._limit, client).reset_time
            raise TooMany(code, message, max(1, round(resets_at - time.time() + 0.5)))


def address() -> str:
    """The client's address; for IPv6 its /64, which is what one client gets."""
    ip = request.remote_addr or "unknown"
    return str(IPv6Network((ip, 64), strict=False)) if ":" in ip and "%" not in ip else ip


def count_wrong_credential() -> None:
    """Count a wrong credential; raises `TooMany` after ten in a minute from one address."""
    throttle: Throttle = current_app.extensions["wrong_credentials"]
    throttle.count(address(), "too_many_wrong_credentials", "Too many wrong credentials from this address")


def install(app: Flask, settings: Settings) -> None:
    """Limit wrong credentials if there are valid ones, and requests by `WEBAPP_RATE_LIMIT`."""
    if settings.api_keys or settings.operators:
        app.extensions["wrong_credentials"] = Throttle(WRONG_CREDENTIALS)
    if settings.rate_limit is None:
        return
    requests = Throttle(settings.rate_limit)
    message = f"At most {settings.rate_limit}"

    @app.before_request
    def _count() -> None:
        if not request.path.startswith(UNLIMITED):
            caller = g.get("caller")
            requests.count(f"key {caller.name}" if caller else address(), "too_many_requests", message)
