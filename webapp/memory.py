"""What this process remembers of a catalog: the rules, of one version, and what batches know of their items.

Neither goes stale. Rules are asked for by the version that the list's own snapshot named, and what a batch knows of
an item never changes. What does not fit together, because the pointer or a rule moved between two statements, is given
up for the one statement that has it all.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from webapp.in_force import Rules
from webapp.listed import Known

if TYPE_CHECKING:
    from webapp.db import Session

Batch = tuple[str, datetime]
"""Its id, and when it was computed: a catalog that is made anew may have the id again."""
MAX_BATCHES = 2
MAX_ITEMS = 100_000
"""Per batch, some 20 MB; beyond it a batch is learnt anew."""


class Memory:
    """Of one catalog. Threads may share it: what two of them learn at once is the same."""

    def __init__(self) -> None:
        self._rules = Rules(-1, [])
        self._known: dict[Batch, Known] = {}

    @property
    def wants_kept_out(self) -> bool:
        """Whether the rules, as far as we know them, ask what is kept out of a list."""
        return self._rules.has_pins

    def rules(self, session: "Session", version: int) -> Rules | None:
        """The rules of a version; None if by now there are others."""
        if self._rules.version != version:
            self._rules = Rules.of(session.rows("written_rules"))
        rules = self._rules
        return rules if rules.version == version else None

    def known(self, session: "Session", batch: Batch, item_ids: Iterable[str]) -> Known | None:
        """What a batch knows of these items, and maybe of others; None if it is not live any more."""
        known = self._known.get(batch)
        if known is None or len(known.title_of) > MAX_ITEMS:
            known = Known()
        if missing := [item_id for item_id in item_ids if item_id not in known.title_of]:
            [(*live, item_ids_known, titles, urls, images, prices)] = session.rows("known", missing)
            if tuple(live) != batch:
                return None
            known.learn(missing, item_ids_known, titles, urls, images, prices)
            self._keep(batch, known)
        return known

    def _keep(self, batch: Batch, known: Known) -> None:
        others = [(other, its) for other, its in self._known.items() if other != batch]
        self._known = dict([*others[1 - MAX_BATCHES :], (batch, known)])
