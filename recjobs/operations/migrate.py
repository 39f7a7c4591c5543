"""Bring the database up to date: the roles once, then each catalog's schema."""

from typing import Any

from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from recjobs.catalog.files import load_catalogs
from recjobs.config import load_settings
from recjobs.night.night import database


def run() -> dict[str, Any]:
    """Apply what is outstanding; a second time changes nothing."""
    settings = load_settings()
    applied = {"roles": migrate_database(Database(settings.url_of("database")))}
    for catalog in load_catalogs(settings).values():
        applied[catalog.name] = migrate_catalog(database(catalog, "owner"), catalog.description)
    return applied
