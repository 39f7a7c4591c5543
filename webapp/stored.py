"""Lists with as little work as can be: one row by its key, and the rest from this process's memory."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from webapp.connection import numbers, texts
from webapp.db import Session
from webapp.in_force import Entry, InForce, applied
from webapp.listed import Answer, Listed, Members
from webapp.memory import Batch
from webapp.parameters import DEFAULT_N


class Stored(NamedTuple):
    """The row of the statement `stored`: what is in charge, and a user's list before the rules.

    Without rules (has_rules) the list holds no more items than were asked for, else all that are stored; there is none
    (None from source to segment) for a user whom the batch does not know. Arrays are as Postgres writes them: psycopg2
    takes three times as long to read them as `texts` and `numbers` do.
    """

    batch_id: str
    computed_at: datetime
    model_version: str | None
    top_n_served: int
    rules_version: int
    has_rules: bool
    source: str
    model_source: str
    n_model: int
    n_category: int
    item_ids: str | None
    scores: str
    because: str | None
    reasons: str | None
    segment: str | None
    now: datetime | None

    @property
    def batch(self) -> Batch:
        """What names the batch."""
        return self.batch_id, self.computed_at


class Given(NamedTuple):
    """An answer, and what it was made of: it is right for as long as that is the same."""

    row: list[Any]
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
    *same, now = row
    if now is None:
        in_force = None
    elif (rules := memory.rules(session, Stored(*row).rules_version)) is not None:
        in_force = rules.in_force(Stored(*row).segment, now)
    else:
        return None
    key = (catalog, user_id, n, offset)
    kept: Given | None = memory.lately.get(key)
    if kept is not None and kept.row == same and kept.in_force is in_force:
        return kept.answer
    stored = Stored(*row)
    if stored.item_ids is None:
        return _of_guest(session, catalog, user_id, n, offset, stored, in_force)
    listed = _listed(session, stored, user_id, offset + (n or DEFAULT_N), in_force)
    if listed is None:
        return None
    listed.check(n, offset)
    try:
        items = listed.items(memory.known(stored.batch), offset)
    except KeyError:
        known = memory.learn(session, stored.batch, [*listed.item_ids, *(listed.reasons or ())])
        if known is None:
            return None
        items = listed.items(known, offset)
    answer = Answer({"user_id": user_id, **listed.about(catalog)}, items)
    memory.lately.put(key, Given(same, in_force, answer))
    return answer


def _of_guest(
    session: Session, catalog: str, user_id: str, n: int | None, offset: int, stored: Stored, in_force: InForce | None
) -> Answer | None:
    """All whom the batch does not know get the same items."""
    key = (catalog, stored.batch, stored.rules_version, in_force, n, offset)
    kept: OfGuests | None = session.memory.lately.get(key)
    if kept is None:
        row = session.row("recommendations", user_id, offset + (n or DEFAULT_N))
        if row is None:
            return None
        listed, known = Listed.of(row)
        listed.check(n, offset)
        kept = OfGuests(listed.about(catalog), listed.items(known, offset))
        if (listed.batch_id, listed.computed_at) == stored.batch:
            session.memory.lately.put(key, kept)
    return Answer({"user_id": user_id, **kept.about}, kept.items)


def _listed(session: Session, stored: Stored, user_id: str, n: int, in_force: InForce | None) -> Listed | None:
    n = min(n, stored.top_n_served)
    item_ids, scores, because = texts(stored.item_ids), texts(stored.scores), numbers(stored.because)
    if in_force is None:
        sources = [stored.model_source] * stored.n_model + ["category"] * stored.n_category
        sources += ["popular"] * (n - len(sources))
        return _as_listed(stored, item_ids[:n], scores[:n], sources[: len(item_ids[:n])], because[:n])
    kept_out = None
    if in_force.pins:
        row = session.row("kept_out", user_id)
        if row is None or row[:2] != stored.batch:
            return None
        kept_out = row[2]
    entries = applied(in_force, item_ids, kept_out, stored.top_n_served, n)
    return None if entries is None else _by_rules(stored, entries, scores, because)


def _by_rules(stored: Stored, entries: list[Entry], scores: list[str], because: list[int]) -> Listed:
    n_model, n_known = stored.n_model, stored.n_model + stored.n_category
    scores_now: list[float | str] = []
    sources, because_now = [], []
    for at, _, source, score in entries:
        if at is None or source is not None:
            sources.append(source or "pinned")
            scores_now.append(score or 0.0)
        else:
            sources.append(stored.model_source if at < n_model else "category" if at < n_known else "popular")
            scores_now.append(scores[at])
        because_now.append(because[at] if because and at is not None else 0)
    return _as_listed(stored, [item_id for _, item_id, _, _ in entries], scores_now, sources, because_now)


def _as_listed(
    stored: Stored, item_ids: list[str], scores: Sequence[float | str], sources: list[str], because: list[int]
) -> Listed:
    return Listed(
        stored.batch_id, stored.computed_at, stored.model_version, stored.top_n_served, stored.source,
        item_ids, scores, sources, because or None, texts(stored.reasons),
    )  # fmt: skip
