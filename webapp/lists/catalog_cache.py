"""What this process remembers of a catalog: the rules, what batches know of their items, and answers it gave lately.

None of it goes stale. Each request reads what is in charge and the user's list, in one snapshot. Rules are asked for by
the version that was named there, what a batch knows of an item never changes, and an answer is given again to the very
same row by the very same rules. What does not fit together, because the pointer or a rule moved between two statements,
is given up for the one statement that has it all.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from webapp.lists.active_rules import Rules
from webapp.lists.rendering import Known

if TYPE_CHECKING:
    from webapp.postgres.connection_pool import Session

Batch = tuple[str, datetime]
"""Its id, and when it was computed: a catalog that is made anew may have the id again."""
MAX_BATCHES = 2
MAX_ITEMS = 100_000
"""Per batch, some 40 MB; beyond it a batch is learnt anew."""


class Sized(Protocol):
    """Something that says how many bytes it takes, roughly."""

    @property
    def size(self) -> int:
        """Bytes."""


class Lately:
    """What was put in or asked for lately, max_bytes of it at most. Threads may share it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._changing = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """What was put in with that key, or None."""
        found = self._kept.get(key)
        if found is not None:
            with suppress(KeyError):  # another thread may have let go of it
                self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, value: Sized) -> None:
        """Keep it, in place of what had that key; what nobody asked for the longest goes."""
        with self._changing:
            old = self._kept.pop(key, None)
            self._kept[key] = value
            self._bytes += value.size - (0 if old is None else old.size)
            while self._bytes > self._max_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].size


class Memory:
    """Of one catalog. Threads may share it: what two of them learn at once is the same."""

    def __init__(self, lately: Lately) -> None:
        self._rules = Rules(-1, [])
        self._known: dict[Batch, Known] = {}
        self.lately = lately

    def rules(self, session: "Session", version: int) -> Rules | None:
        """The rules of a version; None if by now there are others."""
        if self._rules.version != version:
            self._rules = Rules.of(session.rows("written_rules"))
        rules = self._rules
        return rules if rules.version == version else None

    def known(self, batch: Batch) -> Known:
        """What we know of the items of a batch so far."""
        return self._known.get(batch) or Known()

    def learn(self, session: "Session", batch: Batch, item_ids: Iterable[str]) -> Known | None:
        """What a batch knows of these items, and maybe of others; None if it is not live any more."""
        known = self.known(batch)
        if len(known.item_of) > MAX_ITEMS:
            known = Known()
        if missing := [item_id for item_id in item_ids if item_id not in known.item_of]:
            [(*live, item_ids_known, titles, urls, images, prices)] = session.rows("known", missing)
            if tuple(live) != batch:
                return None
            known.learn(missing, item_ids_known, titles, urls, images, prices)
            others = [(other, its) for other, its in self._known.items() if other != batch]
            self._known = dict([*others[1 - MAX_BATCHES :], (batch, known)])
        return known
