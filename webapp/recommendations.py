"""A user's recommendations, by HTTP."""

from flask import Blueprint, Response

from webapp import lists
from webapp.answers import PERSONAL, as_list
from webapp.db import database
from webapp.parameters import an_id, check_path, list_length, query

blueprint = Blueprint("recommendations", __name__)


@blueprint.get("/v1/<catalog>/recommendations")
def by_query(catalog: str) -> Response:
    """The canonical form: serves any id, however odd."""
    values = query("user_id", "n")
    return _answer(catalog, values.get("user_id"), list_length(values))


@blueprint.get("/v1/<catalog>/users/<user_id>/recommendations")
def by_path(catalog: str, user_id: str) -> Response:
    """The short form, for ids without `/` and dot segments."""
    check_path()
    return _answer(catalog, user_id, list_length(query("n")))


def _answer(catalog: str, user_id: str | None, n: int | None) -> Response:
    user_id = an_id("user_id", user_id)
    with database().session(catalog) as session:
        return as_list(lists.recommendations(session, catalog, user_id, n), PERSONAL)
