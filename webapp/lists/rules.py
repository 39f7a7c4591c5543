"""The rules of a catalog in memory, and lists changed by them as the SQL function `apply_rules` does, item for item."""

import functools
import itertools
import struct
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

Entry = tuple[int | None, str, str | None, float | None]
"""An item of the result: its index in the stored list (None: not in it), its id, and the source and the score that a
rule gave it (None: its own)."""
Placement = tuple[int, bool, float, str]
"""A pinned or boosted item: the rank that the rule wants, whether it is boosted, its stored rank, its id."""
NOWHERE = float("inf")


class Rule(NamedTuple):
    """One row of the view `written_rules`: a rule, and one item that it is about."""

    rule_id: int
    kind: str
    item_id: str
    category: str
    segment: str | None
    place: int | None
    factor: float | None
    at_most: int | None
    starts_at: datetime
    ends_at: datetime | None
    may_be_pinned: bool
    item_idx: int | None


class Effect:
    """The effect of all active rules on one item."""

    __slots__ = ("blocked", "caps", "factor", "place")

    def __init__(self) -> None:
        self.blocked = False
        self.place: int | None = None
        self.factor: float | None = None
        self.caps: list[tuple[tuple[int, str], int]] = []

    def add(self, rule: Rule) -> None:
        """Take one more rule into account."""
        if rule.place is not None:
            self.place = rule.place if self.place is None else min(self.place, rule.place)
        elif rule.factor is not None:
            self.factor = rule.factor if self.factor is None else max(self.factor, rule.factor)
        elif rule.at_most is not None:
            self.caps.append(((rule.rule_id, rule.category), rule.at_most))
        else:
            self.blocked = True


class ActiveRules:
    """The rules that are active for one segment: the effect on each item, and the pins as (item_id, item_idx)."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.effects: dict[str, Effect] = {}
        pins = {}
        for rule in rules:
            self.effects.setdefault(rule.item_id, Effect()).add(rule)
            if rule.may_be_pinned:
                pins[rule.item_id] = rule.item_idx
        self.pins = [(item_id, item_idx) for item_id, item_idx in pins.items() if not self.effects[item_id].blocked]


class RuleSet:
    """All rules of a catalog, of one version. Threads share it."""

    def __init__(self, version: int, rules: list[Rule]) -> None:
        self.version = version
        self._rules = rules
        self._segments = {rule.segment for rule in rules}
        self._changes_at = sorted({at for rule in rules for at in (rule.starts_at, rule.ends_at) if at})
        self._active: tuple[int, dict[str | None, ActiveRules]] = (-1, {})

    @classmethod
    def of(cls, rows: list[Any]) -> "RuleSet":
        """From the rows of the view `written_rules`."""
        return cls(rows[0][0], [Rule(*row[1:]) for row in rows if row[1] is not None])

    def active(self, segment: str | None, now: datetime) -> ActiveRules:
        """The rules for users of a segment at an instant: the same object until a rule begins or ends."""
        period = bisect_right(self._changes_at, now)
        active = self._active
        if active[0] != period:  # another thread's clock may be in the period before or after
            active = self._active = (period, {})
        by_segment = active[1]
        segment = segment if segment in self._segments else None
        if segment not in by_segment:
            by_segment[segment] = ActiveRules(
                rule
                for rule in self._rules
                if rule.segment in (None, segment)
                and rule.starts_at <= now
                and (rule.ends_at is None or now < rule.ends_at)
            )
        return by_segment[segment]


def apply_rules(
    rules: ActiveRules, item_ids: list[str], kept_out: Iterable[int] | None, n_served: int, n: int
) -> list[Entry] | None:
    """The first n items of a list under active rules; None if the rules leave fewer than n_served of the stored ones.

    kept_out: item_idx of items that must not enter this list; None: there are none.
    """
    effects = rules.effects
    affected = {item_id for item_id in item_ids if item_id in effects} if effects else set()
    outside = []
    if rules.pins:
        stored, excluded = set(item_ids), set(kept_out or ())
        outside = [item_id for item_id, idx in rules.pins if item_id not in stored and idx not in excluded]
    if not affected and not outside:
        return [(index, item_id, None, None) for index, item_id in enumerate(item_ids[:n])]

    ranks = {item_id: rank for rank, item_id in enumerate(item_ids, 1) if item_id in affected}
    removed = {rank for item_id, rank in ranks.items() if effects[item_id].blocked}
    placements = _placements(effects, ranks, outside)
    if over_caps := _over_caps(effects, ranks, placements):
        removed.update(ranks[item_id] for item_id in over_caps if item_id in ranks)
        placements = [placement for placement in placements if placement[3] not in over_caps]
    if len(item_ids) - len(removed) < n_served:
        return None
    removed.update(ranks[item_id] for _, _, _, item_id in placements if item_id in ranks)
    return _merge(item_ids, removed, placements, ranks, n)


def _placements(effects: dict[str, Effect], ranks: dict[str, int], outside: list[str]) -> list[Placement]:
    placements: list[Placement] = []
    for item_id in [*ranks, *outside]:
        effect = effects[item_id]
        if effect.blocked:
            continue
        rank = ranks.get(item_id, NOWHERE)
        if effect.place is not None:
            placements.append((effect.place, False, rank, item_id))
        elif effect.factor is not None:
            placements.append((-int(-rank // effect.factor), True, rank, item_id))
    return sorted(placements)


def _over_caps(effects: dict[str, Effect], ranks: dict[str, int], placements: list[Placement]) -> set[str]:
    placed = {item_id: (place, boosted, rank) for place, boosted, rank, item_id in placements}
    counts: dict[tuple[int, str], int] = {}
    over = set()

    def order(item_id: str) -> tuple[int, bool, float, str]:
        place, boosted, rank = placed.get(item_id) or (ranks[item_id], True, ranks[item_id])
        # of two pins at one place the one from outside comes first
        return place, boosted, -1.0 if rank == NOWHERE else rank, item_id

    capped = [i for i in {*ranks, *placed} if effects[i].caps and not effects[i].blocked]
    for item_id in sorted(capped, key=order):
        for cap, at_most in effects[item_id].caps:
            counts[cap] = counts.get(cap, 0) + 1
            if counts[cap] > at_most:
                over.add(item_id)
    return over


def _merge(
    item_ids: list[str], removed: set[int], placements: list[Placement], ranks: dict[str, int], n: int
) -> list[Entry]:
    merged: list[Entry] = []
    rest = ((rank - 1, item_id) for rank, item_id in enumerate(item_ids, 1) if rank not in removed)
    place = 0
    for wanted, boosted, _, item_id in placements:
        place = max(place + 1, wanted)
        merged.extend((*entry, None, None) for entry in itertools.islice(rest, max(0, min(place - 1, n) - len(merged))))
        if len(merged) >= n:
            return merged
        rank = ranks.get(item_id)
        index = None if rank is None else rank - 1
        merged.append((index, item_id, "boosted" if boosted else "pinned", _score(place)))
    merged.extend((*entry, None, None) for entry in itertools.islice(rest, n - len(merged)))
    return merged


@functools.cache
def _score(place: int) -> float:
    """1/place as Postgres' real has it."""
    return float(f"{struct.unpack('f', struct.pack('f', 1 / place))[0]:.8g}")
