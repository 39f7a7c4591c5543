"""Reading a request's parameters: exactly, or not at all.

Ids are byte-exact, so a query that is not UTF-8 is refused here, where Flask's own parser would silently put U+FFFD
in its place and look up another id.
"""

from urllib.parse import unquote_to_bytes

from flask import request

from webapp.errors import Refused

MAX_ID_BYTES = 256
DEFAULT_N = 20


def query(*allowed: str) -> dict[str, str]:
    """The query's parameters; raises `Refused` for an unknown, a repeated or an undecodable one."""
    values: dict[str, str] = {}
    for piece in request.environ.get("QUERY_STRING", "").split("&"):
        if piece:
            raw_name, _, value = piece.partition("=")
            name = _decoded(raw_name)
            if name not in allowed:
                raise Refused("unknown_parameter", f"Unknown parameter; allowed here: {', '.join(allowed) or 'none'}")
            if name in values:
                raise Refused("repeated_parameter", f"{name} may be given once")
            values[name] = _decoded(value)
    return values


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    try:
        # From latin-1, as WSGI has it, so that bytes sent without %-escapes are checked too.
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise Refused("bad_encoding", "The query is not UTF-8") from None


def check_path() -> None:
    """Refuse a path that is not UTF-8, for the routes that have an id in it."""
    raw = request.environ["PATH_INFO"]
    if not raw.isascii():
        try:
            raw.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise Refused("bad_encoding", "The path is not UTF-8") from None


def an_id(name: str, value: str | None) -> str:
    """An external id as the tables may hold it: 1 to 256 bytes, no NUL."""
    if not value:
        raise Refused("missing_parameter", f"{name} is missing")
    if "\0" in value or len(value.encode("utf-8")) > MAX_ID_BYTES:
        raise Refused("bad_id", f"{name} must be 1 to {MAX_ID_BYTES} bytes without NUL")
    return value


def list_length(values: dict[str, str]) -> int | None:
    """The n that was asked for, or None; its upper end depends on the batch and is checked by `lists`."""
    text = values.get("n")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise Refused("bad_n", "n must be a whole number from 1 on")
    return int(text)
