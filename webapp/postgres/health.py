"""The probes: whether the process is alive, whether it can answer; and what runs and is live."""

from flask import Blueprint, Response, current_app, g

from webapp.api.errors import NotFound, Unavailable
from webapp.api.operations import Operation
from webapp.api.release import version
from webapp.api.responses import as_json
from webapp.postgres.connection_pool import connection_pool
from webapp.settings import current_settings

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


@blueprint.get("/info")
@Operation("What runs here, and which batches are live?", answers="Info", errors=(400, 503))
def info() -> Response:
    """The release, and the live batch of each catalog that the caller may ask for.

    Null where nothing is published or migrated for this release.
    """
    pool, timeout_ms = connection_pool(), current_settings().page_timeout_ms
    live: dict[str, str | None] = {}
    caller = g.get("caller")
    for catalog in pool.catalogs(timeout_ms):
        if caller is not None and not caller.may_ask(catalog):
            continue
        try:
            with pool.session(catalog, timeout_ms) as session:
                session.is_spare = True
                row = session.row("live")
        except NotFound:
            continue  # dropped just now
        except Unavailable as unavailable:
            if unavailable.code != "not_migrated":
                raise
            row = None
        live[catalog] = None if row is None else row[0]
    return as_json({"version": version(), "commit": current_app.extensions["commit"], "live": live})
