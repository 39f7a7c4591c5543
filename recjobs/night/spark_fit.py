"""Fits on Spark: each half of an iteration in blocks of rows, by the solver that fits here.

Tasks read their block of the matrix, map the factors of both sides, and leave what they solved as a file of their own,
whose name they return: a task that runs twice leaves two files with the same content, of which one is read.
"""

from collections.abc import Iterator
from functools import partial
from itertools import count
from uuid import uuid4

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.adapters.shared_folder import SharedFolder
from recjobs.adapters.spark import Cluster, scratch
from recjobs.core.model.als import blocks_of_pairs, solve_rows
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.night.night import Night
from recjobs.night.on_spark import cluster_of, shared_folder

BLOCK_PAIRS = 1_000_000
"""Pairs of a task: a few seconds at 64 factors."""


def engine_on_spark(night: Night) -> Engine:
    """The engine whose fits are computed on Spark. Raises as `adapters.spark.cluster` does."""
    return Engine(night.threads, cluster=BlockAlternation(cluster_of(night), shared_folder(night, "fit"), BLOCK_PAIRS))


class BlockAlternation:
    """`als.alternate` on Spark, with the same result to the bit for any number of blocks and executors.

    pairs: about how many a block has. The blocks follow from the matrix alone.
    """

    def __init__(self, cluster: Cluster, folder: SharedFolder, pairs: int) -> None:
        self._cluster, self._folder, self._pairs = cluster, folder, pairs

    def __call__(
        self,
        weighted: csr_matrix,
        transposed: csr_matrix,
        users: np.ndarray,
        items: np.ndarray,
        recipe: Recipe,
        threads: int,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield user_factors and item_factors after each iteration, as `als.alternate` does."""
        factors = {"users": users.astype(np.float32), "items": items.astype(np.float32)}
        self._folder.create()
        try:
            places = {"users": self._share("users", weighted), "items": self._share("items", transposed)}
            for side, rows in factors.items():
                self._folder.save(_name(side, 0), rows)
            for number in count(1):
                newest = number - 1
                for side, other in (("users", "items"), ("items", "users")):
                    fixed = _name(other, newest)
                    task = partial(_solve, self._folder, side, _name(side, number - 1), fixed, places[side], recipe)
                    solved = self._cluster.results(task, range(len(places[side])))
                    for place, name in zip(places[side], solved, strict=True):
                        factors[side][place] = self._folder.load(name)
                        self._folder.delete(name)
                    self._folder.save(_name(side, number), factors[side])
                    newest = number
                for side in factors:
                    self._folder.delete(_name(side, number - 1))
                yield factors["users"], factors["items"]
        finally:
            self._folder.remove()

    def _share(self, side: str, weighted: csr_matrix) -> list[slice]:
        places = list(blocks_of_pairs(weighted, self._pairs))
        for number, place in enumerate(places):
            self._folder.save_matrix(f"{side}-{number}", weighted[place])
        return places


def _name(side: str, number: int) -> str:
    return f"{side}-factors-{number}.npy"


def _solve(
    folder: SharedFolder, side: str, start: str, fixed: str, places: list[slice], recipe: Recipe, number: int
) -> str:
    """In a task: solve a block of rows; returns the name of the file with their factors."""
    of_other, own = folder.mapped(fixed, scratch()), folder.mapped(start, scratch())
    solved = np.array(own[places[number]])
    solve_rows(folder.load_matrix(f"{side}-{number}", len(of_other)), solved, of_other, recipe)
    name = f"{side}-{number}-solved-{uuid4().hex}.npy"
    folder.save(name, solved)
    return name
