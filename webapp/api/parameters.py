"""The parameters of requests: their schemas, and functions that read them byte for byte or refuse them.

A query that is not UTF-8 is refused here, where Flask's own parser would silently replace bytes by U+FFFD and look up
another id.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import request

from webapp.api.errors import Refused

MAX_ID_BYTES = 256
DEFAULT_N = 20
MAX_ROWS = 1000
"""Rows of one answer that tells what there is."""
MAX_OFFSET = 999_999
MAX_SHOWN = 40
"""Characters of an unknown parameter's name that a message repeats."""

Part = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter, for /openapi.json and for reading it. many: how often it may be repeated; 0: not at all."""

    name: str
    description: str
    schema: Part
    read: Callable[[str, str | None], Any]
    required: bool = False
    many: int = 0


def query(*allowed: str) -> dict[str, str]:
    """The parameters of the query; raises `Refused` for an unknown, a repeated or an undecodable one."""
    values: dict[str, str] = {}
    for name, value in _pairs(allowed, request.environ.get("QUERY_STRING", "")):
        if name in values:
            raise _repeated(name)
        values[name] = value
    return values


def read_query(parameters: tuple[Parameter, ...], text: str) -> dict[str, Any]:
    """The value of each parameter in a query; None, or an empty list, for a missing one."""
    texts: dict[str, list[str]] = {parameter.name: [] for parameter in parameters}
    for name, value in _pairs(texts, text):
        texts[name].append(value)
    values: dict[str, Any] = {}
    for parameter in parameters:
        name, raw = parameter.name, texts[parameter.name]
        if len(raw) > (parameter.many or 1):
            raise _repeated(name, parameter.many)
        if parameter.many:
            values[name] = [parameter.read(name, value) for value in raw]
        else:
            values[name] = parameter.read(name, raw[0]) if raw else None
        if parameter.required and not raw:
            raise _missing(name)
    return values


def _pairs(allowed: Any, text: str) -> Iterator[tuple[str, str]]:
    for piece in text.split("&"):
        if piece:
            raw_name, _, value = piece.partition("=")
            name = _decoded(raw_name)
            if name not in allowed:
                shown = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}..."
                known = ", ".join(allowed) or "none"
                raise Refused("unknown_parameter", f"There is no parameter {shown!r}; allowed here: {known}")
            yield name, _decoded(value)


def _repeated(name: str, many: int = 0) -> Refused:
    return Refused("repeated_parameter", f"{name} may be given {f'{many} times' if many else 'once'}")


def _missing(name: str) -> Refused:
    return Refused("missing_parameter", f"{name} is missing")


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    try:
        # From latin-1, as in WSGI, so that bytes without %-escapes are checked too.
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise Refused("bad_encoding", "The query is not UTF-8") from None


def check_path() -> None:
    """Raise `Refused` for a path that is not UTF-8."""
    raw = request.environ["PATH_INFO"]
    if not raw.isascii():
        try:
            raw.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise Refused("bad_encoding", "The path is not UTF-8") from None


def read_id(name: str, value: str | None) -> str:
    """Read an external id: 1 to 256 bytes, no NUL."""
    if not value:
        raise _missing(name)
    if "\0" in value or len(value.encode("utf-8")) > MAX_ID_BYTES:
        raise Refused("bad_id", f"{name} must be 1 to {MAX_ID_BYTES} bytes without NUL")
    return value


def read_number(name: str, value: str | None, lowest: int, highest: int | None = None) -> int:
    """Read n or offset; the upper limits of lists depend on the batch, and `webapp.lists` checks them."""
    text = value or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and lowest <= int(text) <= (highest or MAX_OFFSET)):
        upwards = f"from {lowest} on" if highest is None else f"from {lowest} to {highest}"
        raise Refused(f"bad_{name}", f"{name} must be a whole number {upwards}")
    return int(text)


def read_batch_id(name: str, text: str | None) -> str:
    """Read the id of a batch, whether or not there is one."""
    if not re.fullmatch(BATCH_ID_PATTERN, text or "", re.ASCII):
        raise Refused(f"bad_{name}", f"{name} must be the id of a batch, such as 20240101T000000Z-1")
    return text or ""


def id_parameter(name: str, description: str, required: bool = True, many: int = 0) -> Parameter:
    """A parameter that is an id."""
    return Parameter(name, description, ID, read_id, required, many)


ID: Part = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES, "pattern": "^[^\\u0000]+$"}
BYTES = f"byte for byte, 1 to {MAX_ID_BYTES} bytes of UTF-8"
BATCH_ID_PATTERN = "^[0-9]{8}T[0-9]{6}Z-[0-9]{1,6}$"
CATALOG_NAME = "^[a-z][a-z0-9_]{0,47}$"
USER_ID = id_parameter("user_id", f"The user's external id, {BYTES}")
ITEM_ID = id_parameter("item_id", f"The item's external id, {BYTES}")
CATEGORY = id_parameter("category", "Only this category", required=False)
N = Parameter(
    "n",
    "How many items; at most what the catalog serves (`top_n.served`)",
    {"type": "integer", "minimum": 1, "default": DEFAULT_N},
    partial(read_number, lowest=1),
)
OFFSET = Parameter(
    "offset",
    "How many places to skip; offset + n is at most what the catalog serves",
    {"type": "integer", "minimum": 0, "default": 0},
    partial(read_number, lowest=0),
)
N_ROWS = Parameter(
    "n",
    "How many",
    {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": DEFAULT_N},
    partial(read_number, lowest=1, highest=MAX_ROWS),
)
OFFSET_ROWS = Parameter(
    "offset",
    "How many to skip",
    {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
    partial(read_number, lowest=0, highest=MAX_OFFSET),
)
EXCLUDE = id_parameter("exclude", "An item to leave out", required=False, many=100)
BATCH_ID = Parameter(
    "batch_id",
    "The batch of the first page; 409 `batch_moved` once it is no longer live",
    {"type": "string", "pattern": BATCH_ID_PATTERN},
    read_batch_id,
)
PREFER = id_parameter("prefer", "A category that comes first for a user the batch does not know", False, many=20)
BASKET = id_parameter("item_id", f"An item of the basket, {BYTES}", many=20)
PATH_PARAMETERS = {
    "catalog": Parameter("catalog", "Which catalog", {"type": "string", "pattern": CATALOG_NAME}, read_id),
    "user_id": id_parameter("user_id", f"{USER_ID.description}, without `/` and dot segments"),
    "item_id": id_parameter("item_id", f"{ITEM_ID.description}, without `/` and dot segments"),
    "batch_id": id_parameter("batch_id", "Which night"),
}
"""The parameters of paths, by their names there."""
