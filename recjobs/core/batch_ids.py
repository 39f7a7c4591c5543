"""Names of batches: the instant a night looks back from, and the attempt at it."""

import re
from datetime import UTC, datetime, timedelta

from recjobs.errors import Misuse

_PATTERN = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([1-9][0-9]{0,5})")
_INSTANT = "%Y%m%dT%H%M%SZ"


def batch_id_of(as_of: datetime, attempt: int) -> str:
    """`YYYYMMDDTHHMMSSZ-k`; ids of one length sort like (as_of, attempt)."""
    at = as_of.astimezone(UTC)
    return f"{at.year:04}{at:{_INSTANT[2:]}}-{attempt}"


def parse_batch_id(batch_id: str) -> tuple[datetime, int]:
    """The (as_of, attempt) of a batch id. Raises Misuse for anything else."""
    match = _PATTERN.fullmatch(batch_id)
    if not match:
        raise Misuse(f"{batch_id!r} is no batch id: they look like 20111209T125001Z-1")
    try:
        return datetime.strptime(match[1], _INSTANT).replace(tzinfo=UTC), int(match[2])
    except ValueError:
        raise Misuse(f"{batch_id!r} is no batch id: there is no such instant") from None


def is_batch_id(text: str) -> bool:
    """Whether `parse_batch_id` would take it."""
    try:
        parse_batch_id(text)
    except Misuse:
        return False
    return True


def parse_as_of(text: str) -> datetime:
    """The exclusive end of what a night may see: an instant, or a bare date for the end of that day, in UTC.

    >>> parse_as_of("2011-12-09").isoformat()
    '2011-12-10T00:00:00+00:00'
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise Misuse(f"as_of {text!r} has no offset: write {text}Z for UTC")
        at = at.astimezone(UTC)
        return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise Misuse(f"as_of {text!r} is neither a date (2011-12-09) nor an instant (2011-12-09T12:50:00Z)") from None
