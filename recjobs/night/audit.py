"""The audit: who did what, in Postgres beside all catalogs. Changes of rules, pointer and champion are noted by
triggers, whatever program makes them; this is for what changes no table of a catalog."""

from typing import Any

from recjobs.adapters.postgres import Database, Session
from recjobs.config import load_settings


def of_all_catalogs() -> Database:
    """Postgres as the owner, without a catalog."""
    settings = load_settings()
    return Database(settings.url_of("owner"), person=settings.operator)


def note(session: Session, action: str, catalog: str | None, **entry: Any) -> None:
    """Add an entry by a session that acts as the owner, in its transaction.

    action: a verb in small letters, such as `erase`. entry: `about`, a text; `details`, an object without a user id;
    `user_id`, of which a hash is stored; `person`, if it is not who runs this.
    """
    session.rows("record_audit", entry={"action": action, "catalog": catalog, **entry})
