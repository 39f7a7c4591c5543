"""Programs in the background: found again by the next command, stopped with all they started, nobody else touched."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from local import health, ports, processes
from local.errors import LocalError, NotHealthy
from local.processes import Record, Running, Service
from recjobs.adapters.local_platform import running

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
time.sleep(600)
"""
STUBBORN = FAMILY.replace("print(", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(")


def service(name: str, script: str, port: int | None = None) -> Service:
    return Service(name, [sys.executable, "-c", script], {}, f"http://127.0.0.1:{port}" if port else "", port)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    started = []

    def start(script: str) -> Running:
        running = processes.spawn(service("program", script), tmp_path / "program.log", tmp_path, "")
        started.append(running)
        eventually(lambda: "ready" in running.log_tail())
        return running

    yield start
    processes.stop(started, patience=0)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stopping_a_program_stops_what_it_started(start: Callable[[str], Running]) -> None:
    running = start(FAMILY)
    assert len(running.family()) == 2
    processes.stop([running], patience=5)
    assert running.family() == []


def test_a_program_that_ignores_the_request_is_killed_after_its_patience(start: Callable[[str], Running]) -> None:
    running = start(STUBBORN)
    began = time.monotonic()
    processes.stop([running], patience=1)
    assert running.family() == []
    assert 1 <= time.monotonic() - began < 8


def test_the_children_of_a_killed_program_are_found_and_stopped(start: Callable[[str], Running]) -> None:
    running = start(FAMILY)
    os.kill(running.pid, signal.SIGKILL)
    eventually(lambda: running.process() is None)
    assert len(running.family()) == 1
    processes.stop([running], patience=5)
    assert running.family() == []


def test_another_program_with_the_recorded_number_is_left_alone(start: Callable[[str], Running]) -> None:
    running = start(FAMILY)
    recycled = replace(running, started=running.started - 3600)
    assert recycled.process() is None
    processes.stop([recycled], patience=1)
    assert len(running.family()) == 2


def test_the_log_of_the_time_before_is_kept(start: Callable[[str], Running], tmp_path: Path) -> None:
    start("print('ready first')")
    start("print('ready second')")
    assert (tmp_path / "program.log").read_text() == "ready second\n"
    assert (tmp_path / "program.previous.log").read_text() == "ready first\n"


def test_the_record_survives_the_command_that_wrote_it(tmp_path: Path) -> None:
    record = Record(tmp_path)
    running = Running.of(psutil.Process(), tmp_path / "log", "http://127.0.0.1:1", 1)
    record.add("ours", running)
    assert Record(tmp_path).load() == {"ours": running}
    assert running.process() == psutil.Process()
    record.forget("ours")
    assert Record(tmp_path).load() == {}


def test_status_takes_a_recycled_number_for_no_running_program(tmp_path: Path) -> None:
    record, ours = Record(tmp_path), Running.of(psutil.Process(), tmp_path / "log")
    record.add("ours", ours)
    record.add("recycled", replace(ours, started=ours.started - 3600))
    assert {name: entry["running"] for name, entry in running(tmp_path).items()} == {"ours": True, "recycled": False}
    record.path.write_text(json.dumps({"noted without a start": {"pid": ours.pid}}))
    assert running(tmp_path)["noted without a start"]["running"]


def test_a_damaged_record_is_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / "platform.json").write_text('{"webapp": {"pid": 1')
    with pytest.raises(LocalError, match=r"platform\.json is damaged"):
        Record(tmp_path).load()


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    webapp = service("webapp", "raise SystemExit('no such setting: WEBAPP_PROT')", ports.any_free())
    record = Record(tmp_path)
    record.add("webapp", processes.spawn(webapp, tmp_path / "webapp.log", tmp_path, ""))
    with pytest.raises(NotHealthy, match=r"webapp ended \(its log is .*webapp\.log\):\nno such setting: WEBAPP_PROT"):
        health.wait([webapp], record, seconds=20)


def test_a_program_that_never_answers_is_reported_after_its_time(
    start: Callable[[str], Running], tmp_path: Path
) -> None:
    record = Record(tmp_path)
    record.add("webapp", start(FAMILY))
    with pytest.raises(NotHealthy, match="webapp did not answer within 1 s"):
        health.wait([service("webapp", FAMILY, ports.any_free())], record, seconds=1)


def test_a_proxy_in_the_environment_does_not_come_between_us_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    from local.environment import inherited

    assert inherited()["NO_PROXY"] == "127.0.0.1,localhost"
    assert health.session().trust_env is False


@pytest.mark.parametrize("setting", ["AIRFLOW_PORT", "WEBAPP_PORT", "POSTGRES_PORT"])
def test_up_refuses_a_taken_port_by_its_setting_and_starts_nothing(setting: str, tmp_path: Path) -> None:
    settings = {name: str(ports.any_free()) for name in ("AIRFLOW_PORT", "WEBAPP_PORT", "POSTGRES_PORT")}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings[setting] = str(other.getsockname()[1])
        done = run_local("up", tmp_path, settings)
    assert done.returncode == 78
    assert f"port {settings[setting]} is taken by another program; set {setting}=" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    done = run_local("up", tmp_path, {"WEBAPP_PORT": "eight thousand"})
    assert done.returncode == 78
    assert "WEBAPP_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_down_without_anything_to_stop_succeeds(tmp_path: Path) -> None:
    assert run_local("down", tmp_path, {}).returncode == 0


def test_a_database_elsewhere_that_does_not_answer_is_a_clear_message(tmp_path: Path) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{ports.any_free()}/recjobs"
    settings = {name: str(ports.any_free()) for name in ("AIRFLOW_PORT", "WEBAPP_PORT")}
    done = run_local("up", tmp_path, settings | {"RECJOBS_DATABASE_URL": url})
    assert done.returncode == 78
    assert "no database 'airflow' beside the one in RECJOBS_DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_second_command_waits_for_the_first(tmp_path: Path) -> None:
    from local.stack import alone

    with alone(tmp_path), pytest.raises(LocalError, match="another make up, down or demo"), alone(tmp_path, seconds=1):
        pass


def run_local(verb: str, state: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    import os

    environment = {**os.environ, "RECJOBS_STATE": str(state), **settings}
    return subprocess.run(
        [sys.executable, "-m", "local", verb], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
