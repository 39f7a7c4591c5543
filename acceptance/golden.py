"""Golden queries: requests, and what must hold for their answers; docs/acceptance.md describes the files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from acceptance.contract import Failed, check_schema
from acceptance.deployment import Answer, Deployment
from webapp.api.schemas import SCHEMAS

FOLDER = Path(__file__).with_name("golden")
FOR_ANY = FOLDER / "any.yaml"
"""Holds for every catalog; `golden/<catalog>.yaml` adds what holds for one."""


class GoldenFileError(Exception):
    """A file of golden queries cannot be used; the message names the file and the key."""


class Expectation(BaseModel):
    """What must hold for an answer; a key that is left out is not checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = 200
    """The HTTP status."""
    contract: str | None = None
    """A schema of `/openapi.json` that the answer must have."""
    source: str | None = None
    """Where the list comes from."""
    items: int | None = Field(None, ge=0)
    """How many items the list has."""
    at_least: int | None = Field(None, ge=1)
    """How many items the list has at least."""
    contains: tuple[str, ...] = ()
    """Ids of items that must be in the list."""
    lacks: tuple[str, ...] = ()
    """Ids of items that must not be in it, such as what a rule hides or the user already has."""
    first: dict[str, Any] | None = None
    """Members of the first item, such as a pinned one's `item_id` and `source`."""
    sources: tuple[str, ...] = ()
    """The only sources that items may have."""
    members: dict[str, Any] | None = None
    """Members of the answer; those that are not named may have any value."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers and their values."""
    revalidates: bool = False
    """Whether the same request with the answer's ETag must get 304."""
    within_ms: int | None = Field(None, ge=1)
    """How long the answer may take."""

    @model_validator(mode="after")
    def _check_contract(self) -> Self:
        if self.contract and self.contract not in SCHEMAS:
            raise ValueError(f"contract: {self.contract!r} is none of {', '.join(SCHEMAS)}")
        return self


class Query(BaseModel):
    """One request and its expectation. `{catalog}` in the path becomes the catalog's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """A sentence about what holds; printed."""
    get: str | None = Field(None, pattern="^/")
    post: str | None = Field(None, pattern="^/")
    body: Any = None
    """JSON; only with `post`."""
    send: dict[str, str] = Field(default_factory=dict)
    """Headers of the request."""
    expect: Expectation

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        if (self.get is None) == (self.post is None) or (self.body is None) != (self.post is None):
            raise ValueError("has to have either `get`, or `post` with a `body`")
        return self


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    queries: tuple[Query, ...] = Field(min_length=1)


def read(path: Path) -> tuple[Query, ...]:
    """Return the queries of a file. Raises `GoldenFileError`."""
    try:
        return _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).queries
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise GoldenFileError(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise GoldenFileError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}") from None


def files_of(catalog: str) -> list[Path]:
    """The files of queries that hold for a catalog."""
    return [path for path in (FOR_ANY, FOLDER / f"{catalog}.yaml") if path.exists()]


def check(deployment: Deployment, query: Query, catalog: str) -> str:
    """Ask, and return the answer in a few words; raises `Failed`, and `NoAnswer` if none came."""
    path = (query.get or query.post or "").replace("{catalog}", catalog)
    answer = deployment.ask(path, query.body, query.send)
    if reasons := list(_differences(query.expect, path, answer)):
        raise Failed(f"{'GET' if query.get else 'POST'} {path}: {'; '.join(reasons)}")
    if query.expect.revalidates:
        etag = answer.headers.get("ETag", "")
        again = deployment.ask(path, query.body, {**query.send, "If-None-Match": etag})
        if again.status != 304 and again.headers.get("ETag") == etag:
            raise Failed(f"{path} with If-None-Match: {etag or 'no ETag'} is {again.status}, not 304")
    return f"{answer.status} in {answer.milliseconds:.0f} ms"


def _differences(expect: Expectation, path: str, answer: Answer) -> Iterator[str]:
    if answer.status != expect.status:
        yield f"status {answer.summary}, not {expect.status}"
        return
    if expect.contract:
        check_schema(path, answer, expect.contract)
    found = answer.json
    yield from _of_list(expect, found if isinstance(found, dict) else {})
    if expect.members is not None and (place := _missing(expect.members, found)):
        yield f"members: {place}"
    for name, value in expect.headers.items():
        if answer.headers.get(name) != value:
            yield f"header {name} is {answer.headers.get(name)!r}, not {value!r}"
    if expect.within_ms and answer.milliseconds > expect.within_ms:
        yield f"took {answer.milliseconds:.0f} ms, at most {expect.within_ms} allowed"


def _of_list(expect: Expectation, found: dict[str, Any]) -> Iterator[str]:
    items = [item for item in found.get("items") or () if isinstance(item, dict)]
    ids = [item.get("item_id") for item in items]
    if expect.source and found.get("source") != expect.source:
        yield f"source {found.get('source')!r}, not {expect.source!r}"
    if expect.items is not None and len(items) != expect.items:
        yield f"{len(items)} items, not {expect.items}"
    if expect.at_least is not None and len(items) < expect.at_least:
        yield f"{len(items)} items, at least {expect.at_least} wanted"
    if absent := [i for i in expect.contains if i not in ids]:
        yield f"lacks {', '.join(absent)}"
    if present := [i for i in expect.lacks if i in ids]:
        yield f"has {', '.join(present)}, which must not be in it"
    if expect.first is not None and (place := _missing(expect.first, items[0] if items else None)):
        yield f"first item: {place}"
    if others := sorted({str(item.get("source")) for item in items} - {*expect.sources}) if expect.sources else []:
        yield f"items of the source {', '.join(others)}; only {', '.join(expect.sources)} allowed"


def _missing(expected: Any, found: Any) -> str | None:
    """Where `found` lacks what is expected; None if it has all of it."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{found!r} has no {', '.join(expected)}"
        places = ((key, _missing(value, found.get(key))) for key, value in expected.items())
        return next((f"{key}: {place}" for key, place in places if place), None)
    return None if expected == found else f"{found!r}, not {expected!r}"
