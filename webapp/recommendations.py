"""A user's recommendations, by HTTP."""

from flask import Blueprint, Response

from webapp import lists
from webapp.answers import PERSONAL, as_list
from webapp.db import database
from webapp.operations import operation
from webapp.parameters import USER_ID, N

blueprint = Blueprint("recommendations", __name__)


@blueprint.get("/v1/<catalog>/recommendations")
@operation(
    "A user's list; the popular one for a user the batch does not know",
    query=(USER_ID, N),
    answers="Recommendations",
    tagged=True,
)
def by_query(catalog: str, user_id: str, n: int | None) -> Response:
    """The canonical form: serves any id, however odd."""
    with database().session(catalog) as session:
        return as_list(lists.recommendations(session, catalog, user_id, n), PERSONAL)


@blueprint.get("/v1/<catalog>/users/<user_id>/recommendations")
@operation("The same, for plain ids", query=(N,), answers="Recommendations", tagged=True)
def by_path(catalog: str, user_id: str, n: int | None) -> Response:
    """The short form, for ids without `/` and dot segments."""
    with database().session(catalog) as session:
        return as_list(lists.recommendations(session, catalog, user_id, n), PERSONAL)
