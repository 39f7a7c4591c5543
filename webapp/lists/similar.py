"""The items that resemble an item, by HTTP."""

from flask import Blueprint, Response

from webapp.api.operations import operation
from webapp.api.parameters import ITEM_ID, N
from webapp.api.responses import SHARED, as_list
from webapp.lists import lookup
from webapp.postgres.connection_pool import database

blueprint = Blueprint("similar", __name__)


@blueprint.get("/v1/<catalog>/similar")
@operation("The items that resemble an item", query=(ITEM_ID, N), answers="Similar", tagged=True)
def by_query(catalog: str, item_id: str, n: int | None) -> Response:
    """The canonical form: serves any id, however odd."""
    with database().session(catalog) as session:
        return as_list(lookup.similar(session, catalog, item_id, n), SHARED)


@blueprint.get("/v1/<catalog>/items/<item_id>/similar")
@operation("The same, for plain ids", query=(N,), answers="Similar", tagged=True)
def by_path(catalog: str, item_id: str, n: int | None) -> Response:
    """The short form, for ids without `/` and dot segments."""
    with database().session(catalog) as session:
        return as_list(lookup.similar(session, catalog, item_id, n), SHARED)
