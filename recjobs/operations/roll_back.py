"""Make an earlier batch live again, and its model the champion, in one transaction."""

from dataclasses import replace
from typing import Any

from recjobs.catalog.names import Named
from recjobs.core.batch_ids import parse_batch_id
from recjobs.night.night import database, let_alias_follow


def run(
    catalog: Named, batch_id: str | None = None, reason: str | None = None, by: str | None = None
) -> dict[str, Any]:
    """Move the pointer as `move` does, then MLflow's alias."""
    result = move(catalog, batch_id, reason, by)
    let_alias_follow(catalog)
    return result


def move(catalog: Named, batch_id: str | None, reason: str | None, by: str | None = None) -> dict[str, Any]:
    """Move the pointer to `batch_id`, or to the batch that was live before, by the publish log.

    by: who, for the audit; None: who runs this. With an id, a second time changes nothing. Raises ListsRefused if there
    is no such batch, Locked while a publish moves the pointer or somebody else holds what moves with it.
    """
    if batch_id is not None:
        parse_batch_id(batch_id)
    publisher = database(catalog, "publisher")
    with (replace(publisher, person=by) if by else publisher).connect() as session:
        before = session.row("live_batch")
        session.call("roll_back", to_batch=batch_id, why=reason)
        after = session.row("live_batch")
    assert after is not None  # noqa: S101 - roll_back raises when nothing is live
    return {
        "catalog": catalog.name,
        "live": after["batch_id"],
        "was": before["batch_id"] if before else None,
        "champion": after["champion_version"],
    }
