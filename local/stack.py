"""The platform as a whole: its services, the order they start in, and how they stop.

Postgres -> schemas (Airflow's and ours) -> api-server, scheduler, dag-processor, web app
"""

import fcntl
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local import airflow, environment, health, mlflow, ports, processes, webapp
from local.databases import external_database_url, open_databases
from local.errors import LocalError
from local.files import keep_private
from local.postgres import Cluster
from local.processes import Record, Running, Service
from recjobs.config import ROOT, Settings, load_settings

START_SECONDS = 180

Say = Callable[[str], None]


def up(say: Say) -> Settings:
    """Start services that are not running, restart those whose settings changed, return when all are healthy.

    Raises `PortTaken` before anything starts if another program has a port.
    """
    settings = load_settings()
    with alone(settings.state):
        record = Record(settings.state)
        _require_free_ports(settings, record)
        say("Postgres")
        airflow_url, cluster = open_databases(settings)
        if cluster and (postmaster := cluster.postmaster()):
            where = f"postgresql://recjobs_reader@{ports.HOST}:{settings.postgres_port}/recjobs"
            record.add("postgres", Running.of(postmaster, cluster.log, where, settings.postgres_port))
        settings = load_settings()
        environ = airflow.environment(settings, airflow_url)
        say("schemas")
        command = [sys.executable, "-m", "recjobs", "migrate"]
        migration = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, env=environment.inherited(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        airflow.migrate(settings, environ)
        output, _ = migration.communicate()
        if migration.returncode:
            raise LocalError(f"`recjobs migrate` failed:\n{output.strip()}")
        say("Airflow and the web app")
        services = [*airflow.services(settings, environ), webapp.service(settings)]
        _stop_outdated(services, record)
        # The scheduler comes last: it retries at once what a kill left unfinished, and a task whose first call
        # reaches no api-server has failed.
        first = [service for service in services if service.name != "scheduler"]
        _start(first, settings, record)
        health.wait(first[:1], record, START_SECONDS)
        _start(services, settings, record)
        health.wait(services, record, START_SECONDS)
    return settings


def open_mlflow(say: Say) -> str:
    """Start MLflow's UI on the store that the nights write to; return its URL."""
    settings = load_settings()
    with alone(settings.state):
        record = Record(settings.state)
        open_databases(settings)
        settings = load_settings()
        service = mlflow.service(settings)
        say("MLflow (takes half a minute)")
        if not _current(service, record):
            ports.require_free(settings.mlflow_port, "MLFLOW_PORT")
        _stop_outdated([service], record)
        _start([service], settings, record)
        health.wait([service], record, START_SECONDS)
    return service.url


def down(say: Say) -> None:
    """Stop all services; return when none of their processes is left."""
    settings = load_settings()
    with alone(settings.state):
        record = Record(settings.state)
        entries = record.load()
        entries.pop("postgres", None)
        # The api-server last: a task that is being stopped still reports to it.
        api_server = {name: entries.pop(name) for name in ("api-server",) if name in entries}
        for group, patience in ((entries, 15), (api_server, 10)):
            if group:
                say(", ".join(group))
            processes.stop(group.values(), patience)
            for name in group:
                record.forget(name)
        cluster = Cluster(settings.state, settings.postgres_port)
        if cluster.postmaster():
            say("postgres")
        cluster.stop()
        record.path.unlink(missing_ok=True)


def _stop_outdated(services: list[Service], record: Record) -> None:
    """Stop services that would now be started differently, and what is left of programs that died."""
    entries = record.load()
    processes.stop([entries[s.name] for s in services if s.name in entries and not _current(s, record)], patience=10)


def _start(services: list[Service], settings: Settings, record: Record) -> None:
    for service in services:
        if _current(service, record):
            continue
        if service.port:
            ports.require_free(service.port, service.setting)
        log = settings.state / "logs" / f"{service.name}.log"
        record.add(service.name, processes.spawn(service, log, ROOT, fingerprint(service)))


def _current(service: Service, record: Record) -> bool:
    """Whether the service runs, and was started as it would be now."""
    running = record.load().get(service.name)
    return bool(running and running.process() and running.fingerprint == fingerprint(service))


def fingerprint(service: Service) -> str:
    """Return a hash of everything that decides how a service behaves: command, settings, `.env`, locked packages."""
    files = [path.read_text() for path in (ROOT / ".env", ROOT / "requirements.txt") if path.exists()]
    parts = [service.command, sorted(environment.of_ours(service.environment).items()), files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _require_free_ports(settings: Settings, record: Record) -> None:
    """Raise `PortTaken` before anything starts, rather than start half of the platform."""
    entries = record.load()
    services = {"api-server": ("AIRFLOW_PORT", settings.airflow_port), "webapp": ("WEBAPP_PORT", settings.webapp_port)}
    for name, (setting, port) in services.items():
        running = entries.get(name)
        if not (running and running.port == port and running.family()):
            ports.require_free(port, setting)
    if not external_database_url() and not Cluster(settings.state, settings.postgres_port).postmaster():
        ports.require_free(settings.postgres_port, "POSTGRES_PORT")


@contextmanager
def alone(state: Path, seconds: float = START_SECONDS) -> Iterator[None]:
    """Let one `up` or `down` at a time change the platform; the next one waits."""
    try:
        keep_private(state)
        lock_file = (state / "lock").open("w")
    except PermissionError as error:
        raise LocalError(
            f"{error.filename} belongs to another user, whose platform this is: run this as that user, or set "
            "RECJOBS_STATE to a folder of your own (and the ports: README, Settings)"
        ) from None
    with lock_file as lock:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LocalError(f"another make up, down or demo holds {lock.name}") from None
                time.sleep(0.5)
        yield
