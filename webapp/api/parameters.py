"""A request's parameters: what each may be, and reading them exactly, or not at all.

Ids are byte-exact, so a query that is not UTF-8 is refused here, where Flask's own parser would silently put U+FFFD
in its place and look up another id.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import request

from webapp.api.errors import Refused

MAX_ID_BYTES = 256
DEFAULT_N = 20

Part = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """What a parameter may be, for /openapi.json and for reading it. many: how often it may stand; 0: once."""

    name: str
    description: str
    schema: Part
    read: Callable[[str, str | None], Any]
    required: bool = False
    many: int = 0


def query(*allowed: str) -> dict[str, str]:
    """The query's parameters; raises `Refused` for an unknown, a repeated or an undecodable one."""
    values: dict[str, str] = {}
    for name, value in _pairs(allowed, request.environ.get("QUERY_STRING", "")):
        if name in values:
            raise _repeated(name)
        values[name] = value
    return values


def read_query(parameters: tuple[Parameter, ...], given: str) -> dict[str, Any]:
    """The value of every one of these parameters; None, or an empty list, for one that is not there."""
    texts: dict[str, list[str]] = {parameter.name: [] for parameter in parameters}
    for name, value in _pairs(texts, given):
        texts[name].append(value)
    values: dict[str, Any] = {}
    for parameter in parameters:
        name, found = parameter.name, texts[parameter.name]
        if len(found) > (parameter.many or 1):
            raise _repeated(name, parameter.many)
        if parameter.many:
            values[name] = [parameter.read(name, text) for text in found]
        else:
            values[name] = parameter.read(name, found[0]) if found else None
        if parameter.required and not found:
            raise _missing(name)
    return values


def _pairs(allowed: Any, given: str) -> Iterator[tuple[str, str]]:
    for piece in given.split("&"):
        if piece:
            raw_name, _, value = piece.partition("=")
            name = _decoded(raw_name)
            if name not in allowed:
                raise Refused("unknown_parameter", f"Unknown parameter; allowed here: {', '.join(allowed) or 'none'}")
            yield name, _decoded(value)


def _repeated(name: str, many: int = 0) -> Refused:
    return Refused("repeated_parameter", f"{name} may be given {f'{many} times' if many else 'once'}")


def _missing(name: str) -> Refused:
    return Refused("missing_parameter", f"{name} is missing")


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
        raise _missing(name)
    if "\0" in value or len(value.encode("utf-8")) > MAX_ID_BYTES:
        raise Refused("bad_id", f"{name} must be 1 to {MAX_ID_BYTES} bytes without NUL")
    return value


def a_length(name: str, value: str | None) -> int:
    """How many items were asked for; the upper end depends on the batch and is checked by `lists`."""
    text = value or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise Refused("bad_n", f"{name} must be a whole number from 1 on")
    return int(text)


def an_offset(name: str, value: str | None) -> int:
    """How many places to skip; the upper end depends on the batch and is checked by `lists`."""
    text = value or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise Refused("bad_offset", f"{name} must be a whole number from 0 on")
    return int(text)


def an_id_parameter(name: str, description: str, required: bool = True, many: int = 0) -> Parameter:
    """A parameter that is an id."""
    return Parameter(name, description, ID, an_id, required, many)


ID: Part = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES, "pattern": "^[^\\u0000]+$"}
BYTES = f"byte for byte, 1 to {MAX_ID_BYTES} bytes of UTF-8"
CATALOG_NAME = "^[a-z][a-z0-9_]{0,47}$"
USER_ID = an_id_parameter("user_id", f"The user's external id, {BYTES}")
ITEM_ID = an_id_parameter("item_id", f"The item's external id, {BYTES}")
CATEGORY = an_id_parameter("category", "Only this category", required=False)
N = Parameter(
    "n",
    "How many items; at most what the catalog serves (`top_n.served`)",
    {"type": "integer", "minimum": 1, "default": DEFAULT_N},
    a_length,
)
OFFSET = Parameter(
    "offset",
    "How many places to skip; offset + n is at most what the catalog serves",
    {"type": "integer", "minimum": 0, "default": 0},
    an_offset,
)
EXCLUDE = an_id_parameter("exclude", "An item to leave out", required=False, many=100)
PREFER = an_id_parameter("prefer", "A category that comes first for a user the batch does not know", False, many=20)
BASKET = an_id_parameter("item_id", f"An item of the basket, {BYTES}", many=20)
PLACES = {
    "catalog": Parameter("catalog", "Which catalog", {"type": "string", "pattern": CATALOG_NAME}, an_id),
    "user_id": an_id_parameter("user_id", f"{USER_ID.description}, without `/` and dot segments"),
    "item_id": an_id_parameter("item_id", f"{ITEM_ID.description}, without `/` and dot segments"),
    "batch_id": an_id_parameter("batch_id", "Which night"),
}
"""What may stand in a path, by its name there."""
