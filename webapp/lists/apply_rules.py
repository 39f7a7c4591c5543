"""Rules applied to a list: what the SQL function `apply_rules` does, item for item, a hundred times faster."""

import functools
import itertools
import struct
from collections.abc import Iterable

from webapp.lists.active_rules import ActiveRules, Effect

Entry = tuple[int | None, str, str | None, float | None]
"""An item of the result: its index in the stored list (None: not in it), its id, and the source and the score that a
rule gave it (None: its own)."""
Placement = tuple[int, bool, float, str]
"""A pinned or boosted item: the rank that the rule wants, whether it is boosted, its stored rank, its id."""
NOWHERE = float("inf")


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
