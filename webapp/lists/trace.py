"""The route that explains why an item is in a user's list or not; for operators, as it shows what the user has seen."""

from flask import Blueprint, Response

from webapp.access.operators import operator_name, viewer_required
from webapp.api.operations import Operation
from webapp.api.parameters import ITEM_ID, USER_ID
from webapp.api.responses import as_json
from webapp.api.schemas import TRACE_DETAILS
from webapp.lists.lookup import nothing_published
from webapp.postgres import audit
from webapp.postgres.connection_pool import connection_pool

blueprint = Blueprint("trace", __name__)

REQUIRED = ("batch_id", "model_version", "computed_at", "title", "is_known_user", "list_length", "answer")


@blueprint.get("/v1/<catalog>/trace")
@viewer_required
@Operation("Why an item is in a user's list, or why not", query=(USER_ID, ITEM_ID), answers="Trace")
def trace(catalog: str, user_id: str, item_id: str) -> Response:
    """One answer of six, with the members that belong to it."""
    with connection_pool().session(catalog) as session:
        row = session.row("trace", user_id, item_id)
    if row is None:
        raise nothing_published(catalog)
    audit.history_read(catalog, user_id, "trace", operator_name())
    head = dict(zip(REQUIRED, row, strict=False))
    details = {
        name: value for name, value in zip(TRACE_DETAILS, row[len(REQUIRED) :], strict=True) if value not in (None, [])
    }
    return as_json({"user_id": user_id, "item_id": item_id, "catalog": catalog, **head, **details})
