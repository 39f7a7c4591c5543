"""A known user's list with as little work as can be: one row by its key, and the rest from this process's memory."""

from datetime import datetime
from typing import NamedTuple

from webapp.db import Session
from webapp.in_force import Entry, applied
from webapp.listed import Known, Listed


class Stored(NamedTuple):
    """The row of the statement `stored`: a list before the rules.

    Without rules (has_rules) it holds no more items than were asked for, else all that are stored.
    """

    batch_id: str
    computed_at: datetime
    model_version: str | None
    top_n_served: int
    source: str
    model_source: str
    n_model: int
    n_category: int
    item_ids: list[str]
    scores: list[float]
    because: list[int | None] | None
    reasons: list[str] | None
    segment: str | None
    rules_version: int
    has_rules: bool
    now: datetime
    kept_out: list[int] | None


def from_memory(session: Session, user_id: str, n: int) -> tuple[Listed, Known] | None:
    """The first n of a user's list, as the statement `recommendations` has it; None where that one is needed: for a
    user whom the batch does not know, a list that rules leave too short, or what changed in between."""
    memory = session.memory
    wanted_kept_out = memory.wants_kept_out
    row = session.row("stored", user_id, n, wanted_kept_out)
    if row is None:
        return None
    stored = Stored(*row)
    n = min(n, stored.top_n_served)
    if not stored.has_rules:
        listed = _as_stored(stored, n)
    else:
        rules = memory.rules(session, stored.rules_version)
        if rules is None or (rules.has_pins and not wanted_kept_out):
            return None
        in_force = rules.in_force(stored.segment, stored.now)
        entries = applied(in_force, stored.item_ids, stored.kept_out, stored.top_n_served, n)
        if entries is None:
            return None
        listed = _by_rules(stored, entries)
    known = memory.known(session, (stored.batch_id, stored.computed_at), [*listed.item_ids, *listed.named()])
    return None if known is None else (listed, known)


def _as_stored(stored: Stored, n: int) -> Listed:
    item_ids = stored.item_ids[:n]
    n_model, n_known = stored.n_model, stored.n_model + stored.n_category
    sources = [stored.model_source] * n_model + ["category"] * stored.n_category
    sources += ["popular"] * (len(item_ids) - n_known)
    return _listed(stored, item_ids, stored.scores[:n], sources[:n], stored.because and stored.because[:n])


def _by_rules(stored: Stored, entries: list[Entry]) -> Listed:
    n_model, n_known = stored.n_model, stored.n_model + stored.n_category
    scores, sources, because = [], [], []
    for at, _, source, score in entries:
        if at is None or source is not None:
            sources.append(source or "pinned")
            scores.append(score or 0.0)
        else:
            sources.append(stored.model_source if at < n_model else "category" if at < n_known else "popular")
            scores.append(stored.scores[at])
        because.append(stored.because[at] if stored.because and at is not None else None)
    return _listed(stored, [item_id for _, item_id, _, _ in entries], scores, sources, because)


def _listed(
    stored: Stored, item_ids: list[str], scores: list[float], sources: list[str], because: list[int | None] | None
) -> Listed:
    return Listed(
        stored.batch_id, stored.computed_at, stored.model_version, stored.top_n_served, stored.source,
        item_ids, scores, sources, because, stored.reasons,
    )  # fmt: skip
