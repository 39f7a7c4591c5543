"""Postgres as a night sees it: one role, one catalog's schema. Imported by what must answer at once, as `status`."""

from typing import Literal

from recjobs.adapters.postgres import Database
from recjobs.catalog.names import Named
from recjobs.config import load_settings

Role = Literal["owner", "loader", "publisher", "reader", "editor"]


def database(catalog: Named, role: Role) -> Database:
    """Postgres as one role, with a catalog's schema as the search path."""
    settings = load_settings()
    return Database(settings.url_of(role), catalog.name, person=settings.operator)
