"""What changed with the live batch: in one customer's list, and in how many lists each item and category is."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, render_template

from webapp.api.parameters import query, read_id
from webapp.pages.page_context import Record, catalog_page, records, site_context
from webapp.postgres.read_session import ReadSession

blueprint = Blueprint("changes", __name__)

N_ITEMS = 15
PREVIOUS = ("batch_id", "as_of", "ended_at", "ended_by", "live_batch_id")
EXPOSURE = ("item_id", "title", "category", "now", "was", "now_top10", "was_top10")
SHARE = ("category", "share", "share_before")


@blueprint.get("/changes")
def catalogue() -> str:
    """Which items and categories are shown to more customers than before, and which to fewer."""
    catalog = read_id("catalog", query("catalog").get("catalog"))
    with catalog_page(catalog, site_context(), "changes", long=True) as (session, context):
        previous = next(iter(records(session, PREVIOUS, "previous_batch")), None)
        counted = bool(previous) and bool(session.row("exposure_counted"))
        return render_template(
            "changes.html",
            previous=previous,
            counted=counted,
            gains=records(session, EXPOSURE, "exposure_moved", 1, N_ITEMS) if counted else [],
            losses=records(session, EXPOSURE, "exposure_moved", -1, N_ITEMS) if counted else [],
            categories=records(session, SHARE, "exposure_categories", N_ITEMS) if counted else [],
            **context,
        )


def of_customer(session: ReadSession, user_id: str, items: Sequence[Record], shown: int) -> Record | None:
    """How the first `shown` items of a customer's list differ from those of the previous batch.

    items: the whole served list, of the live batch. None: there is no previous batch, or the pointer moved meanwhile.
    `was` has the earlier rank of each item; `entered`, `left` and `moved` are in order of rank; `known` is false for a
    customer unknown to the previous batch.
    """
    row = session.row("previous_list", user_id)
    if row is None:
        return None
    *columns, item_ids, titles = row
    changes: Record = dict(zip(PREVIOUS, columns, strict=True))
    if not items or changes["live_batch_id"] is None:
        return None
    if item_ids is None:
        return changes | {"known": False, "was": {}, "entered": [], "left": [], "moved": []}
    return changes | {"known": True} | compare(items, item_ids, dict(zip(item_ids, titles, strict=True)), shown)


def compare(
    items: Sequence[Record], before: Sequence[str], titles: dict[str, str | None], shown: int
) -> dict[str, Any]:
    """Compare the first `shown` items of two lists; ranks count from 1."""
    was = {item_id: rank for rank, item_id in enumerate(before, 1)}
    now = {item["item_id"]: item["rank"] for item in items}
    rows = [
        {"item_id": item["item_id"], "title": item["title"], "now": item["rank"], "was": was.get(item["item_id"])}
        for item in items[:shown]
    ]
    stayed = [row for row in rows if row["was"] and row["was"] <= shown]
    return {
        "was": was,
        "entered": [row for row in rows if row not in stayed],
        "left": [
            {"item_id": item_id, "title": titles.get(item_id), "now": now.get(item_id), "was": rank}
            for rank, item_id in enumerate(before[:shown], 1)
            if now.get(item_id, shown + 1) > shown
        ],
        "moved": [row for row in stayed if row["was"] != row["now"]],
    }
