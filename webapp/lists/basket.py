"""What goes with a basket, by HTTP."""

from flask import Blueprint, Response

from webapp.api.operations import operation
from webapp.api.parameters import BASKET, N
from webapp.api.responses import SHARED, as_list
from webapp.lists import lookup
from webapp.postgres.connection_pool import database

blueprint = Blueprint("basket", __name__)


@blueprint.get("/v1/<catalog>/basket")
@operation(
    "What goes with all items of a basket together, then what is popular",
    query=(BASKET, N),
    answers="Basket",
    tagged=True,
)
def by_query(catalog: str, item_id: list[str], n: int | None) -> Response:
    """The list for 1 to 20 items, each its own `item_id`."""
    with database().session(catalog) as session:
        return as_list(lookup.basket(session, catalog, item_id, n), SHARED)
