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
from recjobs.core.model.als import blocks_of_pairs, solve_rows, weighted_by
from recjobs.core.model.engine import Engine
from recjobs.core.model.user_items import UserItems, whole
from recjobs.core.recipe import Recipe
from recjobs.night.night import Night
from recjobs.night.on_spark import cluster_of, shared_folder
from recjobs.night.spark_pairs import BLOCK_PAIRS, Blocks, PairsOnSpark


def engine_on_spark(night: Night) -> Engine:
    """The engine whose fits are computed on Spark. Raises as `adapters.spark.cluster` does."""
    return Engine(night.threads, cluster=BlockAlternation(cluster_of(night), shared_folder(night, "fit"), BLOCK_PAIRS))


class BlockAlternation:
    """`als.alternate` on Spark, with the same result to the bit for any number of blocks and executors.

    pairs: about how many a block has, of a matrix that lies here. The blocks follow from the matrix alone.
    """

    def __init__(self, cluster: Cluster, folder: SharedFolder, pairs: int) -> None:
        self._cluster, self._folder, self._pairs = cluster, folder, pairs

    def __call__(
        self, user_items: UserItems, users: np.ndarray, items: np.ndarray, recipe: Recipe, threads: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield user_factors and item_factors after each iteration, as `als.alternate` does."""
        factors = {"users": users.astype(np.float32, copy=False), "items": items.astype(np.float32, copy=False)}
        self._folder.create()
        try:
            if isinstance(user_items, PairsOnSpark):
                lie_in, blocks = user_items.folder, {"users": user_items.users, "items": user_items.items}
            else:
                matrix = whole(user_items)
                lie_in, blocks = self._folder, {"users": self._share("users", matrix)}
                blocks["items"] = self._share("items", matrix.T.tocsr())
            for side, rows in factors.items():
                self._folder.save(_name(side, 0), rows)
            for number in count(1):
                newest = number - 1
                for side, other in (("users", "items"), ("items", "users")):
                    start, fixed = _name(side, number - 1), _name(other, newest)
                    task = partial(_solve, self._folder, side, start, fixed, lie_in, blocks[side], recipe)
                    solved = self._cluster.results(task, range(len(blocks[side].places)))
                    for place, name in zip(blocks[side].places, solved, strict=True):
                        factors[side][place] = self._folder.load(name)
                        self._folder.delete(name)
                    self._folder.save(_name(side, number), factors[side])
                    newest = number
                for side in factors:
                    self._folder.delete(_name(side, number - 1))
                yield factors["users"], factors["items"]
        finally:
            self._folder.remove()

    def _share(self, side: str, matrix: csr_matrix) -> Blocks:
        places = list(blocks_of_pairs(matrix, self._pairs))
        names = [f"{side}-{number}" for number in range(len(places))]
        for place, name in zip(places, names, strict=True):
            self._folder.save_matrix(name, matrix[place])
        return Blocks(places, names)


def _name(side: str, number: int) -> str:
    return f"{side}-factors-{number}.npy"


def _solve(
    folder: SharedFolder,
    side: str,
    start: str,
    fixed: str,
    lie_in: SharedFolder,
    blocks: Blocks,
    recipe: Recipe,
    number: int,
) -> str:
    """In a task: solve a block of rows, whose confidence lies in another folder; returns the name of the file with
    their factors."""
    of_other, own = folder.mapped(fixed, scratch()), folder.mapped(start, scratch())
    solved = np.array(own[blocks.places[number]])
    confidence = lie_in.load_matrix(blocks.names[number], len(of_other))
    solve_rows(weighted_by(recipe, confidence), solved, of_other, recipe)
    name = f"{side}-{number}-solved-{uuid4().hex}.npy"
    folder.save(name, solved)
    return name
