"""The row of the statement `stored`: what is live, and a user's list before rules.

It names the live batch, the version of the rules and the database's clock, and has the list: its first items if there
are no rules (then the clock is null), otherwise all that are stored; nulls for a user unknown to the batch.
What belongs together is one text, because each column costs psycopg2 a quarter of a microsecond.
"""

import functools
from datetime import datetime
from typing import NamedTuple, Self

from webapp.lists.catalog_cache import Batch


class LiveBatch(NamedTuple):
    """The live batch."""

    batch_id: str
    computed_at: datetime
    model_version: str | None
    top_n_served: int

    @property
    def key(self) -> Batch:
        """Its key in the cache."""
        return self.batch_id, self.computed_at

    @classmethod
    @functools.lru_cache(maxsize=100)
    def parse(cls, text: str) -> Self:
        """Read the column `live`."""
        batch_id, top_n_served, computed_at, model_version = text.split("|", 3)
        return cls(batch_id, datetime.fromisoformat(computed_at), model_version or None, int(top_n_served))


class Composition(NamedTuple):
    """How a list is composed: n_model items from model_source, then n_category from categories, then popular ones."""

    source: str
    model_source: str
    n_model: int
    n_category: int
    segment: str | None

    def sources(self, n: int) -> list[str]:
        """The source of each of the first n items."""
        own = [self.model_source] * min(self.n_model, n) + ["category"] * min(self.n_category, n)
        return [*own[:n], *["popular"] * (n - len(own))]

    @classmethod
    @functools.lru_cache(maxsize=1000)
    def parse(cls, text: str) -> Self:
        """Read the column `made`."""
        source, model_source, n_model, n_category, segment = text.split("|", 4)
        return cls(source, model_source, int(n_model), int(n_category), segment or None)
