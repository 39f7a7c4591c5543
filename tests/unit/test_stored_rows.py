"""Interactions that are read part by part give what the same rows in memory give, wherever the parts end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recjobs.core.lists.again import again_lists
from recjobs.core.lists.inactive import last_at
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.ladder import latest
from recjobs.core.lists.maker import Past
from recjobs.core.lists.own_items import own_frequency
from recjobs.core.lists.popularity import popular_in_groups, popular_order
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.lists.similar import support_of
from recjobs.core.lists.together import Baskets
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows import interactions as rows_module
from recjobs.core.rows.by_blocks import activity_of, confidence_of, items_of, rows_of_items, rows_of_users
from recjobs.core.rows.interactions import Interactions, RowBlocks
from recjobs.core.rows.stored_rows import StoredRows
from tests.unit.worlds import NOW, interactions

USERS, ITEMS = 40, 12
GROUPS = [None if user % 7 == 0 else f"group {user % 3}" for user in range(USERS)]


def shop(kinds: bool) -> Interactions:
    """Users with 0 to 12 rows, some of the same pair, as `validate` leaves them; with kinds some are returns."""
    rng = np.random.default_rng(5)
    rows = sorted(
        (user, int(rng.integers(ITEMS)), float(rng.uniform(0, 400)), float(rng.integers(1, 4)))
        for user in range(2, USERS - 2)
        for _ in range(rng.integers(13))
    )
    made = interactions(rows, USERS, ITEMS)
    if not kinds:
        return made
    kind = rng.integers(0, 2, len(made)).astype(np.int16)
    return replace(made, kinds=("buy", "return"), negative=("return",), kind=kind)


def stored(rows: Interactions, size: int) -> StoredRows:
    """The same, read `size` rows at a time."""

    def read() -> Iterator[Interactions]:
        return (rows.where(slice(first, first + size)) for first in range(0, len(rows), size))

    return StoredRows(read, rows.where(slice(0, 0)), len(rows))


RECIPE = Recipe(half_life_days=30, weight_scale="log", weight_cap=2, kinds=(("buy", 1.0), ("return", -1.0)))
FOUND: dict[str, Callable[[RowBlocks], Any]] = {
    "takers": lambda rows: rows.takers,
    "popular": lambda rows: popular_order(rows, NOW, 90),
    "popular of all time": lambda rows: popular_order(rows, NOW, None),
    "popular in groups": lambda rows: popular_in_groups(rows, NOW, 90, GROUPS),
    "support": lambda rows: support_of(rows, NOW),
    "activity": activity_of,
    "last": lambda rows: last_at(rows, NOW),
    "items": items_of,
    "latest": lambda rows: latest(rows, 3),
    "again": lambda rows: vars(again_lists(rows, NOW, 5, np.ones(ITEMS, bool))),
    "confidence": lambda rows: confidence_of(rows, RECIPE, NOW),
    "plain confidence": lambda rows: confidence_of(rows, Recipe(), NOW),
    "own": lambda rows: own_frequency(rows, NOW, 60),
    "kept out": lambda rows: kept_out_of(rows, "discovery", NOW, None),
    "returned": lambda rows: kept_out_of(rows, "repeats", NOW, None),
    "recent": lambda rows: kept_out_of(rows, "after_days", NOW, 100),
    "of some users": lambda rows: rows_of_users(rows, np.array([3, 9, 10])).to_table(),
    "of some items": lambda rows: rows_of_items(rows, np.array([0, 7])).to_table(),
    "orders": lambda rows: vars(Baskets.of(rows, NOW, 60 * 24 * 30)),
    "ladder": lambda rows: vars(Past(rows, NOW, Engine()).ladder(Knowledge.of_train(rows, GROUPS), "popularity_30d")),
    "whole": lambda rows: rows.whole().to_table(),
}


def plain(value: Any) -> Any:
    """Any result as what compares by its bytes."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if hasattr(value, "indptr"):
        return [plain(part) for part in (value.data, value.indices, value.indptr)] + [value.shape]
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    if isinstance(value, np.ndarray):
        return value.dtype, value.tobytes()
    return plain(vars(value)) if hasattr(value, "__dict__") else value


@pytest.mark.parametrize("kinds", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("what", FOUND)
def test_what_follows_from_rows_does_not_depend_on_how_they_are_read(
    what: str, size: int, kinds: bool, monkeypatch: pytest.MonkeyPatch
):
    rows = shop(kinds)
    at_once = plain(FOUND[what](rows))
    monkeypatch.setattr(rows_module, "BLOCK", 10)
    assert plain(FOUND[what](stored(rows, size))) == at_once


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_no_user_is_in_two_parts_and_all_rows_are_in_one(size: int):
    rows = shop(kinds=False)
    parts = list(stored(rows, size).parts())
    users = [set(part.user_idx.tolist()) for part in parts]
    assert sum(map(len, users)) == len(set().union(*users)) == np.unique(rows.user_idx).size
    assert parts[0].followed_by(parts[1:]).to_table() == rows.to_table()
    if size == 7:
        assert len(parts) > 10


def test_without_rows_there_are_no_parts_and_empty_results():
    nothing = stored(shop(kinds=True).where(slice(0, 0)), 5)
    assert list(nothing.parts()) == []
    assert nothing.takers.tolist() == [0] * ITEMS
    assert confidence_of(nothing, RECIPE, NOW).shape == (USERS, ITEMS)
    assert len(nothing.whole()) == 0
    assert len(rows_of_users(nothing, np.array([1]))) == 0
