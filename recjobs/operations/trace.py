"""Explain why an item is in a user's list, or why not, from the database and the night's artifacts."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc

from recjobs.catalog.names import Named
from recjobs.core.lists.explanation import explained
from recjobs.core.recipe import Recipe
from recjobs.errors import Misuse, RecjobsError
from recjobs.night.lists import NightLists
from recjobs.night.night import Night, database


def run(catalog: Named, user_id: str, item_id: str) -> dict[str, Any]:
    """Return user_id, item_id, batch_id, `answer` (listed, seen, blocked, ineligible, unknown_item or below), the
    fields that belong to it, and `text`, the answer as a sentence.

    A rank below the stored list is computed anew, before rules; it is missing without the batch's artifacts. So are, of
    a model with a second stage, first_stage_rank, is_candidate and moved_by, see `explanation.Explanation`. Raises
    Misuse if nothing is published.
    """
    with database(catalog, "reader").connect() as session:
        row = session.call("trace", user_id=user_id, item_id=item_id)
        session.rows("record_read", user_id=user_id, how="trace")
    if row is None:
        raise Misuse(f"catalog {catalog.name}: nothing is published yet, so nobody has a list")
    if (row["answer"] == "below" and row["rank"] is None) or (row["answer"] == "seen" and row["seen_at"] is None):
        row |= _from_artifacts(catalog, row, user_id, item_id)
    if row["answer"] in ("listed", "below") and row["is_known_user"]:
        row |= _of_stages(catalog, row, user_id, item_id)
    fields = {name: value for name, value in row.items() if value is not None}
    return {"user_id": user_id, "item_id": item_id, **fields, "text": _sentence(row, user_id, item_id) + _stages(row)}


def _from_artifacts(catalog: Named, row: dict[str, Any], user_id: str, item_id: str) -> dict[str, Any]:
    try:
        lists = NightLists(Night.open(catalog, row["batch_id"]))
        item, user = pc.index(lists.item_ids, item_id).as_py(), pc.index(lists.user_ids, user_id).as_py()
        if row["answer"] == "seen":
            rows = lists.past.interactions
            if not lists.night.catalog.has_times:
                return {}
            at = rows.occurred_at[(rows.user_idx == user) & (rows.item_idx == item)].max()
            return {"seen_at": datetime.fromtimestamp(at / 1e6, UTC), "seen_before": None}
        order = lists.maker.ladder.overall.order
        if row["is_known_user"]:
            order = lists.maker.lists(np.array([user]), len(lists.item_ids)).ranked.item_idx[0]
        place = np.flatnonzero(order == item)
    except (RecjobsError, ValueError, LookupError):  # pruned by now, or left by another version
        return {}
    # Rounding may differ from the night's own, never so far that the item would have been stored.
    return {"rank": max(int(place[0]) + 1, row["list_length"] + 1)} if place.size else {}


def _of_stages(catalog: Named, row: dict[str, Any], user_id: str, item_id: str) -> dict[str, Any]:
    """What the stages made of an item; nothing without a second stage, or where its night cannot be read."""
    try:
        night = Night.open(catalog, row["batch_id"])
        champion = night.request.champion
        if not (night.catalog.recipe.rerank or (champion and Recipe.from_json(champion.recipe).rerank)):
            return {}
        lists = NightLists(night)
        item, user = pc.index(lists.item_ids, item_id).as_py(), pc.index(lists.user_ids, user_id).as_py()
        known = min(item, user) >= 0
        result = explained(lists.maker, user, item) if known else None
    except (RecjobsError, ValueError, LookupError):
        return {}
    if result is None:
        return {}
    moved_by = [{"feature": name, "value": value, "adds": round(adds, 4)} for name, value, adds in result.moved_by]
    return {
        "first_stage_rank": result.first_stage_rank,
        "is_candidate": result.is_candidate,
        "moved_by": moved_by or None,
    }


def _stages(row: dict[str, Any]) -> str:
    """What the stages made of the item, behind the sentence."""
    if row.get("first_stage_rank") is None:
        return ""
    rank = f"; at rank {row['first_stage_rank']} by the first stage"
    if not row["is_candidate"]:
        return f"{rank}, it is no candidate of the second"
    moved = ", ".join(
        f"{each['feature']} {'missing' if each['value'] is None else format(each['value'], 'g')} ({each['adds']:+.2f})"
        for each in row["moved_by"]
    )
    return f"{rank}; in the second it was moved most by {moved}"


def _sentence(row: dict[str, Any], user_id: str, item_id: str) -> str:
    of = f"the list of {user_id}" if row["is_known_user"] else f"the popular list, which {user_id} gets as a stranger"
    match row["answer"]:
        case "listed":
            because = f", because of {', '.join(row['because'])}" if row["because"] else ""
            return f"{item_id} is in {of} at rank {row['rank']} with score {row['score']:g} ({row['source']}){because}"
        case "unknown_item":
            return f"{item_id} is not in the catalogue of batch {row['batch_id']}"
        case "seen":
            when = f"on {row['seen_at']:%Y-%m-%d}" if row["seen_at"] else "already"
            if not row["seen_at"] and row["seen_before"]:
                when = f"before {row['seen_before']:%Y-%m-%d}"
            return f"{item_id} is not in {of}: seen {when}"
        case "blocked":
            note = f": {row['note']}" if row["note"] else ""
            return f"{item_id} is not in {of}: rule {row['rule_id']} ({row['rule_kind']}) takes it out{note}"
        case "ineligible":
            return f"{item_id} is not in {of}: {row['reason']}"
        case _:
            at = f"at rank {row['rank']}" if row["rank"] else f"below rank {row['list_length']}"
            return f"{item_id} is not in {of}: below the cut, {at}"
