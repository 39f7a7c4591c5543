"""A user's list from its stored row and this process's memory: one lookup by primary key, and mostly nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

from webapp.api.errors import BatchMoved
from webapp.api.parameters import DEFAULT_N
from webapp.api.schemas import EXHAUSTED
from webapp.lists.catalog_cache import CatalogCache
from webapp.lists.rendering import JsonObject, RankedList, RenderedList
from webapp.lists.rules import ActiveRules, apply_rules
from webapp.lists.stored_row import Composition, LiveBatch
from webapp.postgres.arrays import integers, texts
from webapp.postgres.connection import Row
from webapp.postgres.read_session import ReadSession

Request = tuple[str, str, int | None, int]
"""Catalog, user id, n and offset."""


class CachedList(NamedTuple):
    """A response, valid for as long as its stored row and the active rules are the same.

    row: without the version of the rules and the clock. rules: `RuleSet.active` returns one object for as long as
    nothing changes.
    """

    row: Row
    rules: ActiveRules | None
    response: RenderedList

    @property
    def size(self) -> int:
        """Approximate bytes: rules may make a short response of a long row."""
        return self.response.size + sum([len(value) for value in self.row if isinstance(value, str)]) + 1500


class CachedPopularList(NamedTuple):
    """The one list of all users unknown to the batch."""

    head: JsonObject
    items: bytes

    @property
    def size(self) -> int:
        """Approximate bytes."""
        return len(self.items) + 1000


def from_memory(
    session: ReadSession, catalog: str, user_id: str, n: int | None, offset: int, batch_id: str | None = None
) -> RenderedList | None:
    """The n items after the first `offset` of a user's list, equal to the statement `recommendations`.

    None where that statement is needed: the rules cannot be loaded, the batch or a rule changes meanwhile, or nothing
    is published. Raises `Refused` for more items than are served, `BatchMoved` if a batch_id is given and another batch
    is live.
    """
    cache: CatalogCache = session.cache
    last = offset + (n or DEFAULT_N)
    row = session.row("stored", user_id, last)
    if row is None:
        return None
    live_text, composition_text, _, _, _, _, version, now = row
    if batch_id is not None and batch_id != (live_id := LiveBatch.parse(live_text).batch_id):
        raise BatchMoved(live_id)
    rules = None
    if now is not None:
        if (rule_set := cache.rules(session, version)) is None:
            return None
        rules = rule_set.active(Composition.parse(composition_text).segment if composition_text else None, now)
    request, stored = (catalog, user_id, n, offset), row[:-2]
    cached: CachedList | None = cache.responses.get(request)
    if cached is not None and cached.row == stored and cached.rules is rules:
        return cached.response
    live = LiveBatch.parse(live_text)
    if composition_text is None:
        return _popular(session, request, (live, version, rules), batch_id)
    ranked = _ranked(session, row, live, rules, user_id, last)
    if ranked is None:
        return None
    ranked.check_limits(n, offset)
    try:
        items = ranked.render_items(cache.items(live.key), offset)
    except KeyError:
        fragments = cache.load_items(session, live.key, [*ranked.item_ids, *(ranked.reasons or ())])
        if fragments is None:
            return None
        items = ranked.render_items(fragments, offset)
    response = RenderedList({"user_id": user_id, **ranked.head(catalog)}, items)
    cache.responses.put(request, CachedList(stored, rules, response))
    return response


def _popular(
    session: ReadSession, request: Request, state: tuple[LiveBatch, int, ActiveRules | None], batch_id: str | None
) -> RenderedList | None:
    """The list of a user unknown to the batch.

    state: with the version of the rules, even if there are none. If a rule comes before the second statement, its
    result is cached under a version that is over.
    """
    cache: CatalogCache = session.cache
    catalog, user_id, n, offset = request
    key = (catalog, n, offset, *state)
    cached: CachedPopularList | None = cache.responses.get(key)
    if cached is None:
        row = session.row("recommendations", user_id, offset + (n or DEFAULT_N))
        if row is None:
            return None
        ranked, items = RankedList.of(row)
        ranked.check_batch(batch_id)
        ranked.check_limits(n, offset)
        cached = CachedPopularList(ranked.head(catalog), ranked.render_items(items, offset))
        if (ranked.batch_id, ranked.computed_at) == state[0].key:
            cache.responses.put(key, cached)
    return RenderedList({"user_id": user_id, **cached.head}, cached.items)


def _ranked(
    session: ReadSession, row: Row, live: LiveBatch, rules: ActiveRules | None, user_id: str, n: int
) -> RankedList | None:
    """The first n items of a stored list under the rules; None if SQL must answer."""
    cache: CatalogCache = session.cache
    n = min(n, live.top_n_served)
    composition = Composition.parse(row[1])
    item_ids, scores, because, reasons = texts(row[2]), texts(row[3]), integers(row[4]), texts(row[5])

    def ranked(ids: list[str], scores: Sequence[float | str], sources: list[str], because: list[int]) -> RankedList:
        batch = (live.batch_id, live.computed_at, live.model_version, live.top_n_served)
        source = composition.source if ids else EXHAUSTED
        return RankedList(*batch, source, ids, scores, sources, because or None, reasons)

    if rules is None:
        item_ids = item_ids[:n]
        return ranked(item_ids, scores[:n], composition.sources(len(item_ids)), because[:n])
    kept_out: set[int] | None = None
    if rules.pins and (kept_out := _kept_out(session, live, user_id)) is None:
        return None
    categories = cache.load_categories(session, live.key, item_ids) if rules.need_categories else ()
    if categories is None:
        return None
    sources = composition.sources(len(item_ids))
    # A list that is shorter than what is served has every item that it may have: nothing but a pin comes in.
    least_left = live.top_n_served if len(item_ids) >= live.top_n_served else 0
    entries = apply_rules(rules, item_ids, categories, kept_out or (), least_left, n)
    if entries is None:  # too little is left: go on with what is popular and not kept out
        if kept_out is None and (kept_out := _kept_out(session, live, user_id)) is None:
            return None
        popular = cache.popular(session, live.key, composition.segment)
        if popular is None:
            return None
        listed = set(item_ids)
        more = [
            item
            for item in popular
            # without an item_idx the batch is from before the rules, and does not say what the user has seen
            if item.item_id not in listed and item.item_idx is not None and item.item_idx not in kept_out
        ]
        least = scores[-1] if scores else None
        scores += [item.score if least is None or float(item.score) < float(least) else least for item in more]
        item_ids += [item.item_id for item in more]
        sources += ["popular"] * len(more)
        because += [0] * len(more) if because else []
        categories = cache.load_categories(session, live.key, item_ids) if rules.need_categories else ()
        if categories is None:
            return None
        entries = apply_rules(rules, item_ids, categories, kept_out, 0, n) or []
    return ranked(
        [item_id for _, item_id, _, _ in entries],
        [
            scores[index] if index is not None and source is None else score or 0.0
            for index, _, source, score in entries
        ],
        [
            sources[index] if index is not None and source is None else source or "pinned"
            for index, _, source, _ in entries
        ],
        [because[index] if because and index is not None else 0 for index, _, _, _ in entries],
    )


def _kept_out(session: ReadSession, live: LiveBatch, user_id: str) -> set[int] | None:
    """The numbers of the items that must not enter a user's list; None: the batch is no longer live."""
    row = session.row("kept_out", user_id)
    return None if row is None or row[:2] != live.key else set(row[2] or ())
