"""The whole platform of `make demo`, with a state of its own: started, looked at from outside, taken down."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from local import ports
from local.airflow_api import Airflow
from local.postgres import Cluster
from local.processes import Record
from tests.commands import ROOT
from tests.replicas import unmeasured

MEASURED = ["-m", "coverage", "run", f"--rcfile={os.devnull}", f"--data-file={ROOT / '.coverage'}", "--parallel-mode",
            "--source=local,recjobs"]  # fmt: skip
PORTS = ("POSTGRES_PORT", "AIRFLOW_PORT", "WEBAPP_PORT", "MLFLOW_PORT")


@dataclass
class Platform:
    """A platform of its own: its state in a folder, its ports free ones."""

    state: Path
    settings: dict[str, str]

    @classmethod
    def of(cls, state: Path, **settings: str) -> "Platform":
        """One on free ports, with these settings besides."""
        return cls(state, {"RECJOBS_STATE": str(state), **{name: str(ports.any_free()) for name in PORTS}, **settings})

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m local`. Coverage, where it is collected, is of this program: it would slow Airflow down."""
        measured = any(name.startswith("COVERAGE_") for name in os.environ)
        return subprocess.run(
            [sys.executable, *(MEASURED if measured else ()), "-m", "local", *arguments],
            env=unmeasured({**self.settings, **settings}),
            capture_output=True,
            text=True,
            timeout=1200,  # a shared machine may take ten times as long as one of its own
            check=False,
        )

    def airflow(self) -> Airflow:
        return Airflow(f"http://127.0.0.1:{self.settings['AIRFLOW_PORT']}", "admin", self.password())

    def password(self) -> str:
        return str(json.loads((self.state / "password.json").read_text())["admin"])

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.settings['WEBAPP_PORT']}{path}", timeout=10)

    def processes(self) -> list[psutil.Process]:
        families = [process for entry in Record(self.state).load().values() for process in entry.family()]
        return families + Cluster(self.state, int(self.settings["POSTGRES_PORT"])).processes()


def eventually(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Return once a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)
