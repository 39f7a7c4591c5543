"""A standalone Spark cluster of real processes on this machine, as Spark's own programs start them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from local import ports
from local.environment import inherited
from local.errors import LocalError
from recjobs.config import ROOT

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
START_SECONDS = 600
"""A busy machine is slow to start Java."""


class Standalone:
    """A master and workers of one core each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._started = folder, 0
        self.master = f"spark://{ports.HOST}:{ports.any_free()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> dict[str, str]:
        """What a night on this cluster is told."""
        return {"RECJOBS_SPARK_MASTER": self.master, **self._of_spark()}

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
        # so that executors' Python finds tasks of `tests` and `benchmarks`, too
        own = {"SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "512m", "PYTHONPATH": str(ROOT), **self._of_spark()}
        self._started += 1
        notes = self.folder / f"daemon-{self._started}.log"
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{program}", *arguments]
        with notes.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - fixed
                command, env=inherited() | own, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        until = time.monotonic() + START_SECONDS
        while ready not in notes.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > until:
                raise LocalError(f"Spark's {program} did not start: {notes.read_text(errors='replace')[-2000:]}")
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
    found, children = list[psutil.Process](), list[psutil.Process]()
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(worker).children()
    for child in children:
        with suppress(psutil.NoSuchProcess):  # what has ended may still be listed
            if EXECUTOR in child.cmdline():
                found.append(child)
    return found
