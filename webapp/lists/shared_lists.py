"""The routes of lists that belong to no user: similar items, items bought together, popular items, baskets."""

from flask import Blueprint, Response

from webapp.api.operations import Operation
from webapp.api.parameters import BASKET, CATEGORY, ITEM_ID, N
from webapp.api.responses import SHARED
from webapp.lists import lookup
from webapp.postgres.connection_pool import connection_pool

similar = Blueprint("similar", __name__)
together = Blueprint("together", __name__)
popular = Blueprint("popular", __name__)
basket = Blueprint("basket", __name__)


@similar.get("/v1/<catalog>/similar", endpoint="by_query")
@Operation("The items that resemble an item", query=(ITEM_ID, N), answers="Similar", tagged=True)
def similar_by_query(catalog: str, item_id: str, n: int | None) -> Response:
    """The canonical form: serves any id."""
    with connection_pool().session(catalog) as session:
        return lookup.similar(session, catalog, item_id, n).to_response(SHARED)


@similar.get("/v1/<catalog>/items/<item_id>/similar", endpoint="by_path")
@Operation("The same, for plain ids", query=(N,), answers="Similar", tagged=True)
def similar_by_path(catalog: str, item_id: str, n: int | None) -> Response:
    """The short form, for ids without `/` and dot segments."""
    with connection_pool().session(catalog) as session:
        return lookup.similar(session, catalog, item_id, n).to_response(SHARED)


@together.get("/v1/<catalog>/together", endpoint="by_query")
@Operation("The items that are bought together with an item", query=(ITEM_ID, N), answers="Together", tagged=True)
def together_by_query(catalog: str, item_id: str, n: int | None) -> Response:
    """What stands on one order with an item, by past orders."""
    with connection_pool().session(catalog) as session:
        return lookup.together(session, catalog, item_id, n).to_response(SHARED)


@popular.get("/v1/<catalog>/popular", endpoint="by_query")
@Operation("What is popular, overall or in a category", query=(CATEGORY, N), answers="Popular", tagged=True)
def popular_by_query(catalog: str, category: str | None, n: int | None) -> Response:
    """The popular list, overall or in one category."""
    with connection_pool().session(catalog) as session:
        return lookup.popular(session, catalog, category, n).to_response(SHARED)


@basket.get("/v1/<catalog>/basket", endpoint="by_query")
@Operation(
    "What goes with all items of a basket together, then what is popular",
    query=(BASKET, N),
    answers="Basket",
    tagged=True,
)
def basket_by_query(catalog: str, item_id: list[str], n: int | None) -> Response:
    """The list for 1 to 20 items, each its own `item_id`."""
    with connection_pool().session(catalog) as session:
        return lookup.basket(session, catalog, item_id, n).to_response(SHARED)
