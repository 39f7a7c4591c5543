"""The kinds of list the product serves, as the HTTP contract has them.

Each is read by one statement, so what an answer says about its batch is true of all of it. The page shows the very
answers that programs get.
"""

from dataclasses import dataclass

from webapp.connection import Row
from webapp.db import Session
from webapp.errors import NotFound, Refused, Unavailable
from webapp.listed import Answer, Known, Listed
from webapp.parameters import DEFAULT_N
from webapp.stored import from_memory


@dataclass(frozen=True)
class Wish:
    """How a user's list is wanted, other than as it is.

    exclude: ids of items; category: only items of this one; prefer: categories that come first for a user the batch
    does not know.
    """

    offset: int = 0
    exclude: tuple[str, ...] = ()
    category: str | None = None
    prefer: tuple[str, ...] = ()

    @property
    def narrows(self) -> bool:
        """Whether more is wanted than a part of the list."""
        return bool(self.exclude or self.prefer or self.category is not None)


PLAIN = Wish()


def recommendations(session: Session, catalog: str, user_id: str, n: int | None = None, wish: Wish = PLAIN) -> Answer:
    """A user's list, or the popular one (`source` says so) for a user the live batch does not know."""
    asked = n or DEFAULT_N
    if wish.narrows:
        only = (list(wish.exclude), wish.category, list(wish.prefer))
        found = _whole(session.row("narrowed", user_id, asked, wish.offset, *only))
    else:
        first = wish.offset + asked
        found = from_memory(session, user_id, first) or _whole(session.row("recommendations", user_id, first))
    if found is None:
        raise _nothing_published(catalog)
    listed, known = found
    _check_n(n, listed.top_n_served)
    if wish.offset + (n or 1) > listed.top_n_served:
        raise Refused("bad_offset", f"offset + n must be at most {listed.top_n_served}")
    if wish.category is not None and not listed.item_ids and session.row("category", wish.category) is None:
        raise _unknown_category()
    items = listed.items(known, wish.offset + 1) if wish.narrows else listed.items(known)[wish.offset :]
    return {"user_id": user_id, **listed.about(catalog), "items": items}


def recommendations_of_many(session: Session, catalog: str, user_ids: list[str], n: int | None = None) -> list[Answer]:
    """For each user, in order, what `recommendations` answers; all of one batch."""
    *rows, last = session.rows("many", sorted(set(user_ids)), n or DEFAULT_N)
    if not rows:
        raise _nothing_published(catalog)
    known = Known.of(last[-Known.N_COLUMNS :])
    answers = {}
    for user_id, *row in rows:
        listed = Listed(*row[: -Known.N_COLUMNS])
        _check_n(n, listed.top_n_served)
        answers[user_id] = {**listed.about(catalog), "items": listed.items(known)}
    return [{"user_id": user_id, **(answers.get(user_id) or answers[None])} for user_id in user_ids]


def similar(session: Session, catalog: str, item_id: str, n: int | None = None) -> Answer:
    """The items that resemble one; none for an item too new to resemble any, `NotFound` for one there is not."""
    row = session.row("similar", item_id, n or DEFAULT_N)
    if row is None:
        _check_published(session, catalog)
        raise NotFound("unknown_item", "The live batch has no such item")
    listed, known = Listed.of(row)
    _check_n(n, listed.top_n_served)
    about = {"item_id": item_id, "title": known.title_of.get(item_id)}
    return {**about, **listed.about(catalog), "items": listed.items(known)}


def popular(
    session: Session, catalog: str, category: str | None = None, n: int | None = None, *, segment: str | None = None
) -> Answer:
    """What is popular, overall, in a category or in a segment of the users; `NotFound` for one there is not."""
    kind = f"category:{category}" if category is not None else "all" if segment is None else f"segment:{segment}"
    row = session.row("popular", kind, n or DEFAULT_N)
    if row is None:
        _check_published(session, catalog)
        raise _unknown_category()
    listed, known = Listed.of(row)
    _check_n(n, listed.top_n_served)
    return {"category": category, **listed.about(catalog), "items": listed.items(known)}


def basket(session: Session, catalog: str, item_ids: list[str], n: int | None = None) -> Answer:
    """What goes with all items of a basket, then what is popular; `source` is popular if nothing goes with them."""
    row = session.row("basket", item_ids, n or DEFAULT_N)
    if row is None:
        raise _nothing_published(catalog)
    listed, known = Listed.of(row)
    _check_n(n, listed.top_n_served)
    return {"item_ids": item_ids, **listed.about(catalog), "items": listed.items(known)}


def _whole(row: Row | None) -> tuple[Listed, Known] | None:
    return Listed.of(row) if row else None


def _check_n(n: int | None, top_n_served: int) -> None:
    if n is not None and n > top_n_served:
        raise Refused("bad_n", f"n must be a whole number from 1 to {top_n_served}")


def _check_published(session: Session, catalog: str) -> None:
    if session.row("live") is None:
        raise _nothing_published(catalog)


def _unknown_category() -> NotFound:
    return NotFound("unknown_category", "The live batch has no such category")


def _nothing_published(catalog: str) -> Unavailable:
    return Unavailable("nothing_published", f"Nothing is published yet in {catalog}")
