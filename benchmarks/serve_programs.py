"""The programs of a benchmark of serving: web apps, each on the first core, Postgres on the others, and the client."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil

from benchmarks.beside import THIS, Build, failure
from benchmarks.serve_report import Taken
from local import ports
from local.environment import inherited, without_write_access
from local.postgres import Cluster

KEY = secrets.token_urlsafe(32)
N_KEYS = 20
GUARDED = {
    "RECJOBS_API_KEYS": " ".join(
        f"{name}:{sha256(key.encode()).hexdigest()}"
        for name, key in [("bench", KEY), *((f"other-{n}", secrets.token_urlsafe(32)) for n in range(N_KEYS - 1))]
    ),
    "WEBAPP_RATE_LIMIT": "1000000000/minute",  # counts every request, and refuses none
    "WEBAPP_REQUEST_LOG": "true",
}
OPEN = {"WEBAPP_REQUEST_LOG": "false"}


@dataclass(frozen=True)
class Served:
    """A running web app: its port, and the key that it asks for."""

    port: int
    key: str | None = None


def asked(
    server: Served, path: str, ids: Path, seconds: float, connections: int = 1, rate: float | None = None
) -> Taken:
    """Ask by the lean client, in a process of its own; path: what comes before each line of the file `ids`."""
    command = [sys.executable, "-m", "benchmarks.serve_client", "--ids", str(ids), "--path", path]
    command += ["--port", str(server.port), "--connections", str(connections), "--seconds", str(seconds)]
    command += ["--rate", str(rate)] if rate else []
    command += ["--key", server.key] if server.key else []
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Taken(np.array(result["latencies"]) * 1000, result["rate"], result["failed"])


@contextmanager
def running(
    folder: Path, command: list[str], n_cores: int = 1, build: Build = THIS, environment: dict[str, str] | None = None
) -> Iterator[int]:
    """A server of a build, on a port of its own, from when it listens until the end of the block.

    It keeps to the first n_cores, as one would have it with `taskset`; Postgres has the others (`apart`).
    """
    port = str(ports.any_free())
    variables = without_write_access(inherited()) | (environment or {}) | {"WEBAPP_PORT": port}
    with (folder / f"{command[0]}-{build.name}-{port}.log").open("wb") as log:
        arguments = [port if word == "PORT" else word for word in command]
        server = subprocess.Popen(
            build.command("python", "-m", *arguments),
            cwd=build.root,
            env=variables,
            stdout=log,
            stderr=log,
            preexec_fn=partial(_keep_to, 0, slice(n_cores)),
        )
        try:
            for _ in range(600):
                if not ports.is_free(int(port)):
                    break
                if server.poll() is not None:
                    raise failure(arguments, build.root, server.returncode, Path(log.name).read_text())
                time.sleep(0.1)
            yield int(port)
        finally:
            server.terminate()
            server.wait(30)


def cpu_seconds(server: Served) -> float:
    """The CPU time that the processes of a web app have used, those of its server included."""
    listening = (one for one in psutil.net_connections("tcp4") if one.status == psutil.CONN_LISTEN)
    pids = {one.pid for one in listening if one.laddr.port == server.port and one.pid}
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def apart(cluster: Cluster) -> None:
    """Keep Postgres off the first core, where the web app computes: on one core they push each other's data out."""
    for process in cluster.processes():
        _keep_to(process.pid, slice(1, None))


def _keep_to(pid: int, cores: slice) -> None:
    if hasattr(os, "sched_setaffinity") and (kept := sorted(os.sched_getaffinity(pid))[cores]):
        os.sched_setaffinity(pid, kept)
