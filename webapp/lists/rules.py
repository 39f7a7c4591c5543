"""The rules of a catalog in memory, and lists changed by them as the SQL function `apply_rules` does, item for item."""

import functools
import itertools
import struct
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

Entry = tuple[int | None, str, str | None, float | None]
"""An item of the result: its index in the stored list (None: not in it), its id, and the source and the score that a
rule gave it (None: its own)."""
Placement = tuple[float, bool, float, str]
"""A pinned or boosted item: the rank that the rule wants, whether it is boosted, its stored rank, its id."""
Caps = list[tuple[tuple[int, str], int]]
"""What counts an item, by rule and category, and how many of that may be shown."""
Capped = tuple[float, bool, float, str, Caps]
"""A capped item, by what it is counted in the order of: its rank, whether it is anything but pinned, its stored rank,
its id."""
Categories = tuple[str, ...]
"""The categories of an item, each once."""
NOWHERE = float("inf")
MAX_COMBINATIONS = 100_000
"""How many different `Categories` one segment's rules remember the effect on; then they begin again."""


class Rule(NamedTuple):
    """One row of the view `served_rules`; the last three are for a pin, and about its item."""

    rule_id: int
    kind: str
    item_id: str | None
    category: str | None
    segment: str | None
    place: int | None
    factor: float | None
    at_most: int | None
    starts_at: datetime
    ends_at: datetime | None
    may_be_pinned: bool
    item_idx: int | None
    categories: list[str] | None


class Effect:
    """The effect of some active rules on one item."""

    __slots__ = ("blocked", "caps", "factor", "place")

    def __init__(self) -> None:
        self.blocked = False
        self.place: int | None = None
        self.factor: float | None = None
        self.caps: Caps = []

    def add(self, rule: Rule, category: str) -> None:
        """Take one more rule into account. category: the one of the item that the rule is about, or none ("")."""
        if rule.place is not None:
            self.place = rule.place if self.place is None else min(self.place, rule.place)
        elif rule.factor is not None:
            self.factor = rule.factor if self.factor is None else max(self.factor, rule.factor)
        elif rule.at_most is not None:
            self.caps.append(((rule.rule_id, category), rule.at_most))
        else:
            self.blocked = True


class ActiveRules:
    """The rules that are active for one segment: what they do to an item, and the pins as (item_id, item_idx, effect).

    A rule on a category is kept once, whatever the number of its items. Items of the same categories share an effect.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_item: dict[str, list[Rule]] = {}
        self._by_category: dict[str, list[Rule]] = {}
        self._on_each_category: list[Rule] = []
        for rule in rules:
            if rule.item_id is not None:
                self._by_item.setdefault(rule.item_id, []).append(rule)
            elif rule.category is not None:
                self._by_category.setdefault(rule.category, []).append(rule)
            else:
                self._on_each_category.append(rule)
        self._of_item: dict[str, Effect] = {}
        self._of_categories: dict[Categories, Effect | None] = {}
        self.need_categories = bool(self._by_category or self._on_each_category)
        """Whether the effect on an item depends on its categories."""
        pins = [(item_id, rule) for item_id, of_item in self._by_item.items() for rule in of_item if rule.may_be_pinned]
        effects = {item_id: self._on_item(item_id, as_categories(rule.categories)) for item_id, rule in pins}
        pinned = {item_id: (rule.item_idx, effects[item_id]) for item_id, rule in pins if not effects[item_id].blocked}
        self.pins = [(item_id, *of_pin) for item_id, of_pin in pinned.items()]

    def effects(self, item_ids: list[str], categories: Iterable[Categories]) -> list[Effect | None]:
        """The effect on each item, None where no rule is about it. categories: of each, if `need_categories`."""
        by_item, effects = self._by_item, list[Effect | None]()
        if self.need_categories:
            known = self._of_categories
            for names in categories:
                if names not in known:
                    known[names] = self._combined((), names)
                effects.append(known[names])
            if len(known) > MAX_COMBINATIONS:
                self._of_categories = {}
        else:
            effects = [None] * len(item_ids)
        if not by_item.keys().isdisjoint(item_ids):
            of_each = categories if self.need_categories else itertools.repeat(())
            for index, (item_id, names) in enumerate(zip(item_ids, of_each, strict=False)):
                if item_id in by_item:
                    effects[index] = self._on_item(item_id, names)
        return effects

    def _on_item(self, item_id: str, categories: Categories) -> Effect:
        effect = self._of_item.get(item_id)
        if effect is None:
            effect = self._of_item[item_id] = self._combined(self._by_item[item_id], categories) or Effect()
        return effect

    def _combined(self, of_item: Iterable[Rule], categories: Categories) -> Effect | None:
        pairs = [(rule, "") for rule in of_item]
        for name in categories:
            pairs += [(rule, name) for rule in (*self._by_category.get(name, ()), *self._on_each_category)]
        if not pairs:
            return None
        effect = Effect()
        for rule, category in pairs:
            effect.add(rule, category)
        return effect


def as_categories(categories: Iterable[str | None] | None) -> Categories:
    """Categories as rules meet them: each once."""
    return tuple(dict.fromkeys(name for name in categories or () if name is not None))


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
        """From rows of the view `served_rules`, at least one."""
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
    rules: ActiveRules,
    item_ids: list[str],
    categories: Sequence[Categories],
    kept_out: Collection[int],
    n_served: int,
    n: int,
) -> list[Entry] | None:
    """The first n items of a list under active rules; None if the rules leave fewer than n_served of the stored ones.

    categories: of each item, if the rules need them. kept_out: item_idx of items that must not enter this list.
    """
    effects = rules.effects(item_ids, categories)
    affected: list[tuple[float, str, Effect]] = [
        (rank, item_id, effect)
        for rank, (item_id, effect) in enumerate(zip(item_ids, effects, strict=True), 1)
        if effect is not None
    ]
    if rules.pins:
        stored = set(item_ids)
        # without an idx the batch is from before the rules, and does not say what the user has seen
        affected += [
            (NOWHERE, item_id, effect)
            for item_id, idx, effect in rules.pins
            if item_id not in stored and idx is not None and idx not in kept_out
        ]
    if not affected:
        return [(index, item_id, None, None) for index, item_id in enumerate(item_ids[:n])]

    removed = set[float]()
    placements: list[Placement] = []
    capped: list[Capped] = []
    for rank, item_id, effect in affected:
        if effect.blocked:
            removed.add(rank)
            continue
        place, boosted = rank, True
        if effect.place is not None:
            place, boosted = effect.place, False
            placements.append((place, boosted, rank, item_id))
        elif effect.factor is not None:
            place = -int(-rank // effect.factor)
            placements.append((place, boosted, rank, item_id))
        if effect.caps:
            # of two pins at one place the one from outside comes first
            capped.append((place, boosted, -1 if rank == NOWHERE else rank, item_id, effect.caps))
    if over_caps := _over_caps(capped):
        removed.update(rank for rank, item_id, _ in affected if item_id in over_caps)
        placements = [placement for placement in placements if placement[3] not in over_caps]
    removed.discard(NOWHERE)
    if len(item_ids) - len(removed) < n_served:
        return None
    removed.update(rank for _, _, rank, _ in placements)
    return _merge(item_ids, removed, sorted(placements), n)


def _over_caps(capped: list[Capped]) -> set[str]:
    counts: dict[tuple[int, str], int] = {}
    over = set()
    for _, _, _, item_id, caps in sorted(capped):
        for cap, at_most in caps:
            counts[cap] = counts.get(cap, 0) + 1
            if counts[cap] > at_most:
                over.add(item_id)
    return over


def _merge(item_ids: list[str], removed: set[float], placements: list[Placement], n: int) -> list[Entry]:
    merged: list[Entry] = []
    rest = ((rank - 1, item_id, None, None) for rank, item_id in enumerate(item_ids, 1) if rank not in removed)
    place = 0
    for wanted, boosted, rank, item_id in placements:
        place = max(place + 1, int(wanted))
        merged.extend(itertools.islice(rest, max(0, min(place - 1, n) - len(merged))))
        if len(merged) >= n:
            return merged
        index = None if rank == NOWHERE else int(rank) - 1
        merged.append((index, item_id, "boosted" if boosted else "pinned", _score(place)))
    merged.extend(itertools.islice(rest, n - len(merged)))
    return merged


@functools.cache
def _score(place: int) -> float:
    """1/place as Postgres' real has it."""
    return float(f"{struct.unpack('f', struct.pack('f', 1 / place))[0]:.8g}")
