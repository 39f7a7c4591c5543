"""Replicas of the web app as programs of their own, and nginx in front of them with the configuration we ship."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.commands import ROOT, environment_of
from tests.containers import Image, terminate
from tests.webapp_world import World, free_port

CONFIGURATION = ROOT / "docker" / "nginx.conf"
START_SECONDS = 60


class Replica:
    """One web app on a port of its own; stopped and started again, it has the same port."""

    def __init__(self, world: World, name: str, folder: Path, *, code: Path | Image = ROOT, **settings: str) -> None:
        """code: the checkout or image that it runs from."""
        self.name, self.port, self.code = name, free_port(), code
        self.log = folder / f"{name}.log"
        self.settings = {
            "RECJOBS_READER_URL": f"{world.url('recjobs_reader')}&application_name={name}",
            "RECJOBS_STATE": str(folder),
            "WEBAPP_PORT": str(self.port),
            "WEBAPP_REQUEST_LOG": "false",
            "WEBAPP_HOSTS": "x load test",  # what raw requests of tests name
            **settings,
        }
        self.process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        if isinstance(self.code, Image):
            settings = self.settings | {"WEBAPP_HOST": "127.0.0.1", "RECJOBS_STATE": "/tmp/recjobs"}
            with self.log.open("ab") as log:
                return subprocess.Popen(self.code.command(**settings), stdout=log, stderr=log)
        environment = unmeasured({**self.settings, "PYTHONPATH": str(self.code)})
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "webapp"], cwd=self.code, env=environment, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        """Until /readyz says so."""
        give_up = time.monotonic() + START_SECONDS
        while status(f"http://127.0.0.1:{self.port}/readyz") != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """SIGTERM, and no waiting."""
        if isinstance(self.code, Image):
            terminate(self.process)
        else:
            self.process.terminate()

    def wait(self) -> int:
        """Until it has ended."""
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            for process in self.processes():
                process.kill()
            raise

    def replace(self, code: Path | Image | None = None) -> None:
        """Stop it and put a new one in its place, as a rolling update does; code: another checkout or image."""
        assert self.stop() == 0, self.log.read_text()
        self.code = code or self.code
        self.process = self._launch()
        self.wait_until_ready()

    def processes(self) -> list[psutil.Process]:
        """All that belongs to it."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]


class Nginx:
    """The product's nginx.conf with replicas at these ports and a free one of its own; no letter differs otherwise."""

    def __init__(self, replicas: list[int], folder: Path) -> None:
        folder.mkdir()
        self.port, self.log = free_port(), folder / "log"
        text = CONFIGURATION.read_text()
        for n, port in enumerate(replicas, 1):
            text, found = re.subn(rf"server webapp-{n}:8000\b", f"server 127.0.0.1:{port}", text)
            assert found == 1
        text, found = re.subn(r"listen 8080\b", f"listen 127.0.0.1:{self.port}", text)
        assert found == 1
        path = folder / "nginx.conf"
        path.write_text(text)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([nginx(), "-p", folder, "-c", path], stdout=log, stderr=log)
        give_up = time.monotonic() + START_SECONDS
        while status(f"http://127.0.0.1:{self.port}/healthz") == 0:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it and its children."""
        self.process.terminate()
        self.process.wait(30)


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Until the condition holds."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def unmeasured(settings: dict[str, str]) -> dict[str, str]:
    """An environment in which coverage does not slow a program down."""
    return {name: value for name, value in environment_of(settings).items() if not name.startswith("COVERAGE_")}


def nginx() -> str:
    """Where nginx is. Without it the test is skipped on a laptop, and fails where everything has to be tested."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if not found and os.environ.get("CI"):
        pytest.fail("nginx is not installed, and with CI set nothing may be left untested: see .ci/run")
    if not found:
        pytest.skip("nginx is not installed (on Debian: apt-get install nginx-light)")
    return found


def status(url: str) -> int:
    """The status that a GET is answered with; 0: none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
