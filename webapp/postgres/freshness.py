"""How old the live lists are."""

from webapp.api.errors import NotFound, Unavailable
from webapp.postgres.connection_pool import ConnectionPool


def published_instants(pool: ConnectionPool, timeout_ms: int) -> dict[str, float]:
    """When the live lists of each catalog were published, in seconds since 1970.

    Raises `Unavailable` if Postgres is away; a catalog that is not migrated for this release is left out.
    """
    instants = {}
    for catalog in pool.catalogs(timeout_ms):
        try:
            with pool.session(catalog, timeout_ms) as session:
                session.is_spare = True
                row = session.row("freshness")
        except NotFound:
            continue  # dropped just now
        except Unavailable as unavailable:
            if unavailable.code != "not_migrated":
                raise
            continue
        if row is not None:
            instants[catalog] = row[0].timestamp()
    return instants
