"""Reading a request's parameters: exactly, or not at all.

Ids are byte-exact, so a query that is not UTF-8 is refused here, where Flask's own parser would silently put U+FFFD
in its place and look up another id.
"""

from urllib.parse import parse_qsl

from flask import request

from webapp.errors import Refused

MAX_ID_BYTES = 256
DEFAULT_N = 20


def check_path() -> None:
    """Refuse a path that is not UTF-8."""
    raw = request.environ["PATH_INFO"]
    if not raw.isascii():
        try:
            raw.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise Refused("bad_encoding", "The path is not UTF-8") from None


def query(*allowed: str) -> dict[str, str]:
    """The query's parameters; raises `Refused` for an unknown, a repeated or an undecodable one."""
    raw = request.environ.get("QUERY_STRING", "")
    if not raw:
        return {}
    try:
        # From latin-1, as WSGI has it, so that bytes sent without %-escapes are checked too.
        pairs = parse_qsl(raw.encode("latin-1"), keep_blank_values=True, max_num_fields=20)
        decoded = [(name.decode("utf-8"), value.decode("utf-8")) for name, value in pairs]
    except UnicodeError:
        raise Refused("bad_encoding", "The query is not UTF-8") from None
    except ValueError:
        raise Refused("bad_query", "The query has too many parameters") from None
    values = dict(decoded)
    unknown = sorted(values.keys() - set(allowed))
    if unknown:
        raise Refused("unknown_parameter", f"Unknown parameter; allowed here: {', '.join(allowed) or 'none'}")
    if len(values) != len(decoded):
        raise Refused("repeated_parameter", "Each parameter may be given once")
    return values


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
