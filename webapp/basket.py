"""What goes with a basket, by HTTP."""

from flask import Blueprint, Response

from webapp import lists
from webapp.answers import SHARED, as_list
from webapp.db import database
from webapp.operations import operation
from webapp.parameters import BASKET, N

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
        return as_list(lists.basket(session, catalog, item_id, n), SHARED)
