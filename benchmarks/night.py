"""A whole night from command to flip: `recjobs night` as a person types it, on generated interactions.

Each night is the first of an empty catalog, in a Postgres, a state folder and an artifact root of its own. MLflow
writes into a SQLite file that has its tables already: making them takes ten seconds, once in the life of a store.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import generate
from benchmarks.beside import Build, Comparison, checked, environment, failure, table, turns
from local import ports
from local.postgres import Cluster
from local.published import published
from recjobs.config import ROOT
from recjobs.core.rows.interactions import DAY

CACHE = ROOT / ".local" / "bench"
CATALOG = """\
description: For measuring
sources:
  - path: {rows}
    columns: {{user_id: user_id, item_id: item_id, occurred_at: timestamp, weight: rating}}
    time: {{unit: s}}
live: false
holdout_days: 30
min_holdout_users: 200
model: {{factors: 64, alpha: 10, regularization: 60, iterations: 15, blend: {blend}}}
"""
SIZES = {"200k": (4_000, 2_000, 200_000), "2m": (40_000, 10_000, 2_000_000), "20m": (138_493, 26_744, 20_000_000)}
"""Users, items and interactions."""
BLEND = 0.3
SPREAD = 2.5
"""Topics differ enough for a model to beat the best sellers; at 1.4 it is refused, and nothing is refit or ranked."""
WARM_UP = (2_000, 1_000, 100_000)
STEP = re.compile(r"^  (\w+) +[\d.]+ s  ")
FLIP, END, BEGIN, PEAK = "command to flip", "command to its end", "start and begin", "peak memory, MiB"
POSTGRES = "postgres"
"""Its folder, beside that of the state."""
WITH_POSTGRES = "the same with Postgres', MiB"


@dataclass(frozen=True)
class Night:
    """What one night took: seconds in all and of each step, peak memory of its processes, of these and Postgres'
    together, and what each step returned."""

    seconds: dict[str, float]
    peak_mib: float
    with_postgres_mib: float
    returned: dict[str, Any]

    @property
    def figures(self) -> dict[str, float]:
        """All that is compared, by name."""
        return self.seconds | {PEAK: self.peak_mib, WITH_POSTGRES: self.with_postgres_mib}


def step_seconds(lines: Sequence[tuple[float, str]]) -> dict[str, float]:
    """The seconds of each step, from when each line of the command's standard error came.

    One line comes when the night has begun, then one as each step ends; they tell tenths of a second only.
    """
    seconds: dict[str, float] = {}
    before = 0.0
    for at, line in lines:
        if line.startswith("night "):
            seconds[BEGIN], before = at, at
        elif step := STEP.match(line):
            seconds[step[1]], before = at - before, at
    return seconds


def measure(builds: Sequence[Build], size: tuple[int, int, int], rounds: int) -> list[tuple[int, Build, Night]]:
    """(round, build, night) of every build in every round, after a small night of each that warms up."""
    stores: dict[Build, Path] = {}
    nights: list[tuple[int, Build, Night]] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        for build in builds:
            stores[build] = Path(folder) / f"{build.name}.db"
            warm_up(build, Path(folder) / "warm-up", stores[build])
        for count, build in turns(builds, rounds):
            print(f"\rnight {len(nights) + 1} of {rounds * len(builds)} ", end="", file=sys.stderr, flush=True)
            store = Path(folder) / "mlflow.db"
            shutil.copy(stores[build], store)
            with world(Path(folder) / "night", "bench", size, store) as (settings, reader_url):
                nights.append((count, build, run(build, "bench", settings, reader_url)))
    print(file=sys.stderr)
    return nights


def warm_up(build: Build, folder: Path, store: Path) -> None:
    """A small night, which makes MLflow's tables in the store."""
    with world(folder, "warm_up", WARM_UP, store) as (settings, reader_url):
        run(build, "warm_up", settings, reader_url)


def rows_of(size: tuple[int, int, int]) -> Path:
    """The interactions of a night, which are generated once."""
    rows = CACHE / f"interactions-{'-'.join(map(str, size))}.parquet"
    if not rows.exists():
        generate.write(rows, *size, SPREAD)
    return rows


def before_last_day(rows: Path) -> Path:
    """The same file without the rows of its last day: what the night before found."""
    before = rows.with_name(f"{rows.stem}-before.parquet")
    if not before.exists():
        table = pq.read_table(rows)
        kept = pc.less(table["timestamp"], pc.max(table["timestamp"]).as_py() - DAY // 1_000_000)
        unfinished = before.with_name(f"{before.name}.unfinished")
        pq.write_table(table.filter(kept), unfinished, compression="zstd", compression_level=1)
        unfinished.rename(before)
    return before


def describe(settings: dict[str, str], catalog: str, rows: Path, blend: float = BLEND) -> None:
    """Write the catalog file."""
    file = Path(settings["RECJOBS_CATALOGS"]) / f"{catalog}.yaml"
    file.write_text(CATALOG.format(rows=rows.name, blend=blend))


@contextmanager
def world(
    folder: Path, catalog: str, size: tuple[int, int, int], store: Path, blend: float = BLEND
) -> Iterator[tuple[dict[str, str], str]]:
    """An empty Postgres and a catalog file; yields the settings that lead to them, and the reader's URL."""
    for name in ("catalogs", "state"):
        (folder / name).mkdir(parents=True)
    cluster = Cluster(folder / POSTGRES, ports.any_free())
    cluster.start()
    try:
        settings = cluster.urls() | {
            "RECJOBS_STATE": str(folder / "state"),
            "RECJOBS_ARTIFACTS": str(folder / "state" / "artifacts"),
            "RECJOBS_CATALOGS": str(folder / "catalogs"),
            "RECJOBS_DATA": str(CACHE),
            "MLFLOW_TRACKING_URI": f"sqlite:///{store}",
        }
        describe(settings, catalog, rows_of(size), blend)
        yield settings, cluster.url("recjobs_reader")
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def run(build: Build, catalog: str, settings: dict[str, str], reader_url: str) -> Night:
    """One night of a build; raises SystemExit if it fails or publishes nothing."""
    variables = environment(settings)
    checked(build.command("recjobs", "migrate"), build.root, variables)
    command = build.command("recjobs", "night", "--catalog", catalog, "--json")
    lines: list[tuple[float, str]] = []
    with tempfile.TemporaryFile("w+") as output:
        began_at, began = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command, cwd=build.root, env=variables, stdout=output, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        peak = Peak(process.pid, Cluster(Path(settings["RECJOBS_STATE"]).parent / POSTGRES, 0).postmaster())
        assert process.stderr
        for line in process.stderr:
            lines.append((time.perf_counter() - began, line.rstrip()))
        code = process.wait()
        took = time.perf_counter() - began
        peak.end()
        live = published(reader_url, catalog) if not code else None
        if not live:
            end = [line for _, line in lines] + ([] if code else ["it published nothing"])
            raise failure(command, build.root, code, "\n".join(end))
        output.seek(0)
        returned = json.loads(output.read().splitlines()[-1])["steps"]
    flip = live["published_at"].timestamp() - began_at
    return Night({FLIP: flip, END: took, **step_seconds(lines)}, peak.mib, peak.with_postgres_mib, returned)


class Peak:
    """The most memory that a process and its children had resident, looked at ten times a second; and the most that
    they and Postgres had together, whose processes share their buffers."""

    def __init__(self, pid: int, postgres: psutil.Process | None = None) -> None:
        self.mib, self.with_postgres_mib = 0.0, 0.0
        self._night, self._postgres = psutil.Process(pid), postgres
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            try:
                night = sum(one.memory_info().rss for one in _family(self._night)) / 2**20
                of_postgres = [one.memory_info() for one in _family(self._postgres)] if self._postgres else []
            except psutil.Error:  # one ended meanwhile
                continue
            shared = max((one.shared for one in of_postgres), default=0)
            others = (sum(one.rss - one.shared for one in of_postgres) + shared) / 2**20
            self.mib = max(self.mib, night)
            self.with_postgres_mib = max(self.with_postgres_mib, night + others)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def report(builds: Sequence[Build], nights: Sequence[tuple[int, Build, Night]]) -> Iterator[str]:
    """The medians of one build, or both builds' with their ratios."""
    if len(builds) == 2:
        yield from table(builds, comparisons(builds, nights))
        return
    for figure in nights[0][2].figures:
        yield f"{figure:<26}{statistics.median(night.figures[figure] for *_, night in nights):>12,.2f}"


def comparisons(builds: Sequence[Build], nights: Sequence[tuple[int, Build, Night]]) -> dict[str, Comparison]:
    """Every figure that both builds have in all their nights."""
    this, other = ([night.figures for _, of, night in nights if of == build] for build in builds)
    shared = [figure for figure in this[0] if all(figure in figures for figures in (*this, *other))]
    return {name: Comparison([f[name] for f in this], [f[name] for f in other]) for name in shared}


def as_json(builds: Sequence[Build], nights: Sequence[tuple[int, Build, Night]]) -> dict[str, Any]:
    """All nights, and the comparison where there is one."""
    result: dict[str, Any] = {
        "nights": [{"round": count, "build": build.name, **asdict(night)} for count, build, night in nights]
    }
    if len(builds) == 2:
        result["comparison"] = {name: one.summary() for name, one in comparisons(builds, nights).items()}
    return result
