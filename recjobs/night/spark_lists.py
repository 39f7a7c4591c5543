"""Lists on Spark: each task makes those of some users from their rows, and writes them as a Parquet file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from recjobs.adapters.shared_folder import SharedFolder, SharedTable
from recjobs.core.lists.rotation import Rotation
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.lists.some_users import OfAllUsers
from recjobs.core.rows.interactions import Interactions
from recjobs.night.lists import NightLists, UserLists
from recjobs.night.on_spark import cluster_of, shared_folder, shared_table

TableOf = Callable[[UserLists, np.ndarray, int], pa.Table]
"""(lists, user_idx, n) -> a row per user; a function of a module, which a task imports."""
AT_A_TIME = 4
"""Chunks that each core of the cluster makes before the next checkpoint."""


@dataclass(frozen=True, eq=False)
class _Task:
    """What all tasks are told: read once by each process of an executor."""

    of_all: OfAllUsers
    item_ids: pa.Array
    in_fit: np.ndarray | None
    interactions: SharedTable
    users: SharedTable
    view: str
    after_days: float | None
    explained: int
    chunk_users: int
    n: int
    table_of: TableOf


@dataclass(frozen=True)
class Part:
    """A file that a task wrote: the chunk's number, the path, and its SHA-256."""

    number: int
    path: str
    sha256: str


def parts_on_spark(
    lists: NightLists, numbers: list[int], chunk_users: int, n: int, table_of: TableOf
) -> Iterator[list[Part]]:
    """Make the lists of chunks of users, n items each, on Spark; yield their files, some chunks at a time. The files
    are gone once the next ones are asked for: take them before.

    Raises as `adapters.spark.cluster` and `Cluster.results` do.
    """
    if not numbers:
        return
    night, cluster = lists.night, cluster_of(lists.night)
    folder = shared_folder(night, "score")
    folder.create()
    task = cluster.broadcast(
        _Task(
            OfAllUsers.of(lists.maker),
            lists.item_ids,
            lists.in_fit,
            shared_table(night, "validate", "interactions.parquet"),
            shared_table(night, "validate", "users.parquet"),
            night.catalog.view,
            night.catalog.after_days,
            lists.explained,
            chunk_users,
            n,
            table_of,
        )
    )
    try:
        width = AT_A_TIME * cluster.slots
        for begin in range(0, len(numbers), width):
            parts = [(number, _rotation_of(lists, number, chunk_users)) for number in numbers[begin : begin + width]]
            yield cluster.results(partial(_write, task, folder), parts)
    finally:
        task.destroy()
        folder.remove()


def _rotation_of(lists: UserLists, number: int, chunk_users: int) -> Rotation | None:
    """The rotation of a chunk's users."""
    first, rotation = number * chunk_users, lists.rotation
    return None if rotation is None else rotation.of_users(first, first + chunk_users)


def _write(broadcast: Any, folder: SharedFolder, part: tuple[int, Rotation | None]) -> Part:
    """In a task: make and write the lists of a chunk."""
    task: _Task = broadcast.value
    number, rotation = part
    lists = _lists_of(task, number * task.chunk_users, rotation)
    # A name of its own: a task that runs twice must not write into what is being read.
    name = f"{number}-{uuid4().hex}.parquet"
    table = task.table_of(lists, np.arange(len(lists.user_ids)), task.n)
    return Part(number, f"{folder.path}/{name}", folder.save_table(name, table))


def _lists_of(task: _Task, first: int, rotation: Rotation | None) -> UserLists:
    """The lists of one chunk's users, who count from 0."""
    users = task.users.rows(first, first + task.chunk_users, ["user_id", "segment", "prefers"])
    last = first + users.num_rows
    rows = Interactions.from_table(task.interactions.between("user_idx", first, last))
    own = replace(rows, user_idx=rows.user_idx - np.int32(first), n_users=users.num_rows)
    maker = task.of_all.maker(
        own,
        users["segment"].to_pylist(),
        users["prefers"].to_pylist(),
        lambda part: kept_out_of(part, task.view, task.of_all.now, task.after_days),
    )
    in_fit = None if task.in_fit is None else task.in_fit[first:last]
    return UserLists(maker, users["user_id"].combine_chunks(), task.item_ids, in_fit, task.explained, rotation)
