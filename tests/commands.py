"""The real `recjobs` command in a process of its own, which a test may have killed at a point of its choice.

Each process is forked from one that has imported everything (MLflow, pandas and matplotlib take seconds), then runs
`recjobs.__main__.main` as the installed script does. Settings of the machine's own environment never reach it.
"""

import gc
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
OURS = ("RECJOBS_", "MLFLOW_TRACKING_URI", "STATSD_", "WEBAPP_", "AIRFLOW_", "POSTGRES_PORT", "PG")

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "recjobs.__main__",
        "recjobs.cli.progress",
        *(
            f"recjobs.{room}.{path.stem}"
            for room in ("steps", "operations")
            for path in sorted((ROOT / "recjobs" / room).glob("[a-z]*.py"))
        ),
        "recjobs.adapters.mlflow_model",
        "mlflow.pyfunc",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
        "matplotlib.backends.backend_svg",
        # what these import later, on their way
        "alembic.command",
        "git",
        "matplotlib.figure",
        "mlflow.models.display_utils",
        "mlflow.store.model_registry.sqlalchemy_workspace_store",
        "mlflow.store.tracking.sqlalchemy_workspace_store",
        "mlflow.tracing.processor.base_mlflow",
        "mpl_toolkits.mplot3d",
        "pyarrow.dataset",
        "sqlalchemy.dialects.sqlite",
        "yoyo.scripts.main",
        "tests.preloaded",
        "tests.commands",
    ]
)


@dataclass(frozen=True)
class Kill:
    """`kill -9` on calling a function (`module:name` or `module:Class.name`), on its return, or after the first thing
    a generator yields. `having`: only where these texts are in its string arguments or its object's folder."""

    where: str
    when: Literal["before", "after", "midway"] = "before"
    having: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.when, self.where.split(":")[1], *self.having])


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code (-9: killed), and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found

    @property
    def message(self) -> str:
        """What the command said when it gave up: everything from the one line that begins with `recjobs: `."""
        lines = self.err.splitlines()
        begins = [n for n, line in enumerate(lines) if line.startswith("recjobs: ")]
        assert len(begins) == 1, self.err
        assert "Traceback" not in self.err, self.err
        assert "defect" not in self.err, self.err
        return "\n".join(lines[begins[0] :])


class Command:
    """A command that runs; `wait` for it."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        kill: Kill | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        """constants: `module:NAME` -> another value that it has in this process."""
        self._folder = Path(tempfile.mkdtemp(prefix="command"))
        arguments_of_run = (arguments, environment, str(self._folder), kill, constants or {})
        self._process = context.Process(target=run, args=arguments_of_run)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process.pid
        return self._process.pid

    def kill(self) -> None:
        """`kill -9`, now."""
        self._process.kill()

    def limit_memory(self, megabytes: int) -> None:
        """Let it have so many megabytes of memory beside what it has now."""
        pid = self._process.pid
        taken = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (taken + megabytes * 2**20,) * 2)

    def wait(self, seconds: float = 400) -> Done:
        """Wait until it ends; it must within `seconds`."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise TimeoutError(f"still running after {seconds} s: {(self._folder / 'err').read_text()}")
        said = [self._folder / name for name in ("out", "err")]  # neither, if it was killed as it began
        done = Done(self._process.exitcode, *(file.read_text() if file.exists() else "" for file in said))
        shutil.rmtree(self._folder)
        return done


def environment_of(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment without its own settings, and with these: for a subprocess."""
    return {k: v for k, v in os.environ.items() if not k.startswith(OURS)} | settings


def run(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    kill: Kill | None,
    constants: Mapping[str, Any],
) -> None:
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(environment)
    gc.freeze()  # all that the process it was forked from has imported: nothing of it is garbage
    tempfile.tempdir = None  # else that of the process this one was forked from, whatever TMPDIR says
    os.chdir(ROOT)
    if kill:
        _arm(kill)
    for where, value in constants.items():
        module, _, constant = where.partition(":")
        setattr(importlib.import_module(module), constant, value)
    sys.argv = ["recjobs", *arguments]
    try:
        importlib.import_module("recjobs.__main__").main()
    finally:
        sys.stdout.flush()
        _save_coverage()


def _arm(kill: Kill) -> None:
    module, _, path = kill.where.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)

    def meant(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        texts = [getattr(args[0], "_folder", "") if args else "", *args, *kwargs.values()]
        text = " ".join(t for t in texts if isinstance(t, str))
        return all(part in text for part in kill.having)

    def called(*args: Any, **kwargs: Any) -> Any:
        if not meant(args, kwargs):
            return real(*args, **kwargs)
        if kill.when == "midway":
            return _one(real(*args, **kwargs))
        if kill.when == "before":
            die()
        real(*args, **kwargs)
        return die()

    setattr(owner, name, called)


def _one(items: Iterator[Any]) -> Iterator[Any]:
    yield next(items)
    die()


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def _save_coverage() -> None:
    coverage: Callable[[], Any] | None = getattr(sys.modules.get("coverage"), "Coverage", None)
    current = coverage.current() if coverage else None  # type: ignore[attr-defined]
    if current:
        current.stop()
        current.save()
