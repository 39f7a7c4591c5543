"""The three kinds of list the product serves, as the HTTP contract has them.

Each is read by one statement, so what an answer says about its batch is true of all of it. The page shows the very
answers that programs get.
"""

from typing import Any

from webapp.db import Session
from webapp.errors import NotFound, Refused, Unavailable
from webapp.parameters import DEFAULT_N

Answer = dict[str, Any]


def recommendations(session: Session, catalog: str, user_id: str, n: int | None = None) -> Answer:
    """A user's list, or the popular one (`source` says so) for a user the live batch does not know."""
    row = session.row("recommendations", user_id, n or DEFAULT_N)
    if row is None:
        raise _nothing_published(catalog)
    batch_id, computed_at, model_version, top_n_served, source, item_ids, scores, sources, titles = row
    _check_n(n, top_n_served)
    return {
        "user_id": user_id,
        **_about(catalog, batch_id, model_version, computed_at),
        "source": source,
        "items": _items(item_ids, titles, scores, sources),
    }


def similar(session: Session, catalog: str, item_id: str, n: int | None = None) -> Answer:
    """The items that resemble one; none for an item too new to resemble any, `NotFound` for one there is not."""
    row = session.row("similar", item_id, n or DEFAULT_N)
    if row is None:
        _check_published(session, catalog)
        raise NotFound("unknown_item", "The live batch has no such item")
    batch_id, computed_at, model_version, top_n_served, title, item_ids, scores, titles = row
    _check_n(n, top_n_served)
    return {
        "item_id": item_id,
        "title": title,
        **_about(catalog, batch_id, model_version, computed_at),
        "source": "similar",
        "items": _items(item_ids, titles, scores, ["similar"] * len(item_ids)),
    }


def popular(
    session: Session, catalog: str, category: str | None = None, n: int | None = None, *, segment: str | None = None
) -> Answer:
    """What is popular, overall, in a category or in a segment of the users; `NotFound` for one there is not."""
    kind = f"category:{category}" if category is not None else "all" if segment is None else f"segment:{segment}"
    row = session.row("popular", kind, n or DEFAULT_N)
    if row is None:
        _check_published(session, catalog)
        raise NotFound("unknown_category", "The live batch has no popular list for this category")
    batch_id, computed_at, model_version, top_n_served, item_ids, scores, titles = row
    _check_n(n, top_n_served)
    return {
        "category": category,
        **_about(catalog, batch_id, model_version, computed_at),
        "source": "popular",
        "items": _items(item_ids, titles, scores, ["popular"] * len(item_ids)),
    }


def _about(catalog: str, batch_id: str, model_version: str, computed_at: object) -> Answer:
    return {"catalog": catalog, "batch_id": batch_id, "model_version": model_version, "computed_at": computed_at}


def _items(item_ids: list[str], titles: list[str | None], scores: list[float], sources: list[str]) -> list[Answer]:
    return [
        {"rank": rank, "item_id": item_id, "title": title, "score": score, "source": source, "because": []}
        for rank, (item_id, title, score, source) in enumerate(zip(item_ids, titles, scores, sources, strict=True), 1)
    ]


def _check_n(n: int | None, top_n_served: int) -> None:
    if n is not None and n > top_n_served:
        raise Refused("bad_n", f"n must be a whole number from 1 to {top_n_served}")


def _check_published(session: Session, catalog: str) -> None:
    if session.row("live") is None:
        raise _nothing_published(catalog)


def _nothing_published(catalog: str) -> Unavailable:
    return Unavailable("nothing_published", f"Nothing is published yet in {catalog}")
