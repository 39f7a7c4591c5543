"""Why an item is in a user's list, or why not, by HTTP: for operators, since it tells what somebody has seen."""

from flask import Blueprint, Response

from webapp.access.operators import operator_required
from webapp.api.errors import Unavailable
from webapp.api.operations import operation
from webapp.api.parameters import ITEM_ID, USER_ID
from webapp.api.responses import as_json
from webapp.postgres.connection_pool import database

blueprint = Blueprint("trace", __name__)

ALWAYS = ("batch_id", "model_version", "computed_at", "title", "is_known_user", "list_length", "answer")
SOMETIMES = ("rank", "score", "source", "because", "seen_at", "seen_before", "rule_id", "rule_kind", "note", "reason")


@blueprint.get("/v1/<catalog>/trace")
@operator_required
@operation("Why an item is in a user's list, or why not", query=(USER_ID, ITEM_ID), answers="Trace")
def trace(catalog: str, user_id: str, item_id: str) -> Response:
    """One answer of six; of what belongs to the others, nothing."""
    with database().session(catalog) as session:
        row = session.row("trace", user_id, item_id)
    if row is None:
        raise Unavailable("nothing_published", f"Nothing is published yet in {catalog}")
    about = dict(zip(ALWAYS, row, strict=False))
    found = {name: value for name, value in zip(SOMETIMES, row[len(ALWAYS) :], strict=True) if value not in (None, [])}
    return as_json({"user_id": user_id, "item_id": item_id, "catalog": catalog, **about, **found})
