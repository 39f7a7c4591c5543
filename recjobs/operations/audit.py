"""Read the audit: who did what, about which catalog, when."""

from datetime import datetime
from typing import Any

from recjobs.errors import Misuse
from recjobs.night.audit import of_all_catalogs


def run(
    *,
    catalog: str | None = None,
    user_id: str | None = None,
    person: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    n: int = 100,
) -> list[dict[str, Any]]:
    """Return the newest entries, of a parameter that is None of all.

    user_id: who looked at what this user of the catalog bought; a hash stands for the id. Raises Misuse for a user id
    without a catalog.
    """
    if user_id is not None and catalog is None:
        raise Misuse("--user-id needs --catalog: the same id may be somebody else in another one")
    with of_all_catalogs().connect() as session:
        session.rows("become_owner")
        return session.rows(
            "audit_entries", catalog=catalog, user_id=user_id, person=person, action=action, since=since, n=n
        )
