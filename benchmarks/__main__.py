"""The stages of a night against floors or peers, then whole nights from command to flip.

`make bench SIZE=200k` is a quick look, `SIZE=20m` takes long. `make bench BESIDE=COMMIT` runs the nights of that commit
as well, in turn with this checkout's, and prints the ratio of each round: ours divided by the other's.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recjobs.config import load_settings  # first: it limits BLAS to one thread, before numpy is imported

import numpy as np  # isort: skip
import pyarrow as pa  # isort: skip
import pyarrow.parquet as pq  # isort: skip

from benchmarks import beside, generate, night  # isort: skip
from recjobs.core.model import als, ranking  # isort: skip
from recjobs.core.lists import copy_format, ladder  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip

ROUNDS = 3
SIZES = {"200k": (4_000, 2_000, 200_000), "2m": (40_000, 10_000, 2_000_000), "20m": (138_493, 26_744, 20_000_000)}
"""Users, items and interactions."""
RECIPE = Recipe(factors=64, alpha=10, regularization=60, iterations=3)


def main() -> None:
    """Print the table of stages, then the nights."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="2m", help="about how many interactions there are")
    parser.add_argument("--beside", metavar="COMMIT", help="run this commit's nights as well, in turn with ours")
    parser.add_argument("--rounds", type=int, help="nights of each build: 8 beside another commit, else 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured here as well")
    arguments = parser.parse_args()
    load_settings()
    size, builds = SIZES[arguments.size], beside.builds(arguments.beside)
    rounds = arguments.rounds or (8 if arguments.beside else 1)
    measured = {"machine": machine(), "size": arguments.size, "stages": _measure_stages(size)}
    print(f"\nA night from command to flip, the first of its catalog, in seconds; median of {rounds}", flush=True)
    nights = night.measure(builds, size, rounds)
    print("\n".join(night.report(builds, nights)))
    if arguments.json:
        arguments.json.write_text(json.dumps(measured | night.as_json(builds, nights), indent=1, default=str) + "\n")


def _measure_stages(size: tuple[int, int, int]) -> dict[str, tuple[float, float]]:
    """Print each stage next to its floor or peer, interleaved; return both medians in seconds."""
    world, medians = generate.interactions(*size), {}
    print(f"{len(world):,} interactions, {world.n_users:,} users, {world.n_items:,} items; {machine()}\n")
    print(f"{'stage':<34}{'ours':>9}{'other':>9}{'ratio':>8}   against")
    with tempfile.TemporaryDirectory() as folder:
        for name, ours, against, other in _stages(world, Path(folder)):
            mine, theirs = medians[f"{name} against {against}"] = _interleaved(ours, other)
            print(f"{name:<34}{mine:>8.2f}s{theirs:>8.2f}s{mine / theirs:>8.2f}   {against}", flush=True)
    return medians


def _stages(world, folder):  # type: ignore[no-untyped-def]
    """(name, ours, what against, other) of each stage."""
    threads = os.cpu_count() or 1
    path = folder / "interactions.parquet"
    pq.write_table(world.to_table(), path)
    yield (
        "user_items from rows",
        lambda: world.confidence(RECIPE, 0),
        "reading the rows from Parquet",
        lambda: pq.read_table(path),
    )
    confidence = world.confidence(RECIPE, 0)
    model = als.fit(confidence, RECIPE, 7)
    users = model.user_factors
    eligible, seen = model.knows_items(), world.pairs()

    items = np.ascontiguousarray(model.item_factors.T)

    def sgemm() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda first: users[first : first + 64] @ items, range(0, len(users), 64)):
                pass

    yield (
        "top 100 of all, seen left out",
        lambda: _rank(users, model, seen, eligible, threads),
        "the inner products alone",
        sgemm,
    )
    yield (
        "top 100 of all, seen left out",
        lambda: _rank(users, model, seen, eligible, threads),
        "implicit, batches of 1000",
        _implicit(users, model, seen),
    )
    ranked = _rank(users, model, seen, eligible, threads)
    ids = pa.array([f"item-{i:05d}" for i in range(world.n_items)])
    lists = pa.table(dict(zip(("item_ids", "scores"), ladder.as_lists(ranked, ids), strict=True)))

    def encode() -> None:
        for batch in lists.to_batches(8192):
            fields = [copy_format.text_array(batch.column(0)), copy_format.float_array(batch.column(1))]
            copy_format.rows(fields, len(batch))

    written = folder / "lists.parquet"
    yield "lists as COPY bytes", encode, "writing them as Parquet", lambda: pq.write_table(lists, written)


def _rank(users, model, seen, eligible, threads):  # type: ignore[no-untyped-def]
    return ranking.best_items(users, model.item_factors, 100, seen, eligible, threads)


def _implicit(users, model, seen):  # type: ignore[no-untyped-def]
    from implicit.cpu.als import AlternatingLeastSquares

    peer = AlternatingLeastSquares(factors=RECIPE.factors)
    peer.user_factors, peer.item_factors = users, model.item_factors

    def run() -> None:
        for first in range(0, len(users), 1000):
            rows = np.arange(first, min(first + 1000, len(users)))
            peer.recommend(rows, seen[rows], N=100, filter_already_liked_items=True)

    return run


def _interleaved(ours: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, times in zip((ours, other), taken, strict=True):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


def machine() -> str:
    """What the figures come from."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores {platform.machine()}, {memory:.0f} GiB, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
