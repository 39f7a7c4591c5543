"""Whether an answer is what `/openapi.json` of this checkout promises, and a list one that can be shown."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from acceptance.deployment import Answer
from webapp.api.schemas import SCHEMAS


class Failed(Exception):
    """What was found does not hold; the message says what and what should."""


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"components": {"schemas": SCHEMAS}, "$ref": f"#/components/schemas/{name}"})


def check_schema(path: str, answer: Answer, name: str) -> Any:
    """Return the JSON of an answer; raises `Failed` if it is no `name`, one of `webapp.api.schemas.SCHEMAS`."""
    found = answer.json
    if error := best_match(_validator(name).iter_errors(found)):
        place = "/".join(map(str, error.absolute_path)) or "the answer"
        raise Failed(f"GET {path} is no {name} of this release: {place}: {error.message[:200]}")
    return found


def check_list(path: str, found: dict[str, Any], *, may_be_empty: bool = False) -> None:
    """Raises `Failed` unless a list has items, all different, at ranks 1, 2, 3 and so on."""
    items = found["items"]
    if not items and not may_be_empty:
        raise Failed(f"GET {path} has an empty list (source {found['source']})")
    if [item["rank"] for item in items] != list(range(1, len(items) + 1)):
        raise Failed(f"GET {path} has the ranks {[item['rank'] for item in items]}, not 1 to {len(items)}")
    ids = [item["item_id"] for item in items]
    if twice := next((i for i in ids if ids.count(i) > 1), None):
        raise Failed(f"GET {path} has the item {twice!r} twice")
