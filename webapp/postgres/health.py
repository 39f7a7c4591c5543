"""The probes: whether the process is alive, and whether it can answer."""

from flask import Blueprint, Response

from webapp.api.errors import NotFound, Unavailable
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
    """200 with the live batch of each catalog; 503 when the database is away or nothing is live anywhere.

    Also 503 while Postgres cannot plan every statement in every catalog: then `recjobs migrate` has not run for this
    release. A process that has been ready once goes on without a catalog that breaks, for the sake of the others.
    """
    pool, live, error = connection_pool(), {}, None
    for catalog in pool.catalogs():
        try:
            pool.check(catalog)
            with pool.session(catalog) as session:
                session.is_spare = True
                # The serving statement itself, for an id that no user has.
                row = session.row("recommendations", "", 1)
        except NotFound:
            continue  # dropped just now
        except Unavailable as unavailable:
            if unavailable.code != "not_migrated":
                raise
            error = Unavailable(unavailable.code, f"{catalog}: {unavailable.message}")
            continue
        if row is not None:
            live[catalog] = row[0]
    if error and not (live and pool.has_been_ready):
        raise error
    if not live:
        raise Unavailable("nothing_published", "Nothing is published yet in any catalog")
    pool.has_been_ready = True
    return as_json({"status": "ready", "live": live})
