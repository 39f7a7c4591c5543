"""Our nights beside those of `benchmarks.peer_nights`, in turn on the same rows: time, memory, NDCG@20 by one judge.

The judge is the product's own evaluation: users who took something in the last 30 days, ranked on what was before, what
they had already left out. Ours with the blend is the night that the catalog file of `benchmarks.night` describes.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks import night
from benchmarks.beside import THIS, Build, checked, environment, failure
from benchmarks.copying import server
from benchmarks.night import BLEND, Night
from benchmarks.peer_nights import ENGINEER, STORED, TUTORIAL, K
from recjobs.core.evaluation.exam import exam
from recjobs.core.evaluation.metrics import per_user
from recjobs.core.rows.interactions import DAY, Interactions

MODULE = "benchmarks.peer_nights"
SEED = 7
"""Of our nights, which draws the users who are asked."""
HOLDOUT_DAYS = 30
PLAIN = "ours, without the blend"
BLENDED = "ours"
TARGETS = {TUTORIAL: (BLENDED, 1 / 2.5), ENGINEER: (PLAIN, 1.0)}
"""Peer -> which of our nights is held against it, and the most that its time may be of the peer's."""


@dataclass(frozen=True)
class Taken:
    """One night: seconds until its lists are there, and the most memory it had, in MiB, without Postgres'."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Line:
    """One of our nights beside a peer's. ndcg: (ours, the peer's)."""

    ours: str
    peer: str
    taken: tuple[Taken, Taken]
    ndcg: tuple[float, float]
    target: float

    @property
    def ratio(self) -> float:
        """Our seconds in the peer's."""
        return self.taken[0].seconds / self.taken[1].seconds

    @property
    def passes(self) -> bool:
        """Whether we are as fast as the target asks, with an NDCG that is not below the peer's."""
        return self.ratio <= self.target and self.ndcg[0] >= self.ndcg[1]

    def __str__(self) -> str:
        ours, peer = self.taken
        memory, ndcg = f"{ours.peak_mib:,.0f}/{peer.peak_mib:,.0f}", "{:.4f}/{:.4f}".format(*self.ndcg)
        return (
            f"{self.ours + ' : ' + self.peer:<40}{ours.seconds:>9.1f}s{peer.seconds:>9.1f}s{self.ratio:>7.2f}"
            f"{self.target:>8.2f}{'yes' if self.passes else 'NO':>6}{memory:>15}{ndcg:>17}"
        )


HEAD = f"{'night':<40}{'ours':>10}{'peer':>10}{'ratio':>7}{'target':>8}{'pass':>6}{'MiB':>15}{'NDCG@20':>17}"


def measure(size: tuple[int, int, int], rounds: int) -> tuple[list[Line], list[tuple[int, Build, Night]]]:
    """Every night in every round, in turn: (medians of the rounds; our nights with the blend, as `night.measure`)."""
    rows = night.rows_of(size)
    taken: dict[str, list[Taken]] = {BLENDED: [], TUTORIAL: [], ENGINEER: [], PLAIN: []}
    with tempfile.TemporaryDirectory(prefix="bench") as name, server(Path(name) / "peers") as cluster:
        url = cluster.url()
        store = Path(name) / "mlflow.db"
        night.warm_up(THIS, Path(name) / "warm-up", store)
        ndcg = dict.fromkeys((TUTORIAL, ENGINEER), judged(rows, Path(name), url))  # both make the same lists
        nights: list[tuple[int, Build, Night]] = []
        for each in [*taken] * rounds:
            print(f"\r{each} ", end="", file=sys.stderr, flush=True)
            if each in STORED:
                taken[each].append(_peer(each, rows, url))
                continue
            shutil.copy(store, Path(name) / "night.db")
            blend = BLEND if each == BLENDED else 0.0
            with night.world(Path(name) / "night", "bench", size, Path(name) / "night.db", blend) as (settings, reader):
                ours = night.run(THIS, "bench", settings, reader)
            taken[each].append(Taken(ours.seconds[night.FLIP], ours.peak_mib))
            ndcg[each] = ours.returned["evaluate"]["ndcg_at_20.candidate"]
            if each == BLENDED:
                nights.append((len(nights), THIS, ours))
    print(file=sys.stderr)
    medians = {
        name: Taken(*(statistics.median(getattr(one, field) for one in nights) for field in ("seconds", "peak_mib")))
        for name, nights in taken.items()
    }
    lines = [
        Line(ours, peer, (medians[ours], medians[peer]), (ndcg[ours], ndcg[peer]), target)
        for peer, (ours, target) in TARGETS.items()
    ]
    return lines, nights


def report(lines: Sequence[Line]) -> Iterator[str]:
    """The table."""
    yield HEAD
    yield from map(str, lines)


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The table's rows."""
    return [
        {
            "ours": line.ours,
            "peer": line.peer,
            "seconds": [one.seconds for one in line.taken],
            "peak_mib": [one.peak_mib for one in line.taken],
            "ndcg_at_20": list(line.ndcg),
            "ratio": line.ratio,
            "target": line.target,
            "passes": line.passes,
        }
        for line in lines
    ]


def judged(rows: Path, folder: Path, url: str) -> float:
    """NDCG@20 of the peers' lists on the last HOLDOUT_DAYS of the rows, of the users that our evaluation asks."""
    read = pq.read_table(rows, columns=["user_id", "item_id", "timestamp"]).to_pandas()
    users, user_ids = pd.factorize(read["user_id"], sort=True)
    items, item_ids = pd.factorize(read["item_id"], sort=True)
    at = read["timestamp"].to_numpy() * 1_000_000
    order = np.lexsort((items, users))
    pairs = users[order].astype(np.int32), items[order].astype(np.int32)
    weight, kind = np.ones(at.size, np.float32), np.full(at.size, -1, np.int16)
    world = Interactions(*pairs, at[order], weight, kind, len(user_ids), len(item_ids))
    cutoff = int(at.max()) + 1_000_000 - HOLDOUT_DAYS * DAY
    out = folder / "peer.npz"
    options = ["--before", str(cutoff // 1_000_000), "--lists", str(out)]
    checked([sys.executable, "-m", MODULE, ENGINEER, str(rows), url, *options], THIS.root, environment({}))
    before, after = world.where(world.occurred_at < cutoff), world.where(world.occurred_at >= cutoff)
    questions = exam(before, after, "discovery", SEED)
    found = np.load(out)
    row = pd.Index(found["user_ids"]).get_indexer(user_ids.to_numpy()[questions.users])
    lists = item_ids.get_indexer(found["items"].ravel()).reshape(-1, K)[row]
    lists[row < 0] = -1  # a user who is new in the holdout has no list of theirs
    return float(per_user(lists, questions.holdout, K)["ndcg"].mean())


def _peer(name: str, rows: Path, url: str) -> Taken:
    """One night of a peer, from the start of its process to its commit."""
    began = time.perf_counter()
    command = [sys.executable, "-m", MODULE, name, str(rows), url]
    process = subprocess.Popen(command, cwd=THIS.root, env=environment({}), stdout=subprocess.DEVNULL)
    peak = night.Peak(process.pid)
    code = process.wait()
    seconds = time.perf_counter() - began
    peak.end()
    if code:
        raise failure(command, THIS.root, code, "")
    return Taken(seconds, peak.mib)
