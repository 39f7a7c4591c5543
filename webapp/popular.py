"""What is popular, by HTTP."""

from flask import Blueprint, Response

from webapp import lists
from webapp.answers import SHARED, as_list
from webapp.db import database
from webapp.parameters import an_id, list_length, query

blueprint = Blueprint("popular", __name__)


@blueprint.get("/v1/<catalog>/popular")
def by_query(catalog: str) -> Response:
    """The popular list, overall or in one category."""
    values = query("category", "n")
    category = an_id("category", values["category"]) if "category" in values else None
    n = list_length(values)
    with database().session(catalog) as session:
        return as_list(lists.popular(session, catalog, category, n), SHARED)
