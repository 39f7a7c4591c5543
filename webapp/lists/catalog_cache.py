"""What this process caches of one catalog: its rules, its items, and recent responses (`webapp.lists` says why)."""

from collections.abc import Iterable
from datetime import datetime

from webapp.lists.rendering import ItemFragments
from webapp.lists.response_cache import ResponseCache
from webapp.lists.rules import RuleSet
from webapp.postgres.read_session import ReadSession

Batch = tuple[str, datetime]
"""The id of a batch, and when it was computed: a catalog that was deleted and made again may have the id again."""
MAX_BATCHES = 2
MAX_ITEMS = 100_000
"""Per batch, some 40 MB; above it the batch's items are loaded again."""


class CatalogCache:
    """The cache of one catalog. Threads share it: what two of them load at once is the same.

    responses: one cache for all catalogs.
    """

    def __init__(self, responses: ResponseCache) -> None:
        self.responses = responses
        self._rules = RuleSet(-1, [])
        self._items: dict[Batch, ItemFragments] = {}

    def rules(self, session: ReadSession, version: int) -> RuleSet | None:
        """The rules of a version; None if the version has changed meanwhile."""
        if self._rules.version != version:
            self._rules = RuleSet.of(session.rows("written_rules"))
        rules = self._rules
        return rules if rules.version == version else None

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
