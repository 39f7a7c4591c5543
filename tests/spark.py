"""What tests on Spark need: Java and the extra, a cluster of real processes, and tasks that kill what they run on."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.spark import EXECUTOR, Standalone, executors_of
from recjobs.adapters import spark
from recjobs.adapters.postgres import Session
from recjobs.adapters.shared_folder import SharedFolder
from recjobs.adapters.shared_table import SharedTable
from recjobs.night import list_checks, spark_fit, spark_lists, spark_rows
from recjobs.night.handovers import Inspection
from recjobs.night.night import Night
from recjobs.steps import publish
from tests.commands import Done, context, run
from tests.worlds import World

WORKERS = "TESTS_SPARK_WORKERS"
"""The workers' process ids, for a driver that is to kill executors."""


def needed() -> None:
    """Skip the test where Spark cannot be used, or fail where CI promises it."""
    if why := spark.defect():
        if os.environ.get("CI"):
            pytest.fail(f"{why}: .ci/run installs default-jre-headless and EXTRAS=spark")
        pytest.skip(why)


def settings_of(cluster: Standalone) -> dict[str, str]:
    """What a night on a cluster is told, and tasks that kill."""
    return {**cluster.settings, WORKERS: ",".join(str(worker.pid) for worker in cluster.workers)}


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


def _solve(with_worker: bool, folder: SharedFolder, side: str, start: str, *rest: Any) -> str:
    name = spark_fit._solve(folder, side, start, *rest)
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


def check_rows_and_kill_executor(
    broadcast: Any, folder: SharedFolder, table: SharedTable, place: tuple[int, int]
) -> Any:
    """For `spark_rows._check`: an executor dies with rows that are checked and not handed over."""
    found = spark_rows._check(broadcast, folder, table, place)
    if place[0] and _first(folder.root, "check"):
        _die(with_worker=False)
    return found


def gather_and_kill_executor(broadcast: Any, folder: SharedFolder, place: tuple[int, Any, Any]) -> Any:
    """For `spark_rows._gather`: the same with a range that is gathered."""
    found = spark_rows._gather(broadcast, folder, place)
    if place[0] == 2 and _first(folder.root, "gather"):
        _die(with_worker=False)
    return found


def check_lists_and_kill_executor(broadcast: Any, place: tuple[SharedTable, int, int]) -> Any:
    """For `list_checks._check`: the same with a chunk that is checked."""
    found = list_checks._check(broadcast, place)
    if place[1] and _first(place[0].root, "inspect"):
        _die(with_worker=False)
    return found


def kill_executors_and_verify(night: Night, loader: Session, inspection: Inspection) -> None:
    """For `publish._verify`: all executors die when the lists are in Postgres and not live yet."""
    found = [each for pid in os.environ[WORKERS].split(",") for each in executors_of(int(pid))]
    assert found
    for executor in found:
        os.kill(executor.pid, signal.SIGKILL)
    (Path(night.settings.artifacts).parent / "killed-publish").touch(exist_ok=False)
    _verify(night, loader, inspection)


_verify = publish._verify


# Commands that share a session.


class Driver:
    """A process with a session on a cluster, of which each command is a fork: starting Java takes longer than a small
    night. The session's catalog and state are those of `world`."""

    def __init__(self, world: World, settings: dict[str, str]) -> None:
        self._ours, theirs = context.Pipe()
        logs, name = world.folder / "state" / "logs", f"recjobs {world.name}"
        self._process = context.Process(target=_drive, args=(theirs, settings, name, logs))
        self._process.start()
        theirs.close()

    def run(self, arguments: tuple[str, ...], environment: dict[str, str], constants: Mapping[str, Any]) -> Done:
        """Run a command to its end."""
        folder = Path(tempfile.mkdtemp(prefix="command"))
        self._ours.send((arguments, environment, str(folder), None, constants))
        code = self._ours.recv()
        done = Done(code, *((folder / name).read_text() for name in ("out", "err")))
        shutil.rmtree(folder)
        return done

    def end(self) -> None:
        """End the session."""
        self._ours.close()
        self._process.join(60)
        self._process.kill()


def _drive(jobs: Connection, settings: dict[str, str], name: str, logs: Path) -> None:
    os.environ.update(settings)
    session = spark.cluster(settings["RECJOBS_SPARK_MASTER"], name, logs)
    while True:
        try:
            job = jobs.recv()
        except EOFError:
            session._context.stop()
            return
        if pid := os.fork():
            jobs.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            continue
        code: Any = 70
        try:
            run(*job)
        except SystemExit as ended:
            code = ended.code
        finally:
            os._exit(code)  # what Python does at its end would stop the session
