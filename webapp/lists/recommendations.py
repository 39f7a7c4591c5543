"""A user's recommendations, by HTTP; and those of many users at once."""

import re
from typing import Any

from flask import Blueprint, Response

from webapp.api.errors import Refused
from webapp.api.operations import Body, operation
from webapp.api.parameters import (
    CATEGORY,
    DEFAULT_N,
    EXCLUDE,
    ID,
    MAX_ID_BYTES,
    OFFSET,
    PREFER,
    USER_ID,
    N,
    an_id,
    read_query,
)
from webapp.api.responses import PERSONAL, JsonResponse, as_list
from webapp.lists import lookup
from webapp.lists.rendering import Answer
from webapp.postgres.connection_pool import Database, database

blueprint = Blueprint("recommendations", __name__)

ROUTE = "/v1/<catalog>/recommendations"
NARROWED = (N, OFFSET, EXCLUDE, CATEGORY, PREFER)
QUERY = (USER_ID, *NARROWED)
PLAIN = re.compile(rf"user_id=([A-Za-z0-9._~-]{{1,{MAX_ID_BYTES}}})")
"""Most queries; what they ask for can be told at a glance."""
MAX_USERS = 1000


@blueprint.get(ROUTE)
@operation(
    "A user's list; the popular one for a user the batch does not know",
    query=QUERY,
    answers="Recommendations",
    tagged=True,
)
def by_query(catalog: str, **wanted: Any) -> Response:
    """The canonical form: serves any id, however odd."""
    return as_list(_answer(database(), catalog, **wanted), PERSONAL)


def answer(database: Database, catalog: str, query: str) -> Answer:
    """What `by_query` answers, without Flask."""
    if (plain := PLAIN.fullmatch(query)) is not None:
        with database.session(catalog) as session:
            return lookup.recommendations(session, catalog, plain[1])
    return _answer(database, catalog, **read_query(QUERY, query))


@blueprint.get("/v1/<catalog>/users/<user_id>/recommendations")
@operation("The same, for plain ids", query=NARROWED, answers="Recommendations", tagged=True)
def by_path(catalog: str, **wanted: Any) -> Response:
    """The short form, for ids without `/` and dot segments."""
    return as_list(_answer(database(), catalog, **wanted), PERSONAL)


def _answer(
    database: Database,
    catalog: str,
    user_id: str,
    n: int | None,
    offset: int | None,
    exclude: list[str],
    category: str | None,
    prefer: list[str],
) -> Answer:
    wish = lookup.Wish(offset or 0, tuple(exclude), category, tuple(prefer))
    with database.session(catalog) as session:
        return lookup.recommendations(session, catalog, user_id, n, wish)


def _asked(given: Any) -> tuple[list[str], int | None]:
    if not isinstance(given, dict) or given.keys() - {"user_ids", "n"} or "user_ids" not in given:
        raise Refused("bad_body", 'The body must be an object: {"user_ids": [...], "n": 10}; n may be left out')
    user_ids, n = given["user_ids"], given.get("n", DEFAULT_N)
    if not isinstance(user_ids, list) or not all(isinstance(one, str) and one for one in user_ids):
        raise Refused("bad_user_ids", "user_ids must be a list of ids, which are strings and not empty")
    if not 1 <= len(user_ids) <= MAX_USERS:
        raise Refused("bad_user_ids", f"user_ids must be 1 to {MAX_USERS} ids, not {len(user_ids)}")
    if type(n) is not int or n < 1:
        raise Refused("bad_n", "n must be a whole number from 1 on")
    # As large as you like is as wrong as 999,999 is, and fits Postgres' integers.
    return [an_id("each of user_ids", one) for one in user_ids], min(n, 999_999) if "n" in given else None


MANY = Body(
    "Whose lists, and how long",
    {
        "type": "object",
        "properties": {
            "user_ids": {"type": "array", "items": ID, "minItems": 1, "maxItems": MAX_USERS},
            "n": N.schema,
        },
        "required": ["user_ids"],
        "additionalProperties": False,
    },
    _asked,
)


@blueprint.post("/v1/<catalog>/recommendations:batch")
@operation(
    "The lists of up to a thousand users, in their order",
    body=MANY,
    answers="RecommendationsOfMany",
    errors=(400, 404, 413, 503),
)
def of_many(catalog: str, body: tuple[list[str], int | None]) -> Response:
    """What the single requests would answer, all of one batch."""
    user_ids, n = body
    with database().session(catalog, database().settings.page_timeout_ms, patiently=True) as session:
        answers = lookup.recommendations_of_many(session, catalog, user_ids, n)
    return JsonResponse(b'{"answers":[%b]}' % b",".join([answer.body() for answer in answers]))
