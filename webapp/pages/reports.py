"""The HTML report of a night, or of a search for a better recipe, as it was written."""

from flask import Blueprint, Response

from webapp.api.errors import NotFound
from webapp.api.operations import HTML, Operation
from webapp.postgres.connection_pool import connection_pool
from webapp.settings import current_settings

blueprint = Blueprint("reports", __name__)

# The report is one self-contained file: its style is inline and its plots are data. It may run no script.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/reports/<catalog>/<batch_id>")
@Operation("The report of a night", media=HTML)
def report(catalog: str, batch_id: str) -> Response:
    """The HTML of one night's report."""
    with connection_pool().session(catalog, current_settings().page_timeout_ms) as session:
        row = session.row("report", batch_id)
    if row is None:
        raise NotFound("unknown_report", "There is no report of such a batch")
    response = Response(row[0], content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response
