"""The stages of a night against floors and peers, with their targets, then whole nights from command to flip, in turn
with a tutorial's and an experienced engineer's (`benchmarks.peers`).

A floor is the least that a stage cannot do without, a peer another program that does the same. `make bench SIZE=200k`
is a quick look, `SIZE=20m` takes long. `--json FILE` keeps what was measured, and `--plot FILE` draws time and memory
against the number of interactions, of this run and of those that `--with FILE` names. `make bench BESIDE=COMMIT` runs
the nights of that commit as well, in turn with this checkout's, and prints the ratio of each round: ours divided by the
other's.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recjobs.config import load_settings  # first: it limits BLAS to one thread, before numpy is imported

import numpy as np  # isort: skip
import pyarrow as pa  # isort: skip
import pyarrow.parquet as pq  # isort: skip

from benchmarks import beside, copying, generate, growth, night, peers, startup, steps  # isort: skip
from benchmarks.night import SIZES  # isort: skip
from benchmarks.peer_nights import ENGINEER  # isort: skip
from recjobs.core.model import als, ranking  # isort: skip
from recjobs.core.lists import checksum, ladder  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip
from recjobs.core.rows.interactions import Interactions  # isort: skip

ROUNDS = 3
RECIPE = Recipe(factors=64, alpha=10, regularization=60, iterations=3)


def main() -> None:
    """Print the table of stages, then the nights."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="2m", help="about how many interactions there are")
    parser.add_argument("--beside", metavar="COMMIT", help="run this commit's nights as well, in turn with ours")
    parser.add_argument("--rounds", type=int, help="nights of each build: 8 beside another commit, else 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured here as well")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw time and memory against size (SVG, PNG)")
    parser.add_argument(
        "--with", dest="others", type=Path, nargs="+", default=[], metavar="FILE", help="earlier --json"
    )
    arguments = parser.parse_args()
    load_settings()
    size, builds = SIZES[arguments.size], beside.builds(arguments.beside)
    rounds = arguments.rounds or (8 if arguments.beside else 1)
    stages = [asdict(stage) | {"ratio": stage.ratio, "passes": stage.passes} for stage in _measure_stages(size)]
    measured: dict[str, Any] = {
        "machine": machine(), "size": arguments.size, "interactions": size[2], "stages": stages
    }  # fmt: skip
    print(f"\nThe steps of whole nights: the first of a catalog, and the one after it; medians of {rounds}", flush=True)
    if arguments.beside:
        nights = night.measure(builds, size, rounds)
        print("\n".join(night.report(builds, nights)))
    else:
        beside_peers, ours, taken = peers.measure(size, rounds)
        nights = [(count, builds[0], one) for count, one in enumerate(ours[peers.BLENDED])]
        floors = {stage["against"]: stage["floor"] for stage in stages if stage["floor"]}
        of_steps = steps.steps(ours, floors, taken[ENGINEER].stages, size[0])
        print("\n".join([*steps.report(of_steps, ours, arguments.size == "20m"), "", *peers.report(beside_peers)]))
        measured |= {"peers": peers.as_json(beside_peers), "steps": steps.as_json(of_steps)}
        measured["ours"] = {kind: [asdict(one) for one in of_kind] for kind, of_kind in ours.items()}
    measured |= night.as_json(builds, nights)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1, default=str) + "\n")
    if arguments.plot:
        others = [json.loads(path.read_text()) for path in arguments.others]
        growth.draw([*others, json.loads(json.dumps(measured, default=str))], arguments.plot)


@dataclass(frozen=True)
class Stage:
    """Medians in seconds of a stage and of its floor or peer, and the most that their ratio should be."""

    stage: str
    ours: float
    floor: float | None
    peer: float | None
    against: str
    target: float | None

    @property
    def ratio(self) -> float:
        """Ours in the other's."""
        return self.ours / (self.floor or self.peer or float("nan"))

    @property
    def passes(self) -> bool | None:
        """Whether the target is reached; None without one."""
        return None if self.target is None else self.ratio <= self.target

    def line(self) -> str:
        """The stage as a row of the table."""
        floor, peer = (f"{seconds:.2f}s" if seconds else "" for seconds in (self.floor, self.peer))
        target = "" if self.target is None else f"{self.target:.2f}"
        verdict = {True: "yes", False: "NO", None: ""}[self.passes]
        return (
            f"{self.stage:<32}{self.ours:>8.2f}s{floor:>9}{peer:>9}{self.ratio:>8.2f}{target:>8}{verdict:>6}   "
            f"{self.against}"
        )


HEAD = f"{'stage':<32}{'ours':>9}{'floor':>9}{'peer':>9}{'ratio':>8}{'target':>8}{'pass':>6}   against"


def _measure_stages(size: tuple[int, int, int]) -> Iterator[Stage]:
    """Print each stage next to its floor or peer, interleaved; yield the medians."""
    world = generate.interactions(*size)
    print(f"{len(world):,} interactions, {world.n_users:,} users, {world.n_items:,} items; {machine()}\n")
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        for name, ours, kind, against, other, target in _stages(world, Path(folder)):
            mine, theirs = _interleaved(ours, other)
            is_floor = kind == "floor"
            stage = Stage(name, mine, theirs if is_floor else None, None if is_floor else theirs, against, target)
            print(stage.line(), flush=True)
            yield stage
    for one in startup.measure():
        stage = Stage(one.command, one.ours, one.floor, None, startup.NOTHING, one.target)
        print(stage.line(), flush=True)
        yield stage


def _stages(world, folder):  # type: ignore[no-untyped-def]
    """(name, ours, floor or peer, what it is, the other, the target) of each stage."""
    threads = os.cpu_count() or 1
    path = folder / "interactions.parquet"
    pq.write_table(world.to_table(), path)
    yield (
        "user_items from Parquet",
        lambda: Interactions.from_table(pq.read_table(path)).confidence(RECIPE, 0),
        "floor",
        steps.READING,
        lambda: pq.read_table(path),
        2.5,
    )
    confidence = world.confidence(RECIPE, 0)
    yield (
        f"train, {RECIPE.iterations} iterations",
        lambda: als.fit(confidence, RECIPE, 7, threads),
        "peer",
        "implicit, in single precision",
        lambda: _peer_model().fit(confidence, show_progress=False),
        None,
    )
    model = als.fit(confidence, RECIPE, 7)
    users = model.user_factors
    eligible, seen = model.knows_items(), world.pairs()

    items = np.ascontiguousarray(model.item_factors.T)

    def sgemm() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda first: users[first : first + 64] @ items, range(0, len(users), 64)):
                pass

    def top():  # type: ignore[no-untyped-def]
        return _rank(users, model, seen, eligible, threads)

    yield "top 100 of all, seen left out", top, "floor", steps.PRODUCTS, sgemm, 2.5
    implicit = _implicit(users, model, seen)
    yield "top 100 of all, seen left out", top, "peer", "implicit, batches of 1000", implicit, 0.65
    ranked = top()
    ids, user_ids = (
        pa.array([f"{of}-{i:06d}" for i in range(n)]) for of, n in (("i", world.n_items), ("u", len(users)))
    )
    item_ids, scores = ladder.as_lists(ranked, ids)
    lists = pa.table({"user_id": user_ids, "item_ids": item_ids, "scores": scores})
    stored = folder / "lists.parquet"
    for name, value in (("source", "als"), ("n_model", 100)):
        lists = lists.append_column(name, pa.repeat(value, len(users)))
    pq.write_table(lists, stored, compression="zstd", compression_level=1)
    lists = lists.select(["user_id", "item_ids", "scores"])
    yield (
        "checksum of all lists",
        lambda: checksum.list_digests(pq.read_table(stored)),
        "floor",
        steps.LISTS,
        lambda: pq.read_table(stored),
        None,
    )
    with copying.server(folder / "postgres") as cluster, copying.loads(lists, cluster) as (ours, servers):
        yield "lists of all into Postgres", ours, "floor", steps.COPY, servers, 1.6


def _rank(users, model, seen, eligible, threads):  # type: ignore[no-untyped-def]
    return ranking.best_items(users, model.item_factors, 100, seen, eligible, threads)


def _peer_model():  # type: ignore[no-untyped-def]
    from implicit.cpu.als import AlternatingLeastSquares

    alpha, regularization = RECIPE.alpha, RECIPE.regularization
    return AlternatingLeastSquares(
        factors=RECIPE.factors, alpha=alpha, regularization=regularization, iterations=RECIPE.iterations
    )


def _implicit(users, model, seen):  # type: ignore[no-untyped-def]
    peer = _peer_model()
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
