"""What is popular, by HTTP."""

from flask import Blueprint, Response

from webapp.api.operations import operation
from webapp.api.parameters import CATEGORY, N
from webapp.api.responses import SHARED, as_list
from webapp.lists import lookup
from webapp.postgres.connection_pool import database

blueprint = Blueprint("popular", __name__)


@blueprint.get("/v1/<catalog>/popular")
@operation("What is popular, overall or in a category", query=(CATEGORY, N), answers="Popular", tagged=True)
def by_query(catalog: str, category: str | None, n: int | None) -> Response:
    """The popular list, overall or in one category."""
    with database().session(catalog) as session:
        return as_list(lookup.popular(session, catalog, category, n), SHARED)
