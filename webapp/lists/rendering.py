"""A list as the statements of sql/queries/webapp return it, and as the JSON of a response.

Such a row ends with a list (the fields of `RankedList`), then with what the batch knows of its items and reasons (the
arguments of `ItemFragments.add`).

What a batch knows of an item is put into JSON once and cached. A list is then a few dozen strings joined: half the time
of making and dumping the same twenty dictionaries, and one object in memory for each item.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple, Self

import orjson
from flask import Response

from webapp.api.errors import BatchMoved, Refused
from webapp.api.responses import as_tagged_json
from webapp.postgres.connection import Row

JsonObject = dict[str, Any]


class RenderedList:
    """A list as JSON, all but its age. Times are in UTC with a Z.

    head: the members before the items; computed_at is among them.
    """

    def __init__(self, head: JsonObject, items: bytes) -> None:
        self._computed_at: datetime = head["computed_at"]
        self._computed = self._computed_at.timestamp()
        self.source: str = head["source"]
        self._body = b'%b,"items":%b' % (orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1], items)
        self.size = len(self._body)

    @cached_property
    def tag(self) -> str:
        """An entity tag that changes with the batch, with a rule that touches the list, and with nothing else."""
        return blake2b(self._body, digest_size=12).hexdigest()

    def body(self) -> bytes:
        """The JSON, with the age of the batch in seconds; 0 where this machine's clock is behind."""
        return b'%b,"age_seconds":%d}' % (self._body, max(0, int(time.time() - self._computed)))

    def to_response(self, lifetime: str) -> Response:
        """The JSON with its entity tag, or 304. lifetime: the Cache-Control header."""
        return as_tagged_json(self.body(), self.tag, lifetime)

    def to_dict(self) -> JsonObject:
        """The members, for a page."""
        members: JsonObject = orjson.loads(self.body())
        return members | {"computed_at": self._computed_at}


class ItemFragments:
    """The items of a batch as fragments of JSON.

    json_of: an item's own members (id, title, and what else it has), without braces; name_of: its title, or else its
    id, as reasons show it; id_of: its id.
    """

    N_COLUMNS = 2

    def __init__(self) -> None:
        self.json_of: dict[str, str] = {}
        self.name_of: dict[str, str] = {}
        self.id_of: dict[str, str] = {}

    def title(self, item_id: str) -> str | None:
        """An item's title."""
        title: str | None = orjson.loads(f"{{{self.json_of[item_id]}}}")["title"]
        return title

    def add(self, item_ids: Iterable[str], known_ids: list[str] | None, details: list[str] | None) -> None:
        """Add items, of which the SQL function item_details knows some. The others have an id and no title."""
        items: dict[str, JsonObject] = {item_id: {"item_id": item_id, "title": None} for item_id in item_ids}
        for item_id, members in zip(known_ids or (), details or (), strict=True):
            items[item_id] = {"item_id": item_id, "title": None} | orjson.loads(members)
        # json_of last: for another thread an item is complete when it is in there
        ids = {item_id: _json(item_id) for item_id in items}
        self.id_of.update(ids)
        self.name_of.update(
            {item_id: _json(item["title"]) if item["title"] else ids[item_id] for item_id, item in items.items()}
        )
        self.json_of.update({item_id: _json(item)[1:-1] for item_id, item in items.items()})


class RankedList(NamedTuple):
    """One list.

    scores: numbers, or Postgres' text of them, which is JSON as well. because: for each item the positions in `reasons`
    of up to three of them, packed as in served_lists, or the ids of the reasons themselves; None: there are no reasons.
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
    def of(cls, row: Row) -> tuple[Self, ItemFragments]:
        """A row that ends with one list, as the list and its items."""
        ranked, items = cls(*row[: -ItemFragments.N_COLUMNS]), ItemFragments()
        items.add([*ranked.item_ids, *(ranked.reasons or ())], *row[-ItemFragments.N_COLUMNS :])
        return ranked, items

    def check_batch(self, batch_id: str | None) -> None:
        """Raise `BatchMoved` if a request names another batch; None: it names none."""
        if batch_id is not None and batch_id != self.batch_id:
            raise BatchMoved(self.batch_id)

    def check_limits(self, n: int | None, offset: int = 0) -> None:
        """Raise `Refused` if a request asks for more than is served; n: None if it did not say how many."""
        if n is not None and n > self.top_n_served:
            raise Refused("bad_n", f"n must be a whole number from 1 to {self.top_n_served}")
        if offset + (n or 1) > self.top_n_served:
            raise Refused("bad_offset", f"offset + n must be at most {self.top_n_served}")

    def head(self, catalog: str) -> JsonObject:
        """The members of the response that tell of the batch."""
        return {
            "catalog": catalog,
            "batch_id": self.batch_id,
            "model_version": self.model_version,
            "computed_at": self.computed_at,
            "source": self.source,
        }

    def render_items(self, items: ItemFragments, skip: int = 0, first_rank: int = 1) -> bytes:
        """The items as a JSON array, ranked from `first_rank` on, without the first `skip`."""
        json_of = items.json_of
        rows = zip(self.item_ids, self.scores, self.sources, self._because(items), strict=True)
        rendered = [
            f'{{"rank":{rank},{json_of[item_id]},"score":{score},"source":"{source}",{because}}}'
            for rank, (item_id, score, source, because) in enumerate(rows, first_rank)
        ]
        return f"[{','.join(rendered[skip:])}]".encode()

    def _because(self, items: ItemFragments) -> list[str]:
        """The reasons of each item as the members `because`, their names, and `because_ids`."""
        none = '"because":[],"because_ids":[]'
        if self.because is None:
            return [none] * len(self.item_ids)
        name_of, id_of = items.name_of, items.id_of
        names = ["", *[name_of[reason] for reason in self.reasons or ()]]  # by position, from 1 on
        ids = ["", *[id_of[reason] for reason in self.reasons or ()]]
        because = []
        for reasons in self.because:
            if not reasons:
                because.append(none)
            elif isinstance(reasons, list):
                because.append(
                    f'"because":[{",".join([name_of[reason] for reason in reasons])}],'
                    f'"because_ids":[{",".join([id_of[reason] for reason in reasons])}]'
                )
            else:
                a, b, c = reasons & 1023, reasons >> 10 & 1023, reasons >> 20
                because.append(
                    f'"because":[{names[a]},{names[b]},{names[c]}],"because_ids":[{ids[a]},{ids[b]},{ids[c]}]'
                    if c
                    else f'"because":[{names[a]},{names[b]}],"because_ids":[{ids[a]},{ids[b]}]'
                    if b
                    else f'"because":[{names[a]}],"because_ids":[{ids[a]}]'
                )
        return because


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
