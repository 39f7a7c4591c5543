"""The rules of a catalog in memory, and which of them are active for a segment at an instant."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple


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
