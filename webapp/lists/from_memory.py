"""Lists with as little work as can be: one row by its key, and the rest from this process's memory."""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Self

from webapp.api.parameters import DEFAULT_N
from webapp.lists.active_rules import InForce, applied
from webapp.lists.catalog_cache import Batch
from webapp.lists.rendering import Answer, Listed, Members
from webapp.postgres.connection import Row, numbers, texts
from webapp.postgres.connection_pool import Session


class Stored(NamedTuple):
    """The row of the statement `stored`: what is in charge, and a user's list before the rules.

    Without rules the list holds no more items than were asked for, and now is None; else all that are stored. From made
    to reasons all is None for a user whom the batch does not know. Arrays are as Postgres writes them: psycopg2 takes
    three times as long to read them as `texts` and `numbers` do.
    """

    live: str
    made: str | None
    item_ids: str | None
    scores: str
    because: str | None
    reasons: str | None
    rules_version: int
    now: datetime | None


class Live(NamedTuple):
    """The batch in charge."""

    batch_id: str
    computed_at: datetime
    model_version: str | None
    top_n_served: int

    @property
    def batch(self) -> Batch:
        """What names it."""
        return self.batch_id, self.computed_at

    @classmethod
    @functools.lru_cache(maxsize=100)
    def of(cls, text: str) -> Self:
        """As the statement `stored` writes it."""
        batch_id, top_n_served, computed_at, model_version = text.split("|", 3)
        return cls(batch_id, datetime.fromisoformat(computed_at), model_version or None, int(top_n_served))


class Made(NamedTuple):
    """Of what a list consists: n_model items from model_source, then n_category from categories, then popular ones."""

    source: str
    model_source: str
    n_model: int
    n_category: int
    segment: str | None

    def sources(self, n: int) -> list[str]:
        """Of each of the first n items."""
        own = [self.model_source] * min(self.n_model, n) + ["category"] * min(self.n_category, n)
        return [*own[:n], *["popular"] * (n - len(own))]

    @classmethod
    @functools.lru_cache(maxsize=1000)
    def of(cls, text: str) -> Self:
        """As the statement `stored` writes it."""
        source, model_source, n_model, n_category, segment = text.split("|", 4)
        return cls(source, model_source, int(n_model), int(n_category), segment or None)


class Given(NamedTuple):
    """An answer, and what it was made of: it is right for as long as that is the same.

    row: of `stored`, up to the rules; what those of one version want at one time is one object, in_force.
    """

    row: Row
    in_force: InForce | None
    answer: Answer

    @property
    def size(self) -> int:
        """Bytes, roughly: by rules a short answer may come of a long row."""
        return self.answer.size + sum(len(value) for value in self.row if isinstance(value, str)) + 1500


class OfGuests(NamedTuple):
    """What all guests get."""

    about: Members
    items: bytes

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return len(self.items) + 1000


def from_memory(session: Session, catalog: str, user_id: str, n: int | None, offset: int) -> Answer | None:
    """A user's list as the statement `recommendations` has it, n items after some at the beginning; None where that one
    is needed: for a list that rules leave too short, what changed while we looked, and if nothing is published.

    Raises `Refused` for more than is served.
    """
    memory = session.memory
    row = session.row("stored", user_id, offset + (n or DEFAULT_N))
    if row is None:
        return None
    stored, same, in_force = Stored(*row), row[:-2], None
    if stored.now is not None:
        if (rules := memory.rules(session, stored.rules_version)) is None:
            return None
        in_force = rules.in_force(Made.of(stored.made).segment if stored.made else None, stored.now)
    key = (catalog, user_id, n, offset)
    kept: Given | None = memory.lately.get(key)
    if kept is not None and kept.row == same and kept.in_force is in_force:
        return kept.answer
    live = Live.of(stored.live)
    if stored.made is None:
        return _of_guest(session, *key, (live, stored.rules_version, in_force))
    listed = _listed(session, stored, live, Made.of(stored.made), in_force, user_id, offset + (n or DEFAULT_N))
    if listed is None:
        return None
    listed.check(n, offset)
    try:
        items = listed.items(memory.known(live.batch), offset)
    except KeyError:
        known = memory.learn(session, live.batch, [*listed.item_ids, *(listed.reasons or ())])
        if known is None:
            return None
        items = listed.items(known, offset)
    answer = Answer({"user_id": user_id, **listed.about(catalog)}, items)
    memory.lately.put(key, Given(same, in_force, answer))
    return answer


def _of_guest(
    session: Session,
    catalog: str,
    user_id: str,
    n: int | None,
    offset: int,
    what_holds: tuple[Live, int, InForce | None],
) -> Answer | None:
    """All whom the batch does not know get the same items.

    what_holds: with the version of the rules, also if there are none: if one comes before the second statement, what
    that one finds is kept under a version that is over.
    """
    key = (catalog, n, offset, *what_holds)
    kept: OfGuests | None = session.memory.lately.get(key)
    if kept is None:
        row = session.row("recommendations", user_id, offset + (n or DEFAULT_N))
        if row is None:
            return None
        listed, known = Listed.of(row)
        listed.check(n, offset)
        kept = OfGuests(listed.about(catalog), listed.items(known, offset))
        if (listed.batch_id, listed.computed_at) == what_holds[0].batch:
            session.memory.lately.put(key, kept)
    return Answer({"user_id": user_id, **kept.about}, kept.items)


def _listed(
    session: Session, stored: Stored, live: Live, made: Made, in_force: InForce | None, user_id: str, n: int
) -> Listed | None:
    n = min(n, live.top_n_served)
    item_ids, scores, because = texts(stored.item_ids), texts(stored.scores), numbers(stored.because)
    if in_force is None:
        item_ids = item_ids[:n]
        return _as_listed(stored, live, made, item_ids, scores[:n], made.sources(len(item_ids)), because[:n])
    kept_out = None
    if in_force.pins:
        row = session.row("kept_out", user_id)
        if row is None or row[:2] != live.batch:
            return None
        kept_out = row[2]
    entries = applied(in_force, item_ids, kept_out, live.top_n_served, n)
    if entries is None:
        return None
    sources = made.sources(len(item_ids))
    scores_now: list[float | str] = []
    sources_now, because_now = [], []
    for at, _, source, score in entries:
        if at is None or source is not None:
            sources_now.append(source or "pinned")
            scores_now.append(score or 0.0)
        else:
            sources_now.append(sources[at])
            scores_now.append(scores[at])
        because_now.append(because[at] if because and at is not None else 0)
    ids_now = [item_id for _, item_id, _, _ in entries]
    return _as_listed(stored, live, made, ids_now, scores_now, sources_now, because_now)


def _as_listed(
    stored: Stored,
    live: Live,
    made: Made,
    item_ids: list[str],
    scores: Sequence[float | str],
    sources: list[str],
    because: list[int],
) -> Listed:
    return Listed(
        live.batch_id, live.computed_at, live.model_version, live.top_n_served, made.source,
        item_ids, scores, sources, because or None, texts(stored.reasons),
    )  # fmt: skip
