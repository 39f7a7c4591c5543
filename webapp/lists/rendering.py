"""A list as the statements of sql/queries/webapp return it, and as the JSON that an answer shows.

A row of theirs ends with a list (the fields of `Listed`), and then with what the batch knows of the items and reasons
in it (the arguments of `Known.learn`).

What a batch knows of an item is put into JSON once and kept. A list is then a few dozen pieces of text joined: half of
what it takes to make the same twenty dictionaries and dump them, and one piece of memory to touch for each item.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple, Self

import orjson

from webapp.api.errors import Refused
from webapp.postgres.connection import Row

Members = dict[str, Any]


class Answer:
    """A list as it is sent, but for its age. Times are in UTC with a Z."""

    def __init__(self, about: Members, items: bytes) -> None:
        self._computed_at: datetime = about["computed_at"]
        self._computed = self._computed_at.timestamp()
        self._body = b'%b,"items":%b' % (orjson.dumps(about, option=orjson.OPT_UTC_Z)[:-1], items)
        self.size = len(self._body)

    @cached_property
    def tag(self) -> str:
        """Changes with the batch, with a rule that touches the list, and with nothing else."""
        return blake2b(self._body, digest_size=12).hexdigest()

    def body(self) -> bytes:
        """The JSON, with how long ago the batch was computed; 0 where this machine's clock is behind."""
        return b'%b,"age_seconds":%d}' % (self._body, max(0, int(time.time() - self._computed)))

    def read(self) -> Members:
        """As a page wants it."""
        members: Members = orjson.loads(self.body())
        return members | {"computed_at": self._computed_at}


class Known:
    """What a batch knows of items, as JSON.

    item_of: the members of an item's object that are its own: id, title, and what else it has; name_of: what a reason
    is called, its title or else its id.
    """

    N_COLUMNS = 5

    def __init__(self) -> None:
        self.item_of: dict[str, str] = {}
        self.name_of: dict[str, str] = {}

    def title(self, item_id: str) -> str | None:
        """An item's title."""
        title: str | None = orjson.loads(f"{{{self.item_of[item_id]}}}")["title"]
        return title

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
        found: dict[str, Members] = {item_id: {"item_id": item_id, "title": None} for item_id in asked}
        for item_id, title in zip(item_ids or (), titles or (), strict=True):
            found[item_id] = {"item_id": item_id, "title": title}
        for name, values in (("url", urls), ("image", images), ("price", prices)):
            for item_id, value in zip(item_ids or (), values or (), strict=bool(values)):
                if value is not None:
                    found[item_id][name] = value
        # names first: another thread takes an item for known when it is in item_of
        self.name_of.update({item_id: _json(item["title"] or item_id) for item_id, item in found.items()})
        self.item_of.update({item_id: _json(item)[1:-1] for item_id, item in found.items()})


class Listed(NamedTuple):
    """One list.

    scores: numbers, or what Postgres wrote of them, which JSON calls a number as well. because: for each item the
    places in `reasons` of up to three of them, packed as served_lists has it, or the ids of the reasons themselves;
    None: there are no reasons.
    """

    batch_id: str
    computed_at: datetime
    model_version: str | None
    top_n_served: int
    source: str
    item_ids: list[str]
    scores: Sequence[float | str]
    sources: list[str]
    because: Sequence[int | list[str] | None] | None
    reasons: list[str] | None

    @classmethod
    def of(cls, row: Row) -> tuple[Self, Known]:
        """A row of a statement that ends with one list."""
        listed, known = cls(*row[: -Known.N_COLUMNS]), Known()
        known.learn([*listed.item_ids, *(listed.reasons or ())], *row[-Known.N_COLUMNS :])
        return listed, known

    def check(self, n: int | None, offset: int = 0) -> None:
        """Raise `Refused` if more was asked for than is served; n: None if nothing was said."""
        if n is not None and n > self.top_n_served:
            raise Refused("bad_n", f"n must be a whole number from 1 to {self.top_n_served}")
        if offset + (n or 1) > self.top_n_served:
            raise Refused("bad_offset", f"offset + n must be at most {self.top_n_served}")

    def about(self, catalog: str) -> Members:
        """What the answer says about its batch."""
        return {
            "catalog": catalog,
            "batch_id": self.batch_id,
            "model_version": self.model_version,
            "computed_at": self.computed_at,
            "source": self.source,
        }

    def items(self, known: Known, skipped: int = 0, first: int = 1) -> bytes:
        """The items as JSON, ranked from `first` on, without some at the beginning that are skipped."""
        item_of = known.item_of
        rows = zip(self.item_ids, self.scores, self.sources, self._because(known), strict=True)
        items = [
            f'{{"rank":{rank},{item_of[item_id]},"score":{score},"source":"{source}","because":[{reasons}]}}'
            for rank, (item_id, score, source, reasons) in enumerate(rows, first)
        ]
        return f"[{','.join(items[skipped:])}]".encode()

    def _because(self, known: Known) -> list[str]:
        if self.because is None:
            return [""] * len(self.item_ids)
        name_of = known.name_of
        names = ["", *[name_of[reason] for reason in self.reasons or ()]]  # by place, from 1 on
        return [
            ",".join([name_of[reason] for reason in some])
            if isinstance(some, list)
            else f"{names[some & 1023]},{names[some >> 10 & 1023]},{names[some >> 20]}"
            if some and some >> 20
            else f"{names[some & 1023]},{names[some >> 10]}".rstrip(",")
            if some
            else ""
            for some in self.because
        ]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
