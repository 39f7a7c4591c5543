"""Lists on Spark: each task makes those of some users from their rows, and writes them as a Parquet file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import pyarrow as pa

from recjobs.adapters.shared_folder import SharedFolder
from recjobs.core.lists.rotation import Rotation
from recjobs.night.list_parts import ListParts
from recjobs.night.lists import UserLists
from recjobs.night.night import Night
from recjobs.night.on_spark import cluster_of, shared_folder

TableOf = Callable[[UserLists, int], pa.Table]
"""(lists of some users, n) -> a row per user; a function of a module, which a task imports."""
AT_A_TIME = 4
"""Chunks that each core of the cluster makes before the next checkpoint."""


@dataclass(frozen=True)
class Part:
    """A file that a task wrote: the chunk's number, the path, and its SHA-256."""

    number: int
    path: str
    sha256: str


def parts_on_spark(
    night: Night,
    parts: ListParts,
    numbers: list[int],
    rotation_of: Callable[[int], Rotation | None],
    n: int,
    table_of: TableOf,
) -> Iterator[list[Part]]:
    """Make the lists of chunks of users, n items each, on Spark; yield their files, some chunks at a time. The files
    are gone once the next ones are asked for: take them before.

    Raises as `adapters.spark.cluster` and `Cluster.results` do.
    """
    if not numbers:
        return
    cluster, folder = cluster_of(night), shared_folder(night, "score")
    folder.create()
    task = cluster.broadcast((parts, n, table_of))
    try:
        width = AT_A_TIME * cluster.slots
        for begin in range(0, len(numbers), width):
            some = [(number, rotation_of(number)) for number in numbers[begin : begin + width]]
            yield cluster.results(partial(_write, task, folder), some)
    finally:
        task.destroy()
        folder.remove()


def _write(broadcast: Any, folder: SharedFolder, part: tuple[int, Rotation | None]) -> Part:
    """In a task: make and write the lists of a chunk."""
    parts, n, table_of = broadcast.value
    number, rotation = part
    # A name of its own: a task that runs twice must not write into what is being read.
    name = f"{number}-{uuid4().hex}.parquet"
    table = table_of(parts.lists(number, rotation), n)
    return Part(number, f"{folder.path}/{name}", folder.save_table(name, table))
