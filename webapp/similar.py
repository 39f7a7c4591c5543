"""The items that resemble an item, by HTTP."""

from flask import Blueprint, Response

from webapp import lists
from webapp.answers import SHARED, as_list
from webapp.db import database
from webapp.parameters import an_id, check_path, list_length, query

blueprint = Blueprint("similar", __name__)


@blueprint.get("/v1/<catalog>/similar")
def by_query(catalog: str) -> Response:
    """The canonical form: serves any id, however odd."""
    values = query("item_id", "n")
    return _answer(catalog, values.get("item_id"), list_length(values))


@blueprint.get("/v1/<catalog>/items/<item_id>/similar")
def by_path(catalog: str, item_id: str) -> Response:
    """The short form, for ids without `/` and dot segments."""
    check_path()
    return _answer(catalog, item_id, list_length(query("n")))


def _answer(catalog: str, item_id: str | None, n: int | None) -> Response:
    item_id = an_id("item_id", item_id)
    with database().session(catalog) as session:
        return as_list(lists.similar(session, catalog, item_id, n), SHARED)
