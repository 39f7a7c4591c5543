"""What tests on Spark need: Java and the extra, a cluster of real processes, and tasks that kill what they run on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from local import ports
from recjobs.adapters import spark
from recjobs.adapters.postgres import Session
from recjobs.adapters.shared_folder import SharedFolder
from recjobs.core.recipe import Recipe
from recjobs.night import spark_fit, spark_lists
from recjobs.night.handovers import Inspection
from recjobs.night.night import Night
from recjobs.steps import publish
from tests.commands import ROOT, environment_of

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
WORKERS = "TESTS_SPARK_WORKERS"
"""The workers' process ids, for a driver that is to kill executors."""


def needed() -> None:
    """Skip the test where Spark cannot be used, or fail where CI promises it."""
    if why := spark.defect():
        if os.environ.get("CI"):
            pytest.fail(f"{why}: .ci/run installs default-jre-headless and EXTRAS=spark")
        pytest.skip(why)


class Standalone:
    """A master and workers of one core each on this machine, as Spark's own programs start them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._started = folder, 0
        self.master = f"spark://{ports.HOST}:{ports.any_free()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> dict[str, str]:
        """What a night on this cluster is told."""
        workers = ",".join(str(worker.pid) for worker in self.workers)
        return {"RECJOBS_SPARK_MASTER": self.master, WORKERS: workers, **self._of_spark()}

    def _of_spark(self) -> dict[str, str]:
        for name in ("conf", "local"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return {
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": ports.HOST,
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
        }

    def start(self, workers: int = 2) -> None:
        """Start the master and so many workers; return when all are registered."""
        host, port = self.master.removeprefix("spark://").split(":")
        self._run("master.Master", "I have been elected leader", "--host", host, "--port", port, "--webui-port", "0")
        self.add_workers(workers)

    def add_workers(self, number: int) -> None:
        """Start so many more workers."""
        for _ in range(number):
            place = self.folder / f"work-{self._started}"
            options = f"--host {ports.HOST} --webui-port 0 --cores 1 --memory 2g --work-dir {place}".split()
            self.workers.append(self._run("worker.Worker", "Successfully registered", *options, self.master))

    def _run(self, program: str, ready: str, *arguments: str) -> subprocess.Popen[bytes]:
        import pyspark

        home = Path(pyspark.__file__).parent
        # The tasks below are functions of this module, which the executors' Python imports.
        own = {"SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "512m", "PYTHONPATH": str(ROOT), **self._of_spark()}
        self._started += 1
        notes = self.folder / f"daemon-{self._started}.log"
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{program}", *arguments]
        with notes.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment_of(own), cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        until = time.monotonic() + 600
        while ready not in notes.read_text(errors="replace"):
            assert process.poll() is None, notes.read_text(errors="replace")
            assert time.monotonic() < until, notes.read_text(errors="replace")
            time.sleep(0.1)
        return process

    def executors(self) -> list[psutil.Process]:
        """The executors that run now."""
        return [found for worker in self.workers for found in executors_of(worker.pid)]

    def stop(self) -> None:
        """End every process, whatever state it is in."""
        families = []
        for process in self._processes:
            try:
                families += psutil.Process(process.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                continue
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for member in psutil.wait_procs(families, timeout=10)[1]:
            member.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def standalone(folder: Path, workers: int = 2) -> Iterator[Standalone]:
    """A cluster that ends with the block."""
    cluster = Standalone(folder)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.stop()


def executors_of(worker: int) -> list[psutil.Process]:
    """A worker's executors that run now."""
    try:
        children = psutil.Process(worker).children()
        return [child for child in children if EXECUTOR in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


# Tasks that kill, once: each leaves a file beside the artifacts before it does.


def _first(root: str, name: str) -> bool:
    try:
        (Path(root).parent / f"killed-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _die(with_worker: bool) -> None:
    executor = next(parent for parent in psutil.Process().parents() if EXECUTOR in parent.cmdline())
    if with_worker:
        executor.parents()[0].kill()
    executor.kill()
    time.sleep(600)  # Spark ends this process when it misses its executor


def _solve(
    with_worker: bool,
    folder: SharedFolder,
    side: str,
    start: str,
    fixed: str,
    places: list[slice],
    recipe: Recipe,
    number: int,
) -> str:
    name = spark_fit._solve(folder, side, start, fixed, places, recipe, number)
    if start == "items-factors-2.npy" and _first(folder.root, "train"):
        _die(with_worker)
    return name


def solve_and_kill_executor(*arguments: Any) -> str:
    """For `spark_fit._solve`: in iteration 3 an executor dies with a block that is solved and not handed over."""
    return _solve(False, *arguments)


def solve_and_kill_worker(*arguments: Any) -> str:
    """The same, and its worker with it."""
    return _solve(True, *arguments)


def write_and_kill_executor(broadcast: Any, folder: SharedFolder, chunk: tuple[int, Any]) -> spark_lists.Part:
    """For `spark_lists._write`: an executor dies with a chunk that is written and not handed over."""
    part = spark_lists._write(broadcast, folder, chunk)
    if part.number == 1 and _first(folder.root, "score"):
        _die(with_worker=False)
    return part


def kill_executors_and_verify(night: Night, loader: Session, inspection: Inspection) -> None:
    """For `publish._verify`: all executors die when the lists are in Postgres and not live yet."""
    found = [each for pid in os.environ[WORKERS].split(",") for each in executors_of(int(pid))]
    assert found
    for executor in found:
        os.kill(executor.pid, signal.SIGKILL)
    (Path(night.settings.artifacts).parent / "killed-publish").touch(exist_ok=False)
    _verify(night, loader, inspection)


_verify = publish._verify
