"""Two models' lists side by side: the users, items and categories that differ."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recjobs.core.evaluation.exam import Exam
from recjobs.core.lists.popularity import DEFAULT_WINDOW

MODELS = ("candidate", "champion", DEFAULT_WINDOW)
"""Models whose lists are kept after a night's exam."""


def kept_lists(questions: Exam, lists: dict[str, np.ndarray]) -> pa.Table:
    """The users of an exam, the items they took, and each model's lists: user_idx, taken, and a column of lists per
    model, all of item_idx. lists: (n_users, k), -1 behind the end."""
    taken = pa.ListArray.from_arrays(
        pa.array(questions.holdout.indptr.astype(np.int32)), pa.array(questions.holdout.indices.astype(np.int32))
    )
    columns = {"user_idx": pa.array(questions.users.astype(np.int32)), "taken": taken}
    return pa.table(columns | {name: _without_ends(rows) for name, rows in lists.items() if name in MODELS})


def whole_lists(users: np.ndarray, lists: np.ndarray) -> pa.Table:
    """Users (user_idx) and the list of each, (n_users, k) item_idx, -1 behind the end: user_idx, item_idx."""
    item_idx = pa.FixedSizeListArray.from_arrays(pa.array(lists.ravel().astype(np.int32)), lists.shape[1])
    return pa.table({"user_idx": pa.array(users.astype(np.int32)), "item_idx": item_idx})


def lists_of(table: pa.Table, users: np.ndarray, k: int) -> np.ndarray | None:
    """The lists of `whole_lists`, (n_users, k); None if they are not those of exactly these users, k long."""
    item_idx = table["item_idx"].combine_chunks()
    if item_idx.type.list_size != k or not np.array_equal(table["user_idx"].to_numpy(), users):
        return None
    return np.asarray(item_idx.flatten().to_numpy().reshape(users.size, k))


@dataclass(frozen=True)
class PlacesChange:
    """An item or category, with its places in lists before and after."""

    name: str
    before: int
    after: int


def places(lists: pa.ListArray, n_items: int) -> np.ndarray:
    """The number of lists with each item; (n_items,)."""
    return np.bincount(lists.flatten().to_numpy(), minlength=n_items)


def places_of_categories(of_items: np.ndarray, categories: pa.ListArray) -> dict[str, int]:
    """The places of each category's items; categories: each item's names."""
    sizes = np.diff(categories.offsets.to_numpy())
    names = categories.flatten().dictionary_encode()
    counts = np.bincount(
        names.indices.to_numpy(), weights=np.repeat(of_items, sizes), minlength=len(names.dictionary)
    ).astype(np.int64)
    return dict(zip(names.dictionary.to_pylist(), counts.tolist(), strict=True))


def movers(moved: list[PlacesChange], most: int = 10) -> tuple[list[PlacesChange], list[PlacesChange]]:
    """Those that gained the most places, and those that lost the most."""
    ordered = sorted(moved, key=lambda one: (one.before - one.after, one.name))
    gained = [one for one in ordered if one.after > one.before]
    return gained[:most], [one for one in reversed(ordered) if one.after < one.before][:most]


def drawn(n_users: int, seed: int, most: int = 20) -> list[int]:
    """Rows of a few users, drawn by the seed, in order."""
    chosen = np.random.default_rng(seed).choice(n_users, min(most, n_users), replace=False)
    return [int(row) for row in np.sort(chosen)]


def _without_ends(rows: np.ndarray) -> pa.ListArray:
    there = rows >= 0
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows[there].astype(np.int32)))
