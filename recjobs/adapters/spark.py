"""Apache Spark: functions of a number, computed on this machine's cores or on a cluster.

pyspark is an extra (`make install EXTRAS=spark`), and only this module imports it. A session costs some 12 seconds; a
process makes one, which ends with the process.
"""

import logging
import math
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from recjobs.errors import BadConfiguration, Defect, RecjobsError, SystemAway, of_the_machine

JAVA = 17
"""The oldest release of Java that Spark 4 runs on."""
CONNECT_SECONDS = 10.0
"""How long the cluster's master may take to answer."""
EXECUTOR_SECONDS = {"spark": 40.0, "k8s": 300.0}
"""How long a cluster may take to start the first executor, or another one where none is left; on Kubernetes an image
may have to be pulled."""
_LOCAL = re.compile(r"local(\[(\*|[1-9][0-9]*)\])?")
_TRIES = 4
"""Of a task, before a job fails; on a cluster Spark's default, on this machine's cores it would be 1."""
_In = TypeVar("_In")
_Out = TypeVar("_Out")

log = logging.getLogger(__name__)


def defect() -> str | None:
    """Why Spark cannot be used here, and what to install; None if it can."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed; run `make install EXTRAS=spark`"
    # as Spark itself looks for it
    command = ["sh", "-c", '"${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1']
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    release = re.search(r'version "(\d+)', told.stdout)
    if told.returncode or release is None:
        package = f"openjdk-{JAVA}-jre-headless"
        return f"there is no Java; install Java {JAVA} (Debian: apt-get install {package}) or set JAVA_HOME"
    if int(release[1]) < JAVA:
        return f"Java is {release[1]}, and Spark needs {JAVA} or newer; set JAVA_HOME to one"
    return None


def wrong_master(master: str) -> str | None:
    """What is wrong with a value of RECJOBS_SPARK_MASTER, or None."""
    if _LOCAL.fullmatch(master) or (master.startswith(("spark://", "k8s://")) and _addresses(master)):
        return None
    return "it must be local, local[N], local[*], spark://HOST:PORT or k8s://https://HOST:PORT"


class Cluster:
    """A Spark session. The results of functions do not depend on how many executors there are, or are lost."""

    def __init__(self, context: Any, master: str, notes: Path) -> None:
        self._context, self._master, self._notes = context, master, notes

    @property
    def slots(self) -> int:
        """How many tasks run at a time."""
        return max(1, int(self._context.defaultParallelism))

    def broadcast(self, value: Any) -> Any:
        """A value for many tasks: each process of an executor reads it once, as `.value`. `destroy()` ends it."""
        return self._context.broadcast(value)

    def results(self, function: Callable[[_In], _Out], arguments: Sequence[_In]) -> list[_Out]:
        """The function's results for the arguments, in order, each computed by a task of its own.

        A task may run more than once, and on another machine: what the function leaves there must do no harm. Raises
        what it raised if that is an expected error, SystemAway if executors are lost again and again, or none is left.
        """
        if not arguments:
            return []
        watch = _ExecutorWatch(self._context, self._master)
        try:
            with watch:
                tasks = self._context.parallelize(list(arguments), len(arguments))
                outcomes = tasks.map(partial(_outcome, function)).collect()
        except Exception as error:  # of py4j: the job was aborted, or the session is gone
            if watch.gave_up:
                raise SystemAway(
                    f"RECJOBS_SPARK_MASTER={self._master}: there was no executor for {watch.seconds:.0f} s; "
                    f"are its workers there? See {self._notes}"
                ) from error
            raise self._translated(error) from error
        for outcome in outcomes:
            if isinstance(outcome, _Raised):
                raise outcome.error
        return list(outcomes)

    def in_turns(self, function: Callable[[_In], _Out], arguments: Sequence[_In], each: int) -> Iterator[_Out]:
        """The same, those of some tasks at a time, `each` for a core: no more results than those are here at once."""
        width = each * self.slots
        for begin in range(0, len(arguments), width):
            yield from self.results(function, arguments[begin : begin + width])

    def _translated(self, error: Exception) -> RecjobsError:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # The end of the worker's own traceback, which Spark prints between its own frames.
        raised = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception|Defect)\b.*", line)]
        text = str(error)
        if "Traceback (most recent call last)" in text and "Python worker exited unexpectedly" not in text:
            return Defect(f"a task on Spark failed: {raised[-1] if raised else lines[-1]}; see {self._notes}")
        return SystemAway(
            f"RECJOBS_SPARK_MASTER={self._master}: Spark gave up ({(raised or lines or [type(error).__name__])[0]}); "
            f"see {self._notes}"
        )


class _ExecutorWatch:
    """While a block runs: cancel its jobs once there has been no executor for as long as a first one may take. Spark
    would wait for ever."""

    def __init__(self, context: Any, master: str) -> None:
        self._context, self.gave_up, self._ended = context, False, threading.Event()
        self.seconds = EXECUTOR_SECONDS.get(master.partition("://")[0], math.inf)

    def __enter__(self) -> None:
        if self.seconds < math.inf:
            threading.Thread(target=self._look, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _look(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(1):
            if _has_executor(self._context):
                last = time.monotonic()
            elif time.monotonic() - last > self.seconds and not self._ended.is_set():
                self.gave_up = True
                with suppress(Exception):  # the session is gone: the job ends by itself
                    self._context.cancelAllJobs()
                return


class _Raised:
    """An expected error, as a result: Spark would tell only its text."""

    def __init__(self, error: RecjobsError) -> None:
        self.error = error


def _outcome(function: Callable[[_In], _Out], argument: _In) -> "_Out | _Raised":
    try:
        return function(argument)
    except RecjobsError as error:
        return _Raised(error)
    except Exception as error:
        if meant := of_the_machine(error):
            return _Raised(meant)
        raise


def scratch() -> Path:
    """In a task: a folder of this executor, which goes with it."""
    from pyspark import SparkFiles

    return Path(SparkFiles.getRootDirectory())


@cache
def cluster(master: str, name: str, logs: Path) -> Cluster:
    """This process' session. name: what the cluster shows it as; logs: a folder for Spark's warnings, or its parent.

    Raises BadConfiguration where Spark is not installed or the master is none, SystemAway with the address where no
    cluster answers.
    """
    if why := wrong_master(master):
        raise BadConfiguration(f"RECJOBS_SPARK_MASTER={master}: {why}")
    if why := defect():
        raise BadConfiguration(f"engine: spark, and {why}, or set engine: local")
    _reach(master)
    from pyspark import SparkConf, SparkContext

    notes, local = _notes(logs), _LOCAL.fullmatch(master)
    properties = Path(__file__).with_name("log4j2.properties").as_uri()
    settings = {
        "spark.app.name": name,
        "spark.master": f"local[{local[2] or 1},{_TRIES}]" if local else master,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",  # a task has a core
        # The heap of a driver is small, and has one thread that works: what other collectors need is more than that.
        "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -Dlog4j2.configurationFile={properties} "
        f"-Drecjobs.spark.log={notes}",
        **({"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"} if local else {}),
    }
    log.info("Spark: a session on %s; its warnings go to %s", master, notes)
    try:
        context = SparkContext(conf=SparkConf().setAll(list(settings.items())))
    except Exception as error:  # of py4j, or of the program that starts Java
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise SystemAway(f"RECJOBS_SPARK_MASTER={master}: no session could be made ({first}); see {notes}") from error
    if not local:
        _await_executor(context, master)
    return Cluster(context, master, notes)


def _notes(logs: Path) -> Path:
    """The file for Spark's warnings, below the temporary folder where the one for logs cannot be written to."""
    for folder in (logs, Path(tempfile.gettempdir())):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "spark.log"
            path.open("a").close()
            return path
    raise BadConfiguration(f"neither {logs} nor {tempfile.gettempdir()} can be written to")


def _addresses(master: str) -> list[tuple[str, int]]:
    """Host and port of each master that a URL names; empty if it names none."""
    scheme, _, rest = master.partition("://")
    found = []
    for each in rest.split(","):
        try:
            parts = urlsplit(each if "://" in each else f"//{each}")
            port = parts.port or {"https": 443, "http": 80, "": 443 if scheme == "k8s" else None}.get(parts.scheme)
        except ValueError:
            return []
        if not parts.hostname or port is None:
            return []
        found.append((parts.hostname, port))
    return found


def _reach(master: str) -> None:
    """Raise SystemAway unless a master can be reached: Spark itself would try for a minute."""
    addresses, why = ([] if _LOCAL.fullmatch(master) else _addresses(master)), ""
    for host, port in addresses:
        try:
            socket.create_connection((host, port), CONNECT_SECONDS / len(addresses)).close()
            return
        except OSError as error:
            why = f"{host}:{port} does not answer ({error.strerror or error})"
    if addresses:
        raise SystemAway(f"RECJOBS_SPARK_MASTER={master}: {why}; start the cluster, or see to the network")


def _has_executor(context: Any) -> bool:
    with suppress(Exception):  # the session gave up
        return bool(context._jsc.sc().getExecutorMemoryStatus().size() > 1)  # the driver is one of them
    return False


def _await_executor(context: Any, master: str) -> None:
    """Wait for the first executor: a job would wait for ever. Raises SystemAway if none comes."""
    seconds = EXECUTOR_SECONDS[master.partition("://")[0]]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if _has_executor(context):
            return
        time.sleep(0.2)
    with suppress(Exception):
        context.stop()
    raise SystemAway(
        f"RECJOBS_SPARK_MASTER={master}: no executor came within {seconds:.0f} s; is a worker with free cores and "
        "memory there?"
    )
