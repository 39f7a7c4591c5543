"""Bring the database up to date: the roles once, then each catalog's schema."""

import logging
from typing import Any

from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from recjobs.catalog.files import read_catalogs
from recjobs.catalog.names import CatalogName
from recjobs.config import load_settings
from recjobs.errors import RecjobsError, SystemAway
from recjobs.night.catalogs import schemas
from recjobs.night.database import database

log = logging.getLogger(__name__)


def run() -> dict[str, Any]:
    """Apply what is outstanding; a second time changes nothing.

    A schema without a file that can be read is served as well, so it is migrated too, and keeps its description. What
    one catalog lacks stops no other: the first error is raised at the end.
    """
    settings = load_settings()
    applied = {"roles": migrate_database(Database(settings.url_of("database")))}
    catalogs, broken = read_catalogs(settings)
    for error in broken.values():
        log.warning("%s", error)
    descriptions: dict[str, str | None] = {name: catalog.description for name, catalog in catalogs.items()}
    descriptions |= {name: None for name in schemas(settings) if name not in catalogs}
    errors: list[RecjobsError] = []
    for name, description in descriptions.items():
        try:
            applied[name] = migrate_catalog(database(CatalogName(name), "owner"), description)
        except SystemAway:
            raise
        except RecjobsError as error:
            errors.append(error)
    if errors:
        for other in errors[1:]:
            log.warning("%s", other)
        raise errors[0]
    return applied
