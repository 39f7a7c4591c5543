"""The routes of users' lists: of one user, and of many at once."""

import re
from typing import Any

from flask import Blueprint, Response

from webapp.api.errors import Refused
from webapp.api.operations import Body, Operation
from webapp.api.parameters import (
    BATCH_ID,
    CATEGORY,
    DEFAULT_N,
    EXCLUDE,
    ID,
    MAX_ID_BYTES,
    OFFSET,
    PREFER,
    USER_ID,
    N,
    read_id,
    read_query,
)
from webapp.api.responses import PERSONAL, JsonResponse
from webapp.api.schemas import structure
from webapp.lists import lookup
from webapp.lists.rendering import RenderedList
from webapp.metrics.counters import counters
from webapp.postgres.connection_pool import ConnectionPool, connection_pool
from webapp.settings import current_settings

blueprint = Blueprint("recommendations", __name__)

ROUTE = "/v1/<catalog>/recommendations"
OPTIONS = (N, OFFSET, BATCH_ID, EXCLUDE, CATEGORY, PREFER)
QUERY = (USER_ID, *OPTIONS)
PLAIN_QUERY = re.compile(rf"user_id=([A-Za-z0-9._~-]{{1,{MAX_ID_BYTES}}})")
"""Most queries: one plain user id, and nothing to decode or check."""
MAX_USERS = 1000


@blueprint.get(ROUTE)
@Operation(
    "A user's list; the popular one for a user the batch does not know",
    query=QUERY,
    answers="Recommendations",
    errors=(400, 404, 409, 503),
    tagged=True,
)
def by_query(catalog: str, **parameters: Any) -> Response:
    """The canonical form: serves any id."""
    return _served(catalog, _respond(connection_pool(), catalog, **parameters)).to_response(PERSONAL)


def respond(pool: ConnectionPool, catalog: str, query: str) -> RenderedList:
    """What `by_query` answers to a query, without Flask."""
    if (plain := PLAIN_QUERY.fullmatch(query)) is not None:
        with pool.session(catalog) as session:
            return lookup.recommendations(session, catalog, plain[1])
    return _respond(pool, catalog, **read_query(QUERY, query))


@blueprint.get("/v1/<catalog>/users/<user_id>/recommendations")
@Operation(
    "The same, for plain ids", query=OPTIONS, answers="Recommendations", errors=(400, 404, 409, 503), tagged=True
)
def by_path(catalog: str, **parameters: Any) -> Response:
    """The short form, for ids without `/` and dot segments."""
    return _served(catalog, _respond(connection_pool(), catalog, **parameters)).to_response(PERSONAL)


@blueprint.get("/v1/<catalog>/again")
@Operation(
    "A user's own items that they are likely to need again now", query=(USER_ID, N), answers="Again", tagged=True
)
def again(catalog: str, user_id: str, n: int | None) -> Response:
    """What a user takes again and again, by frequency and the interval between purchases."""
    with connection_pool().session(catalog) as session:
        return lookup.again(session, catalog, user_id, n).to_response(PERSONAL)


def _served(catalog: str, response: RenderedList) -> RenderedList:
    counters().served(catalog, response.source)
    return response


def _respond(
    pool: ConnectionPool,
    catalog: str,
    user_id: str,
    n: int | None,
    offset: int | None,
    batch_id: str | None,
    exclude: list[str],
    category: str | None,
    prefer: list[str],
) -> RenderedList:
    options = lookup.ListOptions(offset or 0, tuple(exclude), category, tuple(prefer), batch_id)
    with pool.session(catalog) as session:
        return lookup.recommendations(session, catalog, user_id, n, options)


def _read_body(body: Any) -> tuple[list[str], int | None]:
    if not isinstance(body, dict) or body.keys() - {"user_ids", "n"} or "user_ids" not in body:
        raise Refused("bad_body", 'The body must be an object: {"user_ids": [...], "n": 10}; n may be left out')
    user_ids, n = body["user_ids"], body.get("n", DEFAULT_N)
    if not isinstance(user_ids, list) or not all(isinstance(user_id, str) and user_id for user_id in user_ids):
        raise Refused("bad_user_ids", "user_ids must be a list of ids, which are strings and not empty")
    if not 1 <= len(user_ids) <= MAX_USERS:
        raise Refused("bad_user_ids", f"user_ids must be 1 to {MAX_USERS} ids, not {len(user_ids)}")
    if type(n) is not int or n < 1:
        raise Refused("bad_n", "n must be a whole number from 1 on")
    # A larger n is refused as 999,999 is, and that fits Postgres' integers.
    return [read_id("each of user_ids", user_id) for user_id in user_ids], min(n, 999_999) if "n" in body else None


USER_IDS = {"type": "array", "items": ID, "minItems": 1, "maxItems": MAX_USERS}
MANY_USERS = Body(
    "The users, and the length of each list",
    structure({"user_ids": USER_IDS, "n": N.schema}, optional=("n",)),
    _read_body,
)


@blueprint.post("/v1/<catalog>/recommendations:batch")
@Operation(
    "The lists of up to a thousand users, in their order",
    body=MANY_USERS,
    answers="RecommendationsOfMany",
    errors=(400, 404, 408, 413, 503),
)
def of_many(catalog: str, body: tuple[list[str], int | None]) -> Response:
    """What single requests would answer, all of one batch."""
    user_ids, n = body
    with connection_pool().session(catalog, current_settings().page_timeout_ms, long=True) as session:
        lists = lookup.recommendations_of_many(session, catalog, user_ids, n)
    return JsonResponse(b'{"answers":[%b]}' % b",".join([_served(catalog, one).body() for one in lists]))
