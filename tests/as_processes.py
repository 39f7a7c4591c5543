"""Services that a file describes, started as plain processes: what the file says, with one table of substitutions."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from local import postgres_binaries
from tests.commands import ROOT
from tests.replicas import status

START_SECONDS = 900
VENV = ROOT / ".venv" / "bin"


class Processes:
    """`table` says what stands for each text of the file: a host and port, a path, a program. Longer texts go first."""

    def __init__(self, folder: Path, table: Mapping[str, str]) -> None:
        self.folder, self.table = folder, dict(sorted(table.items(), key=lambda item: -len(item[0])))
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)

    def here(self, text: str) -> str:
        """The text with each entry of the table replaced once."""
        parts = [text]
        for old, new in self.table.items():
            split: list[str] = []
            for n, part in enumerate(parts):
                if n % 2:  # replaced already
                    split.append(part)
                    continue
                pieces = part.split(old)
                for k, piece in enumerate(pieces):
                    split += [piece] if k == 0 else [new, piece]
            parts = split
        return "".join(parts)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The environment of a service: its own, and a PATH on which this checkout's programs come first."""
        own = {name: self.here(value) for name, value in settings.items()}
        base = {"HOME": str(self.home), "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "NO_PROXY": "*"}
        return base | own | {"PATH": f"{VENV}:{os.environ['PATH']}:/usr/sbin"}

    def start(
        self,
        name: str,
        argv: Sequence[str],
        settings: Mapping[str, str],
        prefix: Sequence[str] = (),
        extra: Sequence[str] = (),
    ) -> None:
        """Start a service that stays; `prefix` and `extra` are the test's own words before and after its command."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*prefix, *map(self.here, argv), *extra],
                cwd=ROOT,
                env=self.environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, name: str, argv: Sequence[str], settings: Mapping[str, str], seconds: float = START_SECONDS) -> str:
        """Run what ends by itself; it must end well."""
        done = subprocess.run(
            [*map(self.here, argv)],
            cwd=ROOT,
            env=self.environment(settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            start_new_session=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_until_healthy(self, name: str, test: Sequence[str], settings: Mapping[str, str]) -> None:
        """Ask by a service's own health check until it says so."""
        give_up = time.monotonic() + START_SECONDS
        command = [*map(self.here, test)]
        while subprocess.run(command, env=self.environment(settings), capture_output=True, check=False).returncode:
            self._check(name, give_up)

    def wait_for_status(self, name: str, url: str) -> None:
        """Ask an address until it answers 200."""
        give_up = time.monotonic() + START_SECONDS
        while status(url) != 200:
            self._check(name, give_up)

    def _check(self, name: str, give_up: float) -> None:
        log = (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
        assert self.running[name].poll() is None, f"{name} ended: {log}"
        assert time.monotonic() < give_up, f"{name} is not well: {log}"
        time.sleep(0.5)

    def stop(self) -> None:
        """Stop all of them, the last one first."""
        for process in reversed(self.running.values()):
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            process.terminate()
            _, left = psutil.wait_procs(family, timeout=20)
            for each in left:
                each.kill()
            process.wait(10)
        self.running.clear()


def make_cluster(programs: Path, folder: Path, password: str, options: Sequence[str]) -> tuple[str, ...]:
    """What Postgres' image does with an empty volume: a cluster whose superuser `postgres` has the password, in
    `folder`/data. Returns the prefix of a command that runs as its owner."""
    home = folder / "postgres"
    home.mkdir(mode=0o700)
    identity = postgres_binaries.identity(programs, folder)
    identity.own(home)
    password_file = home / "password"
    password_file.write_text(password)
    os.chown(password_file, identity.uid, identity.gid)
    command = [programs / "initdb", "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", *options]
    command += [f"--pwfile={password_file}", "-D", home / "data"]
    done = subprocess.run([*identity.prefix, *command], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return identity.prefix


def program(name: str, package: str) -> str:
    """Where a program is. Without it the test is skipped on a laptop, and fails where everything has to be tested."""
    if found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"):
        return found
    message = f"{name} is not installed (on Debian: apt-get install {package})"
    return pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
