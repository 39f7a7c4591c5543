"""How old the live lists are."""

from webapp.api.errors import NotFound, Unavailable
from webapp.postgres.connection_pool import ConnectionPool


def live_lists(pool: ConnectionPool, timeout_ms: int) -> dict[str, tuple[float, float | None]]:
    """When the live lists of each catalog were published, in seconds since 1970, and after how many they are too old.

    Raises `Unavailable` if Postgres is away; a catalog that is not migrated for this release is left out.
    """
    live: dict[str, tuple[float, float | None]] = {}
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
            live[catalog] = row[0].timestamp(), None if row[1] is None else row[1] * 3600
    return live
