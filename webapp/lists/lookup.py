"""The kinds of list the product serves, as the HTTP contract has them.

Each is read by one statement, so what an answer says about its batch is true of all of it. The page shows the very
answers that programs get.
"""

from typing import NamedTuple

from webapp.api.errors import NotFound, Unavailable
from webapp.api.parameters import DEFAULT_N
from webapp.lists.from_memory import from_memory
from webapp.lists.rendering import Answer, Known, Listed
from webapp.postgres.connection import Row
from webapp.postgres.connection_pool import Session


class Wish(NamedTuple):
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
    if not wish.narrows:
        if (answer := from_memory(session, catalog, user_id, n, wish.offset)) is not None:
            return answer
        row = session.row("recommendations", user_id, wish.offset + asked)
    else:
        row = session.row("narrowed", user_id, asked, wish.offset, list(wish.exclude), wish.category, list(wish.prefer))
    listed, known = _found(row, catalog)
    listed.check(n, wish.offset)
    if wish.category is not None and not listed.item_ids and session.row("category", wish.category) is None:
        raise _unknown_category()
    items = listed.items(known, first=wish.offset + 1) if wish.narrows else listed.items(known, skipped=wish.offset)
    return Answer({"user_id": user_id, **listed.about(catalog)}, items)


def recommendations_of_many(session: Session, catalog: str, user_ids: list[str], n: int | None = None) -> list[Answer]:
    """For each user, in order, what `recommendations` answers; all of one batch."""
    *rows, last = session.rows("many", sorted(set(user_ids)), n or DEFAULT_N)
    if not rows:
        raise _nothing_published(catalog)
    lists = {user_id: Listed(*row[: -Known.N_COLUMNS]) for user_id, *row in rows}
    known = Known()
    asked = [item_id for listed in lists.values() for item_id in (*listed.item_ids, *(listed.reasons or ()))]
    known.learn(asked, *last[-Known.N_COLUMNS :])
    answers = {}
    for user_id, listed in lists.items():
        listed.check(n)
        answers[user_id] = (listed.about(catalog), listed.items(known))
    found = ((user_id, *(answers.get(user_id) or answers[None])) for user_id in user_ids)
    return [Answer({"user_id": user_id, **about}, items) for user_id, about, items in found]


def similar(session: Session, catalog: str, item_id: str, n: int | None = None) -> Answer:
    """The items that resemble one; none for an item too new to resemble any, `NotFound` for one there is not."""
    row = session.row("similar", item_id, n or DEFAULT_N)
    if row is None:
        _check_published(session, catalog)
        raise NotFound("unknown_item", "The live batch has no such item")
    listed, known = Listed.of(row)
    listed.check(n)
    about = {"item_id": item_id, "title": known.title(item_id), **listed.about(catalog)}
    return Answer(about, listed.items(known))


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
    listed.check(n)
    return Answer({"category": category, **listed.about(catalog)}, listed.items(known))


def basket(session: Session, catalog: str, item_ids: list[str], n: int | None = None) -> Answer:
    """What goes with all items of a basket, then what is popular; `source` is popular if nothing goes with them."""
    listed, known = _found(session.row("basket", item_ids, n or DEFAULT_N), catalog)
    listed.check(n)
    return Answer({"item_ids": item_ids, **listed.about(catalog)}, listed.items(known))


def _found(row: Row | None, catalog: str) -> tuple[Listed, Known]:
    if row is None:
        raise _nothing_published(catalog)
    return Listed.of(row)


def _check_published(session: Session, catalog: str) -> None:
    if session.row("live") is None:
        raise _nothing_published(catalog)


def _unknown_category() -> NotFound:
    return NotFound("unknown_category", "The live batch has no such category")


def _nothing_published(catalog: str) -> Unavailable:
    return Unavailable("nothing_published", f"Nothing is published yet in {catalog}")
