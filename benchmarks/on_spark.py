"""A night on Spark beside the same night here: seconds of each step, and memory of each kind of process.

`make bench-spark SIZE="2m 20m"`: for each size a first night by the local engine, then the same on a standalone cluster
of one worker and on one of two, each with one core. Every night must publish the same checksum.
"""

import argparse
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import night
from benchmarks.beside import THIS
from benchmarks.night import FLIP, SIZES, Night
from local.spark import Standalone, standalone
from recjobs import NIGHT

WORKERS = (0, 1, 2)
"""Of the nights; 0: the local engine."""
DRIVER, DRIVER_JAVA, EXECUTORS, PYTHON = (
    "driver, Python", "driver, Java", "executors, Java", "executors, Python",
)  # fmt: skip
GROWTH = 1.5
"""How many times the driver's memory may grow from the smallest size to the largest."""


@dataclass(frozen=True)
class Measured:
    """A night, the checksum of what it published, and the most memory of each kind of process, in MiB."""

    night: Night
    checksum: str
    mib: dict[str, float]

    @property
    def driver(self) -> float:
        """MiB of the driver, Java included."""
        return self.mib[DRIVER] + self.mib.get(DRIVER_JAVA, 0.0)


def main() -> None:
    """Run the nights, print a table a size and how the driver's memory grows."""
    parser = argparse.ArgumentParser(prog="make bench-spark", description=__doc__)
    parser.add_argument("--size", choices=SIZES, action="append")
    arguments = parser.parse_args()
    drivers = list[float]()
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        store = Path(folder) / "mlflow.db"
        night.warm_up(THIS, Path(folder) / "warm-up", store)
        for size in arguments.size or ["2m"]:
            measured = {n: measure(SIZES[size], n, Path(folder), store) for n in WORKERS}
            print("\n".join(report(size, measured)), flush=True)
            drivers.append(measured[2].driver)
    if len(drivers) > 1:
        ratio = drivers[-1] / drivers[0]
        verdict = "yes" if ratio <= GROWTH else "NO"
        print(f"\ndriver's memory, largest to smallest size: {ratio:.2f} times (target {GROWTH}: {verdict})")


def measure(size: tuple[int, int, int], workers: int, folder: Path, store: Path) -> Measured:
    """One night on so many workers; 0: by the local engine."""
    own = folder / "store.db"
    shutil.copy(store, own)
    with night.world(folder / "night", "bench", size, own) as (settings, reader_url):
        if not workers:
            return _watched(settings, reader_url, None)
        with (Path(settings["RECJOBS_CATALOGS"]) / "bench.yaml").open("a") as catalog:
            catalog.write("engine: spark\n")
        with standalone(folder / "cluster", workers) as cluster:
            return _watched(settings | cluster.settings, reader_url, cluster)


def _watched(settings: dict[str, str], reader_url: str, cluster: Standalone | None) -> Measured:
    with memory_of(cluster) as mib:
        done = night.run(THIS, "bench", settings, reader_url)
    return Measured(done, done.returned["inspect"]["checksum"], mib)


@contextmanager
def memory_of(cluster: Standalone | None) -> Iterator[dict[str, float]]:
    """The most memory that each kind of process has while the block runs, looked at five times a second."""
    most: dict[str, float] = {}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            for kind, processes in _processes(cluster).items():
                most[kind] = max(most.get(kind, 0.0), sum(map(_mib, processes)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _processes(cluster: Standalone | None) -> dict[str, list[psutil.Process]]:
    found: dict[str, list[psutil.Process]] = {DRIVER: [], DRIVER_JAVA: [], EXECUTORS: [], PYTHON: []}
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            if "night" in child.cmdline():
                found[DRIVER].append(child)
                found[DRIVER_JAVA] += [one for one in child.children(recursive=True) if _is_java(one)]
    for executor in cluster.executors() if cluster else ():
        with suppress(psutil.Error):
            found[EXECUTORS].append(executor)
            found[PYTHON] += executor.children(recursive=True)
    return found


def _is_java(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.name() == "java")
    return False


def _mib(process: psutil.Process) -> float:
    """What a process has resident; pages that several have count in each of them as a part."""
    with suppress(psutil.Error, OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def report(size: str, measured: dict[int, Measured]) -> Iterator[str]:
    """Seconds by step, memory by kind of process, and whether the nights published the same."""
    heads = ["here" if not n else "one worker" if n == 1 else f"{n} workers" for n in measured]
    yield f"\n{size + ', seconds':<28}" + "".join(f"{head:>12}" for head in heads)
    for step in (night.BEGIN, *NIGHT, FLIP):
        yield f"{step:<28}" + "".join(f"{one.night.seconds.get(step, 0):>12.1f}" for one in measured.values())
    yield "MiB"
    for kind in (DRIVER, DRIVER_JAVA, EXECUTORS, PYTHON):
        yield f"{kind:<28}" + "".join(f"{one.mib.get(kind, 0):>12,.0f}" for one in measured.values())
    same = len({one.checksum for one in measured.values()}) == 1
    yield f"the same checksum: {'yes' if same else 'NO'}"


if __name__ == "__main__":
    main()
