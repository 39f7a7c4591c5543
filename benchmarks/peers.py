"""Our nights beside those of `benchmarks.peer_nights`, in turn on the same rows: time, memory, NDCG@20 by one judge.

Ours are a first night, of all rows but the last day's, as the peers' are, and the night after it, of all rows. The
judge is the product's own evaluation: users who took something in the last 30 days (in our second night: on the last
one), ranked on what was before, what they had already left out. Ours with the blend is the night that the catalog file
of `benchmarks.night` describes.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks import night
from benchmarks.beside import THIS, checked, environment, failure
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
PLAIN, BLENDED = "ours, without the blend", "ours"
SECOND = {PLAIN: "ours, second, without the blend", BLENDED: "ours, second"}
"""Of each of our first nights, the name of the one after it."""
TARGETS = ((BLENDED, TUTORIAL, 1 / 2.5), (SECOND[BLENDED], TUTORIAL, 1 / 5), (PLAIN, ENGINEER, 1.0))
"""Which of our nights is held against a peer's, and the most that its time may be of the peer's."""


@dataclass(frozen=True)
class Taken:
    """One night: seconds until its lists are there, the most memory it had, in MiB, without Postgres', and the seconds
    of its stages."""

    seconds: float
    peak_mib: float
    stages: dict[str, float] = field(default_factory=dict)


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


def measure(size: tuple[int, int, int], rounds: int) -> tuple[list[Line], dict[str, list[Night]], dict[str, Taken]]:
    """Every night in every round: (our nights beside a peer's, medians; all our nights by name; the peers')."""
    rows = night.rows_of(size)
    before, taken, ours = night.before_last_day(rows), dict[str, list[Taken]](), dict[str, list[Night]]()
    with tempfile.TemporaryDirectory(prefix="bench") as name, server(Path(name) / "peers") as cluster:
        folder, url, store = Path(name), cluster.url(), Path(name) / "mlflow.db"
        night.warm_up(THIS, folder / "warm-up", store)
        # Both peers make the same lists. Our second night is judged on what came after the first.
        peer_ndcg = judged(before, folder, url, HOLDOUT_DAYS), judged(rows, folder, url, 1)
        ndcg = dict[str, float]()
        for each in [BLENDED, TUTORIAL, PLAIN, ENGINEER] * rounds:
            print(f"\r{each} ", end="", file=sys.stderr, flush=True)
            if each in STORED:
                taken.setdefault(each, []).append(_peer(each, before, url))
                continue
            shutil.copy(store, folder / "night.db")
            blend = BLEND if each == BLENDED else 0.0
            with night.world(folder / "night", "bench", size, folder / "night.db", blend) as (settings, reader):
                for kind, of_kind in ((each, before), (SECOND[each], rows)):
                    night.describe(settings, "bench", of_kind, blend)
                    done = night.run(THIS, "bench", settings, reader)
                    ours.setdefault(kind, []).append(done)
                    taken.setdefault(kind, []).append(Taken(done.seconds[night.FLIP], done.peak_mib))
                    ndcg[kind] = done.returned["evaluate"]["ndcg_at_20.candidate"]
    print(file=sys.stderr)
    medians = {name: _median(nights) for name, nights in taken.items()}
    lines = [
        Line(name, peer, (medians[name], medians[peer]), (ndcg[name], peer_ndcg[name in SECOND.values()]), target)
        for name, peer, target in TARGETS
    ]
    return lines, ours, {name: medians[name] for name in STORED}


def _median(nights: Sequence[Taken]) -> Taken:
    seconds, peak = (statistics.median(getattr(one, of) for one in nights) for of in ("seconds", "peak_mib"))
    stages = {stage: statistics.median(one.stages[stage] for one in nights) for stage in nights[0].stages}
    return Taken(seconds, peak, stages)


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


def judged(rows: Path, folder: Path, url: str, days: int) -> float:
    """NDCG@20 of the peers' lists on the last days of the rows, of the users that our evaluation asks."""
    read = pq.read_table(rows, columns=["user_id", "item_id", "timestamp"]).to_pandas()
    users, user_ids = pd.factorize(read["user_id"], sort=True)
    items, item_ids = pd.factorize(read["item_id"], sort=True)
    at = read["timestamp"].to_numpy() * 1_000_000
    order = np.lexsort((items, users))
    pairs = users[order].astype(np.int32), items[order].astype(np.int32)
    weight, kind = np.ones(at.size, np.float32), np.full(at.size, -1, np.int16)
    world = Interactions(*pairs, at[order], weight, kind, len(user_ids), len(item_ids))
    cutoff = int(at.max()) + 1_000_000 - days * DAY
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
    command, began = [sys.executable, "-m", MODULE, name, str(rows), url], time.perf_counter()
    process = subprocess.Popen(command, cwd=THIS.root, env=environment({}), stdout=subprocess.PIPE, text=True)
    peak = night.Peak(process.pid)
    output, _ = process.communicate()
    seconds = time.perf_counter() - began
    peak.end()
    if process.returncode:
        raise failure(command, THIS.root, process.returncode, "")
    return Taken(seconds, peak.mib, json.loads(output))
