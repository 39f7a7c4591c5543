"""What is popular, by HTTP."""

from flask import Blueprint, Response

from webapp import lists
from webapp.answers import SHARED, as_list
from webapp.db import database
from webapp.operations import operation
from webapp.parameters import CATEGORY, N

blueprint = Blueprint("popular", __name__)


@blueprint.get("/v1/<catalog>/popular")
@operation("What is popular, overall or in a category", query=(CATEGORY, N), answers="Popular", tagged=True)
def by_query(catalog: str, category: str | None, n: int | None) -> Response:
    """The popular list, overall or in one category."""
    with database().session(catalog) as session:
        return as_list(lists.popular(session, catalog, category, n), SHARED)
