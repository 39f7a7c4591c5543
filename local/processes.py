"""Start programs in the background, record them, and stop each with all of its children.

Each program leads a session of its own, so its children are found by the session id even after the program itself was
killed. A recorded pid counts only together with its start time: a recycled pid is never signalled.
"""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from local.errors import LocalError
from local.files import write_private


@dataclass(frozen=True)
class Service:
    """A program this platform keeps running."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    url: str = ""
    port: int | None = None
    setting: str = ""
    """The setting that moves the port."""


@dataclass(frozen=True)
class Running:
    """The entry of a started program in `platform.json`."""

    pid: int
    started: float
    port: int | None
    url: str
    log: str
    fingerprint: str = field(default="", repr=False)
    """Changes when the program would now be started differently."""

    @classmethod
    def of(
        cls, process: psutil.Process, log: Path, url: str = "", port: int | None = None, fingerprint: str = ""
    ) -> "Running":
        """Return the entry of `process`."""
        return cls(process.pid, process.create_time(), port, url, str(log), fingerprint)

    def process(self) -> psutil.Process | None:
        """Return the program itself if it still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if self._is(process) and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def family(self) -> list[psutil.Process]:
        """Return the program and everything it started that still runs, also when it itself is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if not self._is(psutil.Process(self.pid)):
                return []  # a pid is reused only after the last process of its session has ended
        members = (process for process in psutil.process_iter(["status"]) if _session(process) == self.pid)
        return [process for process in members if process.info["status"] != psutil.STATUS_ZOMBIE]

    def _is(self, process: psutil.Process) -> bool:
        return bool(abs(process.create_time() - self.started) < 1)

    def log_tail(self, lines: int = 8) -> str:
        """Return the end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(Path(self.log).read_text(errors="replace").splitlines()[-lines:])
        return ""


class Record:
    """`platform.json`: what runs, by name."""

    def __init__(self, state: Path) -> None:
        self.path = state / "platform.json"

    def load(self) -> dict[str, Running]:
        """Return everything that was started and not stopped; some of it may have died since."""
        try:
            return {name: Running(**entry) for name, entry in json.loads(self.path.read_text()).items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise LocalError(f"{self.path} is damaged ({error}): stop what it lists by hand, then remove it") from error

    def add(self, name: str, running: Running) -> None:
        """Record `running` under `name`."""
        self._save(self.load() | {name: running})

    def forget(self, name: str) -> None:
        """Remove the entry of `name`."""
        self._save({other: running for other, running in self.load().items() if other != name})

    def _save(self, entries: dict[str, Running]) -> None:
        write_private(self.path, json.dumps({name: asdict(running) for name, running in entries.items()}, indent=2))


def spawn(service: Service, log: Path, folder: Path, fingerprint: str) -> Running:
    """Start `service` in the background with its output in `log`; the previous log is kept beside it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - a list of ours, without a shell
            service.command,
            env=dict(service.environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    return Running.of(psutil.Process(child.pid), log, service.url, service.port, fingerprint)


def stop(running: Iterable[Running], patience: float) -> None:
    """Ask each program to end, wait `patience` seconds at most, then kill what is left of it and its children."""
    running = list(running)
    for entry in running:
        leader = entry.process()
        for process in [leader] if leader else entry.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and any(entry.family() for entry in running):
        time.sleep(0.1)
    # A program killed in the middle of forking may leave one more child: look again until none is found.
    for _ in range(50):
        survivors = [process for entry in running for process in entry.family()]
        if not survivors:
            return
        for process in survivors:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(survivors, timeout=2)


def _session(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(process.pid)
    return -1
