"""Instants as whole microseconds since 1970 UTC, as columns hold them."""

from datetime import UTC, datetime

NO_TIME = 631_152_000_000_000
"""1990-01-01: the instant of all interactions of a catalog without times, the earliest that counts as one."""
AFTER_NO_TIME = NO_TIME + 1_000_000
"""A second later: what such a catalog's ages count from."""


def microseconds(at: datetime) -> int:
    """An aware instant as microseconds since 1970 UTC."""
    return round(at.timestamp() * 1_000_000)


def instant(microseconds_since_1970: int) -> datetime:
    """The inverse of `microseconds`."""
    return datetime.fromtimestamp(int(microseconds_since_1970) / 1e6, UTC)
