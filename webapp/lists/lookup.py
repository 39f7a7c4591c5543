"""The kinds of list, as the HTTP contract has them.

Each is read by one statement, so that all of an answer is from one batch. The pages show the answers that programs get.
"""

from typing import NamedTuple

from webapp.api.errors import NotFound, Unavailable
from webapp.api.parameters import DEFAULT_N
from webapp.lists.from_memory import from_memory
from webapp.lists.rendering import ItemFragments, RankedList, RenderedList
from webapp.postgres.connection import Row
from webapp.postgres.read_session import ReadSession


class ListOptions(NamedTuple):
    """What a request may ask of a user's list.

    exclude: item ids; category: only its items; prefer: categories that come first for a user unknown to the batch;
    batch_id: the batch that must be live.
    """

    offset: int = 0
    exclude: tuple[str, ...] = ()
    category: str | None = None
    prefer: tuple[str, ...] = ()
    batch_id: str | None = None

    @property
    def narrow(self) -> bool:
        """Whether the result is other than a part of the stored list."""
        return bool(self.exclude or self.prefer or self.category is not None)


DEFAULT_OPTIONS = ListOptions()


def recommendations(
    session: ReadSession, catalog: str, user_id: str, n: int | None = None, options: ListOptions = DEFAULT_OPTIONS
) -> RenderedList:
    """A user's list, or the popular one (`source` says so) for a user unknown to the live batch.

    Raises `BatchMoved` if the options name a batch that is not live.
    """
    n_items = n or DEFAULT_N
    offset, exclude, category, prefer, batch_id = options
    if not options.narrow:
        if (response := from_memory(session, catalog, user_id, n, offset, batch_id)) is not None:
            return response
        row = session.row("recommendations", user_id, offset + n_items)
    else:
        row = session.row("narrowed", user_id, n_items, offset, list(exclude), category, list(prefer))
    ranked, items = _ranked(row, catalog)
    ranked.check_batch(batch_id)
    ranked.check_limits(n, offset)
    if category is not None and not ranked.item_ids and session.row("category", category) is None:
        raise _unknown_category()
    rendered = (
        ranked.render_items(items, first_rank=offset + 1) if options.narrow else ranked.render_items(items, offset)
    )
    return RenderedList({"user_id": user_id, **ranked.head(catalog)}, rendered)


def recommendations_of_many(
    session: ReadSession, catalog: str, user_ids: list[str], n: int | None = None
) -> list[RenderedList]:
    """What `recommendations` answers for each user, in order; all of one batch."""
    *rows, last = session.rows("many", sorted(set(user_ids)), n or DEFAULT_N)
    if not rows:
        raise nothing_published(catalog)
    lists = {user_id: RankedList(*row[: -ItemFragments.N_COLUMNS]) for user_id, *row in rows}
    items = ItemFragments()
    item_ids = [item_id for ranked in lists.values() for item_id in (*ranked.item_ids, *(ranked.reasons or ()))]
    items.add(item_ids, *last[-ItemFragments.N_COLUMNS :])
    rendered = {}
    for user_id, ranked in lists.items():
        ranked.check_limits(n)
        rendered[user_id] = (ranked.head(catalog), ranked.render_items(items))
    by_user = ((user_id, *(rendered.get(user_id) or rendered[None])) for user_id in user_ids)
    return [RenderedList({"user_id": user_id, **head}, array) for user_id, head, array in by_user]


def similar(session: ReadSession, catalog: str, item_id: str, n: int | None = None) -> RenderedList:
    """The items similar to one, none for a very new item; `NotFound` for an unknown one."""
    return _of_item(session, "similar", catalog, item_id, n)


def together(session: ReadSession, catalog: str, item_id: str, n: int | None = None) -> RenderedList:
    """The items bought together with one, none where orders say too little; `NotFound` for an unknown one."""
    return _of_item(session, "together", catalog, item_id, n)


def _of_item(session: ReadSession, statement: str, catalog: str, item_id: str, n: int | None) -> RenderedList:
    row = session.row(statement, item_id, n or DEFAULT_N)
    if row is None:
        check_published(session, catalog)
        raise NotFound("unknown_item", "The live batch has no such item")
    ranked, items = RankedList.of(row)
    ranked.check_limits(n)
    head = {"item_id": item_id, "title": items.title(item_id), **ranked.head(catalog)}
    return RenderedList(head, ranked.render_items(items))


def again(session: ReadSession, catalog: str, user_id: str, n: int | None = None) -> RenderedList:
    """The user's own items that they are likely to need again now; none for a user unknown to the live batch."""
    ranked, items = _ranked(session.row("again", user_id, n or DEFAULT_N), catalog)
    ranked.check_limits(n)
    return RenderedList({"user_id": user_id, **ranked.head(catalog)}, ranked.render_items(items))


def popular(
    session: ReadSession, catalog: str, category: str | None = None, n: int | None = None, *, segment: str | None = None
) -> RenderedList:
    """The popular list of all, of a category or of a segment of the users; `NotFound` for an unknown one."""
    kind = f"category:{category}" if category is not None else "all" if segment is None else f"segment:{segment}"
    row = session.row("popular", kind, n or DEFAULT_N)
    if row is None:
        check_published(session, catalog)
        raise _unknown_category()
    ranked, items = RankedList.of(row)
    ranked.check_limits(n)
    return RenderedList({"category": category, **ranked.head(catalog)}, ranked.render_items(items))


def basket(session: ReadSession, catalog: str, item_ids: list[str], n: int | None = None) -> RenderedList:
    """What goes with all items of a basket, then what is popular; `source` is popular if nothing goes with them."""
    ranked, items = _ranked(session.row("basket", item_ids, n or DEFAULT_N), catalog)
    ranked.check_limits(n)
    return RenderedList({"item_ids": item_ids, **ranked.head(catalog)}, ranked.render_items(items))


def _ranked(row: Row | None, catalog: str) -> tuple[RankedList, ItemFragments]:
    if row is None:
        raise nothing_published(catalog)
    return RankedList.of(row)


def check_published(session: ReadSession, catalog: str) -> None:
    """Raise `Unavailable` while nothing is published."""
    if session.row("live") is None:
        raise nothing_published(catalog)


def _unknown_category() -> NotFound:
    return NotFound("unknown_category", "The live batch has no such category")


def nothing_published(catalog: str) -> Unavailable:
    """The error of a catalog in which nothing is published."""
    return Unavailable("nothing_published", f"Nothing is published yet in {catalog}")
