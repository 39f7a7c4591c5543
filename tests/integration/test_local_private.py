"""What the local platform keeps on a machine that others use as well: who may look into its folder, who may sign in."""

import asyncio
import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import requests

from local import airflow, health, mlflow, password, ports, processes
from local.files import keep_private
from local.password_required import PasswordRequired
from local.processes import Record
from local.stack import alone
from recjobs.config import ROOT, Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_state_folder_that_an_earlier_release_left_open_is_closed_to_others(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name in ("artifacts", "logs", "airflow"):
        (state / name).mkdir(parents=True)
    state.chmod(0o755)
    with alone(state):
        assert mode(state) == (0o711 if os.geteuid() == 0 else 0o700)
        assert {name: mode(state / name) for name in ("artifacts", "logs", "airflow")} == dict.fromkeys(
            ("artifacts", "logs", "airflow"), 0o700
        )


def test_a_password_is_drawn_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state")
    keep_private(settings.state)
    drawn = password.password(settings)
    assert len(drawn) >= 32
    assert password.password(settings) == drawn
    assert password.password(Settings(state=tmp_path / "other")) != drawn
    assert mode(settings.state / "password.json") == 0o600
    assert drawn not in password.where(settings)
    assert str(settings.state / "password.json") in password.where(settings)


def test_airflow_and_mlflow_are_told_the_file_and_never_the_password(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, mlflow_tracking_uri="sqlite:///x", mlflow_port=5999)
    told = airflow.environment(settings, "postgresql://nobody@127.0.0.1:1/none")
    assert told["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    assert told["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:ADMIN"
    assert json.loads(Path(told["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).read_text()) == {
        "admin": password.password(settings)
    }
    service = mlflow.service(settings)
    assert service.command[-2:] == ["--app-name", "recjobs"]
    assert service.environment["MLFLOW_SERVER_ALLOWED_HOSTS"] == "127.0.0.1:5999,localhost:5999"
    everything = [*told.values(), *service.environment.values(), *service.command]
    assert not [text for text in everything if password.password(settings) in text]


@pytest.mark.parametrize("scheme", ["http", "websocket"])
def test_an_app_behind_the_password_is_asked_by_nobody_else(scheme: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "the app", "path": scope["path"]})

    guarded = PasswordRequired(app, "admin", "drawn", probe="/health")

    def asked(path: str, *authorizations: bytes, type: str = scheme) -> str:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"127.0.0.1"), *((b"authorization", one) for one in authorizations)]
        asyncio.run(guarded({"type": type, "path": path, "headers": headers}, None, send))  # type: ignore[arg-type]
        return str(sent[0].get("status", sent[0]["type"]))

    def basic(text: str) -> bytes:
        return b"Basic " + base64.b64encode(text.encode())

    refused = {"http": "401", "websocket": "websocket.close"}[scheme]
    assert asked("/", basic("admin:drawn")) == "the app"
    for path in ("/", "/api/2.0/mlflow/experiments/search", "/health/", "/version", "//health"):
        for sent in (
            [],
            [basic("admin:")],
            [basic("admin:wrong")],
            [basic("other:drawn")],
            [b"drawn"],
            [b"Bearer drawn"],
            [b""],
        ):
            assert asked(path, *sent) == refused, (path, sent)
    assert asked("/health") == "the app"
    assert asked("/", type="lifespan") == "the app"


@pytest.mark.soak
@pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="MLflow's server takes half a minute to start")
def test_mlflows_server_answers_to_its_own_names_and_with_the_password(tmp_path: Path) -> None:
    settings = Settings(
        state=tmp_path, mlflow_tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", mlflow_port=ports.any_free()
    )
    service, record = mlflow.service(settings), Record(tmp_path)
    record.add("mlflow", processes.spawn(service, tmp_path / "mlflow.log", ROOT, ""))
    try:
        health.wait([service], record, 300)
        url, signed_in = (
            f"{service.url}/api/2.0/mlflow/experiments/search?max_results=1",
            ("admin", password.password(settings)),
        )
        assert requests.get(url, auth=signed_in, timeout=60).json()["experiments"]
        assert requests.get(service.url, auth=signed_in, timeout=60).status_code == 200
        for auth in (None, ("admin", "admin")):
            assert requests.get(url, auth=auth, timeout=60).status_code == 401
        for host in ("evil.example", "10.evil.example", "192.168.evil.example:5000"):
            assert requests.get(url, auth=signed_in, headers={"Host": host}, timeout=60).status_code == 403, host
    finally:
        processes.stop(record.load().values(), patience=10)
