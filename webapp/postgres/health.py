"""The probes: whether the process is alive, and whether it can answer."""

from flask import Blueprint, Response

from webapp.api.errors import Unavailable
from webapp.api.operations import Operation
from webapp.api.responses import as_json
from webapp.postgres.connection_pool import connection_pool

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@Operation("Is the process alive?", answers="Alive", errors=(400,))
def alive() -> Response:
    """200 while the process answers at all; the database is not asked, since no restart would bring it back."""
    return as_json({"status": "alive"})


@blueprint.get("/readyz")
@Operation("Can it answer?", answers="Ready", errors=(400, 503))
def ready() -> Response:
    """200 with the live batch of each catalog; 503 when the database is away or nothing is live anywhere."""
    live = {}
    for catalog in connection_pool().catalogs():
        with connection_pool().session(catalog) as session:
            # The serving statement itself, for an id that no user has.
            row = session.row("recommendations", "", 1)
            if row is not None:
                live[catalog] = row[0]
    if not live:
        raise Unavailable("nothing_published", "Nothing is published yet in any catalog")
    return as_json({"status": "ready", "live": live})
