"""Two hundred rules in force, as a shop may have them, or blocks alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.serve_world import N_ITEMS, World, category_of, item_ids

Rule = dict[str, Any]


def blocks() -> list[Rule]:
    """200 items that are not shown."""
    return _by_item("block", 200)


def mixed() -> list[Rule]:
    """Mostly items that are not shown; four categories gone; boosts, pins, and caps on categories."""
    ids = item_ids().to_pylist()
    return [
        *_by_item("block", 130),
        *_by_item("out_of_stock", 40, 40),
        *_by_item("expire", 14, 80),
        *({"kind": "block", "category": category_of(k)} for k in range(4)),
        *({"kind": "boost", "item_id": ids[7 + k], "factor": 3} for k in range(3)),
        *({"kind": "boost", "category": category_of(10 + k), "factor": 2} for k in range(2)),
        *({"kind": "pin", "item_id": ids[2_000 + k], "place": 3 * k + 1} for k in range(3)),
        *({"kind": "cap", "category": category_of(20 + k), "at_most": 2} for k in range(4)),
    ]


def by_category(n_categories: int) -> list[Rule]:
    """200 rules on 200 of the categories: gone, put first, or shown twice at most."""
    some = [category_of(k, n_categories) for k in range(200)]
    return [
        *({"kind": "block", "category": name} for name in some[:60]),
        *({"kind": "boost", "category": name, "factor": 2} for name in some[60:130]),
        *({"kind": "cap", "category": name, "at_most": 2} for name in some[130:]),
    ]


def _by_item(kind: str, n: int, first: int = 0) -> list[Rule]:
    ids = item_ids().to_pylist()
    return [{"kind": kind, "item_id": ids[(first + 131 * k) % N_ITEMS]} for k in range(n)]


@contextmanager
def in_force(world: World, rules: list[Rule]) -> Iterator[None]:
    """These rules, until the end of the block."""
    with world.database("editor").connect() as editor:
        added = [editor.call("add_rule", rule=rule) for rule in rules]
        try:
            yield
        finally:
            for rule_id in added:
                editor.call("remove_rule", rule=rule_id, by_whom=None)
