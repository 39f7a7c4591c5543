"""Rules over a list, in this process: what the SQL function `apply_rules` does, item for item, a hundred times faster.

The statement that reads a list names the version of the rules in force in the same snapshot, so a list never meets
other rules than its own. The function remains for everything that does not ask thousands of times a second, and for
the one case that needs the database again: a list that rules leave too short.
"""

import functools
import itertools
import struct
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

Entry = tuple[int | None, str, str | None, float | None]
"""An item: its place in the stored list from 0 on (None: it stands not in it), its id, and the source and the score
that a rule gave it (None: its own)."""


class Rule(NamedTuple):
    """One row of the view `written_rules`."""

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
    """What all rules in force together want of one item."""

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


class InForce:
    """The rules in force for one segment: the effect on each item, and what is pinned, as (item_id, item_idx)."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.effects: dict[str, Effect] = {}
        pins = {}
        for rule in rules:
            self.effects.setdefault(rule.item_id, Effect()).add(rule)
            if rule.may_be_pinned:
                pins[rule.item_id] = rule.item_idx
        self.pins = [(item_id, number) for item_id, number in pins.items() if not self.effects[item_id].blocked]


class Rules:
    """All rules of a catalog, of one version. `in_force` is cheap to ask again."""

    def __init__(self, version: int, rules: list[Rule]) -> None:
        self.version = version
        self._rules = rules
        self._segments = {rule.segment for rule in rules}
        self._turns = sorted({at for rule in rules for at in (rule.starts_at, rule.ends_at) if at})
        self._found: tuple[int, dict[str | None, InForce]] = (-1, {})
        self.has_pins = any(rule.may_be_pinned for rule in rules)

    @classmethod
    def of(cls, rows: list[Any]) -> "Rules":
        """From the rows of the view `written_rules`."""
        return cls(rows[0][0], [Rule(*row[1:]) for row in rows if row[1] is not None])

    def in_force(self, segment: str | None, now: datetime) -> InForce:
        """The rules for users of a segment, at an instant."""
        turn = bisect_right(self._turns, now)
        found = self._found
        if found[0] != turn:  # another thread may be on this side of the turn, or on the other
            found = self._found = (turn, {})
        by_segment = found[1]
        segment = segment if segment in self._segments else None
        if segment not in by_segment:
            by_segment[segment] = InForce(
                rule
                for rule in self._rules
                if rule.segment in (None, segment)
                and rule.starts_at <= now
                and (rule.ends_at is None or now < rule.ends_at)
            )
        return by_segment[segment]


def applied(
    rules: InForce, item_ids: list[str], seen: Iterable[int] | None, n_served: int, n: int
) -> list[Entry] | None:
    """The first n of a list by the rules in force; None if they leave fewer than n_served of its own.

    seen: numbers of items that are kept out of this list; None: none are.
    """
    effects = rules.effects
    met = {item_id for item_id in item_ids if item_id in effects} if effects else set()
    outside = []
    if rules.pins:
        listed, kept_out = set(item_ids), set(seen or ())
        outside = [i for i, number in rules.pins if i not in listed and number not in kept_out]
    if not met and not outside:
        return [(at, item_id, None, None) for at, item_id in enumerate(item_ids[:n])]

    places = {item_id: at for at, item_id in enumerate(item_ids, 1) if item_id in met}
    taken_out = {at for item_id, at in places.items() if effects[item_id].blocked}
    put_in = _put_in(effects, places, outside)
    if over_caps := _over_caps(effects, places, put_in):
        taken_out.update(places[item_id] for item_id in over_caps if item_id in places)
        put_in = [entry for entry in put_in if entry[3] not in over_caps]
    if len(item_ids) - len(taken_out) < n_served:
        return None
    taken_out.update(places[item_id] for _, _, _, item_id in put_in if item_id in places)
    return _merged(item_ids, taken_out, put_in, places, n)


Put = tuple[int, bool, float, str]
"""A pinned or boosted item: the place it wants, whether it is boosted, where it stood, its id."""
NOWHERE = float("inf")


def _put_in(effects: dict[str, Effect], places: dict[str, int], outside: list[str]) -> list[Put]:
    found: list[Put] = []
    for item_id in [*places, *outside]:
        effect = effects[item_id]
        if effect.blocked:
            continue
        at = places.get(item_id, NOWHERE)
        if effect.place is not None:
            found.append((effect.place, False, at, item_id))
        elif effect.factor is not None:
            found.append((-int(-at // effect.factor), True, at, item_id))
    return sorted(found)


def _over_caps(effects: dict[str, Effect], places: dict[str, int], put_in: list[Put]) -> set[str]:
    wanted = {item_id: (place, boosted, at) for place, boosted, at, item_id in put_in}
    counts: dict[tuple[int, str], int] = {}
    over = set()

    def order(item_id: str) -> tuple[int, bool, float, str]:
        place, boosted, at = wanted.get(item_id) or (places[item_id], True, places[item_id])
        # of two pins of one place the one from outside comes first
        return place, boosted, -1.0 if at == NOWHERE else at, item_id

    capped = [i for i in {*places, *wanted} if effects[i].caps and not effects[i].blocked]
    for item_id in sorted(capped, key=order):
        for cap, at_most in effects[item_id].caps:
            counts[cap] = counts.get(cap, 0) + 1
            if counts[cap] > at_most:
                over.add(item_id)
    return over


def _merged(item_ids: list[str], taken_out: set[int], put_in: list[Put], places: dict[str, int], n: int) -> list[Entry]:
    merged: list[Entry] = []
    kept = ((at - 1, item_id) for at, item_id in enumerate(item_ids, 1) if at not in taken_out)
    place = 0
    for wanted, boosted, _, item_id in put_in:
        place = max(place + 1, wanted)
        merged.extend((*entry, None, None) for entry in itertools.islice(kept, max(0, min(place - 1, n) - len(merged))))
        if len(merged) >= n:
            return merged
        at = places.get(item_id)
        stood = None if at is None else at - 1
        merged.append((stood, item_id, "boosted" if boosted else "pinned", _score(place)))
    merged.extend((*entry, None, None) for entry in itertools.islice(kept, n - len(merged)))
    return merged


@functools.cache
def _score(place: int) -> float:
    """1/place as Postgres' real has it."""
    return float(f"{struct.unpack('f', struct.pack('f', 1 / place))[0]:.8g}")
