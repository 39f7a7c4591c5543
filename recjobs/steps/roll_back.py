"""Make an earlier batch live again, and the model it was published with the champion, in one transaction."""

from typing import Any

from recjobs.catalog import Catalog
from recjobs.config import load_settings
from recjobs.core.batch_ids import parse_batch_id
from recjobs.night import database, let_alias_follow


def run(catalog: Catalog, batch_id: str | None = None, reason: str | None = None) -> dict[str, Any]:
    """Move the pointer to `batch_id`, or to the batch before the live one; a rerun changes nothing when an id is given.

    Raises ListsRefused when there is no such batch, Locked while a publish moves the pointer.
    """
    if batch_id is not None:
        parse_batch_id(batch_id)
    settings = load_settings()
    with database(settings, catalog, "publisher").connect() as session:
        before = session.row("live_batch")
        session.rows("roll_back", batch_id=batch_id, reason=reason)
        after = session.row("live_batch")
    assert after is not None  # roll_back raises when nothing is live
    let_alias_follow(settings, catalog, after["champion_version"])
    return {
        "catalog": catalog.name,
        "live": after["batch_id"],
        "was": before["batch_id"] if before else None,
        "champion": after["champion_version"],
    }
