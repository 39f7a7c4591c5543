"""Airflow without `airflow standalone`: three processes of our own, configured by their environment alone."""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from local import password
from local.databases import alembic_revision
from local.environment import inherited
from local.errors import LocalError
from local.files import write_private
from local.ports import HOST
from local.processes import Service
from recjobs.config import ROOT, Settings

PROGRAM = [sys.executable, "-P", "-m", "airflow"]
"""Not `.venv/bin/airflow`: a script names the path of its Python, which a checkout that was moved no longer has."""


def url(settings: Settings) -> str:
    """Return where Airflow's UI and API answer."""
    return f"http://{HOST}:{settings.airflow_port}"


def environment(settings: Settings, database: str) -> dict[str, str]:
    """Return the whole configuration of Airflow on this machine, on top of the caller's environment."""
    home = settings.state / "airflow"
    private = _secrets(home)
    password.password(settings)
    ours = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url(settings)}/execution/",
        # Airflow reads the password as text from a file: right for one person's machine, never in production.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{password.USER}:ADMIN",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(password.file(settings)),
        "AIRFLOW__CORE__FERNET_KEY": private["fernet"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__API__BASE_URL": url(settings),
        "AIRFLOW__API__SECRET_KEY": private["api"],
        "AIRFLOW__API__INSTANCE_NAME": "recjobs",
        "AIRFLOW__API_AUTH__JWT_SECRET": private["jwt"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # A folder of a few files: look often, so that a new catalog's DAG is there when its author looks.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # What a killed platform left "running" is noticed, and tried again, within a minute instead of five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    }
    if settings.log == "json":
        ours["AIRFLOW__LOGGING__JSON_LOGS"] = "True"
    if settings.statsd_host:
        ours |= {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": settings.statsd_host,
            "AIRFLOW__METRICS__STATSD_PORT": str(settings.statsd_port),
        }
    return inherited() | ours


def services(settings: Settings, environment: Mapping[str, str]) -> list[Service]:
    """Return Airflow's three processes."""
    api = [*PROGRAM, "api-server", "--host", HOST, "--port", str(settings.airflow_port), "--workers", "1"]
    return [
        Service("api-server", api, environment, url(settings), settings.airflow_port, "AIRFLOW_PORT"),
        # Its log server would listen on all interfaces; the UI reads the same files from disk.
        Service("scheduler", [*PROGRAM, "scheduler", "--skip-serve-logs"], environment),
        Service("dag-processor", [*PROGRAM, "dag-processor"], environment),
    ]


def migrate(settings: Settings, environment: Mapping[str, str]) -> None:
    """Bring Airflow's database up to its version.

    Asking Airflow whether that is needed takes 8 s, so the revision it left is remembered.
    """
    done = settings.state / "airflow" / "migrated"
    database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    if done.exists() and done.read_text() == _schema(database):
        return
    log = settings.state / "logs" / "airflow-migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        command = [*PROGRAM, "db", "migrate"]
        process = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - Airflow's
    if process.returncode:
        log_tail = "\n".join(log.read_text().splitlines()[-5:])
        raise LocalError(f"`airflow db migrate` failed (its log is {log}):\n{log_tail}")
    write_private(done, _schema(database))


def _schema(database: str) -> str:
    return f"{version('apache-airflow')} {alembic_revision(database)}\n"


def _secrets(home: Path) -> dict[str, str]:
    file = home / "secrets.json"
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        write_private(file, json.dumps({"jwt": secrets.token_hex(32), "api": secrets.token_hex(32), "fernet": fernet}))
    return dict(json.loads(file.read_text()))
