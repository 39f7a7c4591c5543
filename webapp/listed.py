"""A list as the statements of sql/queries/webapp return it, and as an answer shows it.

A row of theirs ends with a list (the fields of `Listed`), and then with what the batch knows of the items and reasons
in it (the arguments of `Known`).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple, Self

from webapp.connection import Row

Answer = dict[str, Any]


class Known:
    """What a batch knows of items: their titles, and the other columns where it has them."""

    N_COLUMNS = 5

    def __init__(self) -> None:
        self.title_of: dict[str, str | None] = {}
        self.more_of: dict[str, Answer] = {}

    @classmethod
    def of(cls, row: Row) -> Self:
        """From the last columns of a statement's row."""
        known = cls()
        known.learn((), *row)
        return known

    def learn(
        self,
        asked: Iterable[str],
        item_ids: list[str] | None,
        titles: list[str | None] | None,
        urls: list[str | None] | None,
        images: list[str | None] | None,
        prices: list[float | None] | None,
    ) -> None:
        """Take more items along. Of those asked for, it is known from now on if there is nothing to know."""
        item_ids = item_ids or []
        more_of: dict[str, Answer] = {}
        for name, values in (("url", urls), ("image", images), ("price", prices)):
            for item_id, value in zip(item_ids, values or [], strict=True):
                if value is not None:
                    more_of.setdefault(item_id, {})[name] = value
        self.more_of.update(more_of)
        # last, and at once: another thread takes an item for known when its title is
        self.title_of.update({**dict.fromkeys(asked), **dict(zip(item_ids, titles or [], strict=True))})


class Listed(NamedTuple):
    """One list.

    because: for each item the places in `reasons` of up to three of them, packed as served_lists has it, or the ids
    of the reasons themselves; None: there are no reasons.
    """

    batch_id: str
    computed_at: datetime
    model_version: str | None
    top_n_served: int
    source: str
    item_ids: list[str]
    scores: list[float]
    sources: list[str]
    because: list[int | None] | list[list[str]] | None
    reasons: list[str] | None

    @classmethod
    def of(cls, row: Row) -> tuple[Self, Known]:
        """A row of a statement that ends with one list."""
        return cls(*row[: -Known.N_COLUMNS]), Known.of(row[-Known.N_COLUMNS :])

    def about(self, catalog: str) -> Answer:
        """What the answer says about its batch."""
        return {
            "catalog": catalog,
            "batch_id": self.batch_id,
            "model_version": self.model_version,
            "computed_at": self.computed_at,
            "source": self.source,
        }

    def items(self, known: Known, first: int = 1) -> list[Answer]:
        """The items, ranked from `first` on. `url`, `image` and `price` are there where the item has them."""
        title_of, more_of = known.title_of, known.more_of
        items: list[Answer] = [
            {
                "rank": rank,
                "item_id": item_id,
                "title": title_of.get(item_id),
                "score": score,
                "source": source,
                "because": [title_of.get(reason) or reason for reason in reasons],
            }
            for rank, (item_id, score, source, reasons) in enumerate(
                zip(self.item_ids, self.scores, self.sources, self._reasons(), strict=True), first
            )
        ]
        if more_of:
            for item in items:
                item.update(more_of.get(item["item_id"], {}))
        return items

    def named(self) -> set[str]:
        """The reasons that items of this list have; `reasons` may hold those of items further down."""
        return {reason for some in self._reasons() for reason in some}

    def _reasons(self) -> list[list[str]]:
        if self.because is None:
            return [[] for _ in self.item_ids]
        named = self.reasons or []
        return [
            one
            if isinstance(one, list)
            else [named[place - 1] for place in (one & 1023, one >> 10 & 1023, one >> 20) if place]
            if one
            else []
            for one in self.because
        ]
