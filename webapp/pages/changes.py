"""What changed with the live batch: in one customer's list, and in what the catalogue shows to whom."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, render_template

from webapp.api.parameters import an_id, query
from webapp.pages.page_context import around_all, opened
from webapp.postgres.connection_pool import Session

blueprint = Blueprint("changes", __name__)

N_ITEMS = 15
PREVIOUS = ("batch_id", "as_of", "ended_at", "ended_by", "live_batch_id")


@blueprint.get("/changes")
def catalogue() -> str:
    """Which items and categories are shown to more customers than before, and which to fewer."""
    asked = an_id("catalog", query("catalog").get("catalog"))
    with opened(asked, around_all(), "changes", whole=True) as (session, frame):
        previous = session.row("previous_batch")
        about = dict(zip(PREVIOUS, previous, strict=True)) if previous else None
        counted = bool(about) and bool(session.row("exposure_counted"))
        return render_template(
            "changes.html",
            previous=about,
            counted=counted,
            gains=_moves(session, 1) if counted else [],
            losses=_moves(session, -1) if counted else [],
            categories=_categories(session) if counted else [],
            **frame,
        )


def of_customer(session: Session, user_id: str, items: Sequence[dict[str, Any]], shown: int) -> dict[str, Any] | None:
    """How the first `shown` items of a customer's list differ from those of the batch before.

    items: all that is served, of the live batch. None: there is no batch before, or it was flipped this moment.
    `was` has the earlier rank of each item, `entered`, `left` and `moved` are in order of rank; `known` is false for a
    customer whom the batch before did not know.
    """
    row = session.row("previous_list", user_id)
    if row is None:
        return None
    *about, item_ids, titles = row
    found: dict[str, Any] = dict(zip(PREVIOUS, about, strict=True))
    if not items or found["live_batch_id"] is None:
        return None
    if item_ids is None:
        return found | {"known": False, "was": {}, "entered": [], "left": [], "moved": []}
    return found | {"known": True} | compared(items, item_ids, dict(zip(item_ids, titles, strict=True)), shown)


def compared(
    items: Sequence[dict[str, Any]], before: Sequence[str], titles: dict[str, str | None], shown: int
) -> dict[str, Any]:
    """Two lists beside each other, looking at the first `shown` of each; ranks count from 1."""
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


def _moves(session: Session, sign: int) -> list[dict[str, Any]]:
    names = ("item_id", "title", "category", "now", "was", "now_top10", "was_top10")
    return [dict(zip(names, row, strict=True)) for row in session.rows("exposure_moved", sign, N_ITEMS)]


def _categories(session: Session) -> list[dict[str, Any]]:
    rows = session.rows("exposure_categories", N_ITEMS)
    return [dict(zip(("category", "share", "share_before"), row, strict=True)) for row in rows]
