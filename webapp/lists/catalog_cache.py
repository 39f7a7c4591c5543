"""What this process caches of one catalog: its rules, its items, and recent responses (`webapp.lists` says why)."""

import contextlib
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson

from webapp.api.errors import Unavailable
from webapp.lists.rendering import ItemFragments
from webapp.lists.response_cache import ResponseCache
from webapp.lists.rules import Categories, RuleSet, as_categories
from webapp.postgres.read_session import ReadSession


class PopularItem(NamedTuple):
    """An item of a popular list, before rules; score: as Postgres writes it."""

    item_id: str
    score: str
    item_idx: int | None


Batch = tuple[str, datetime]
"""The id of a batch, and when it was computed: a catalog that was deleted and made again may have the id again."""
MAX_BATCHES = 2
MAX_ITEMS = 100_000
"""Per batch, some 45 MB; above it the batch's items are loaded again."""
MAX_CATEGORIZED = 200_000
"""Per batch, the items whose categories are cached; some 30 MB."""
MAX_RULES = 10_000
"""More rules than these are not loaded, but applied by SQL: reading them holds up the other requests of a process."""
MAX_POPULAR = 200
"""So many popular lists, by batch and segment, are cached; then they begin again."""
RETRY_SECONDS = 5.0
"""After this long, rules that could not be loaded are tried again. SQL applies them meanwhile."""


class CatalogCache:
    """The cache of one catalog. Threads share it: what two of them load at once is the same.

    responses: one cache for all catalogs.
    """

    def __init__(self, responses: ResponseCache) -> None:
        self.responses = responses
        self._rules = RuleSet(-1, [])
        self._items: dict[Batch, ItemFragments] = {}
        self._categories: dict[Batch, dict[str, Categories]] = {}
        self._popular: dict[tuple[Batch, str | None], list[PopularItem]] = {}
        self._same: dict[Categories, Categories] = {}
        """Items of the same categories share one tuple of them."""
        self._loading = threading.Lock()
        self._not_loaded: tuple[int, float] = (-1, 0.0)
        """A version of the rules that this process cannot have, and until when it is not tried again."""

    def rules(self, session: ReadSession, version: int) -> RuleSet | None:
        """The rules of a version; None if SQL must apply them.

        That is where the version has changed meanwhile, another thread is loading them, or they cannot be loaded.
        """
        if self._rules.version != version:
            not_loaded, until = self._not_loaded
            if version == not_loaded and time.monotonic() < until:
                return None
            if not self._loading.acquire(blocking=False):
                return None
            try:
                self._load_rules(session, version)
            finally:
                self._loading.release()
        rules = self._rules
        return rules if rules.version == version else None

    def _load_rules(self, session: ReadSession, version: int) -> None:
        try:
            rows = session.rows("served_rules", MAX_RULES + 1)
        except Unavailable:
            self._not_loaded = (version, time.monotonic() + RETRY_SECONDS)
            return
        if len(rows) > MAX_RULES:
            self._not_loaded = (rows[0][0], float("inf"))
        elif rows:
            self._rules = RuleSet.of(rows)

    def items(self, batch: Batch) -> ItemFragments:
        """The cached items of a batch."""
        return self._items.get(batch) or ItemFragments()

    def load_items(self, session: ReadSession, batch: Batch, item_ids: Iterable[str]) -> ItemFragments | None:
        """The cached items of a batch, these included; None if the batch is no longer live."""
        items = self.items(batch)
        if len(items.json_of) > MAX_ITEMS:
            items = ItemFragments()
        if missing := [item_id for item_id in item_ids if item_id not in items.json_of]:
            [(*live, known_ids, details)] = session.rows("known", missing)
            if tuple(live) != batch:
                return None
            items.add(missing, known_ids, details)
            others = [(other, its) for other, its in self._items.items() if other != batch]
            self._items = dict([*others[1 - MAX_BATCHES :], (batch, items)])
        return items

    def popular(self, session: ReadSession, batch: Batch, segment: str | None) -> list[PopularItem] | None:
        """What short lists of a segment's users are filled with; None if the batch is no longer live."""
        items = self._popular.get((batch, segment))
        if items is None:
            [(*live, item_ids, scores, item_idx)] = session.rows("stored_popular", segment)
            if tuple(live) != batch:
                return None
            items = list(map(PopularItem, item_ids or (), scores or (), item_idx or ()))
            if len(self._popular) >= MAX_POPULAR:
                self._popular = {}
            self._popular[batch, segment] = items
        return items

    def load_categories(self, session: ReadSession, batch: Batch, item_ids: list[str]) -> Sequence[Categories] | None:
        """The categories of each of a batch's items; None if the batch is no longer live."""
        categories = self._categories.get(batch, {})
        with contextlib.suppress(KeyError):
            return list(map(categories.__getitem__, item_ids))
        if len(categories) > MAX_CATEGORIZED:
            categories, self._same = {}, {}
        missing = [item_id for item_id in item_ids if item_id not in categories]
        [(*live, known)] = session.rows("categories", missing)
        if tuple(live) != batch:
            return None
        names = orjson.loads(known or "{}")
        for item_id in missing:
            of_item = as_categories(names.get(item_id))
            categories[item_id] = self._same.setdefault(of_item, of_item)
        others = [(other, its) for other, its in self._categories.items() if other != batch]
        self._categories = dict([*others[1 - MAX_BATCHES :], (batch, categories)])
        return [categories[item_id] for item_id in item_ids]
