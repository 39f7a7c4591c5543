"""Instants as whole microseconds since 1970 UTC, as columns hold them."""

from datetime import UTC, datetime


def microseconds(at: datetime) -> int:
    """An aware instant as microseconds since 1970 UTC."""
    return round(at.timestamp() * 1_000_000)


def instant(microseconds_since_1970: int) -> datetime:
    """The inverse of `microseconds`."""
    return datetime.fromtimestamp(int(microseconds_since_1970) / 1e6, UTC)
