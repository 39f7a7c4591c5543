"""The web app's processes: one port, one web app; and no worker without its main process."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.commands import ROOT
from tests.replicas import Replica, status, unmeasured, wait_for
from tests.webapp_world import World
from tests.worlds import soak

pytest_plugins = ["tests.webapp_fixtures"]

SIGNALS = [signal.SIGKILL, signal.SIGQUIT, signal.SIGUSR1][: soak(3, share=3)]


@pytest.fixture(scope="module")
def replica(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    replica = Replica(world, "process", tmp_path_factory.mktemp("process"))
    replica.wait_until_ready()
    yield replica
    assert replica.stop() == 0


def is_open(port: int) -> bool:
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 30):
        return True
    return False


def test_a_taken_port_is_refused_with_78_and_the_web_app_that_has_it_goes_on(replica: Replica):
    second = subprocess.run(
        [sys.executable, "-m", "webapp"], cwd=ROOT, env=unmeasured(replica.settings), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert second.returncode == 78
    assert f"port {replica.port} of 127.0.0.1" in second.stderr
    assert "WEBAPP_PORT" in second.stderr
    assert "Traceback" not in second.stderr
    assert status(f"http://127.0.0.1:{replica.port}/healthz") == 200


@pytest.mark.soak
@pytest.mark.parametrize("how", SIGNALS, ids=lambda how: how.name)
def test_a_worker_ends_with_its_main_process_and_the_port_is_free(world: World, tmp_path: Path, how: signal.Signals):
    # What a shell runs in the background ignores SIGQUIT, and so would the replica.
    if how != signal.SIGKILL:
        signal.signal(how, signal.SIG_DFL)
    replica = Replica(world, "orphaned", tmp_path)
    try:
        replica.wait_until_ready()
        main, *workers = replica.processes()
        assert len(workers) == 1
        main.send_signal(how)
        replica.process.wait(30)
        assert psutil.wait_procs(workers, timeout=30)[1] == []
        with socket.socket() as successor:
            successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            successor.bind(("127.0.0.1", replica.port))
            successor.listen()
    finally:
        for process in workers:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        replica.process.kill()


def test_a_worker_that_died_is_replaced_and_connections_are_refused_meanwhile(replica: Replica):
    [worker] = replica.processes()[1:]
    worker.kill()
    wait_for(lambda: not is_open(replica.port))
    wait_for(lambda: status(f"http://127.0.0.1:{replica.port}/healthz") == 200)


@pytest.mark.soak
def test_of_two_web_apps_started_at_once_one_has_the_port_and_the_other_is_refused(world: World, tmp_path: Path):
    rivals = [Replica(world, "one", tmp_path)]
    try:
        rivals.append(Replica(world, "other", tmp_path, WEBAPP_PORT=str(rivals[0].port)))
        wait_for(lambda: any(replica.process.poll() is not None for replica in rivals))
        wait_for(lambda: status(f"http://127.0.0.1:{rivals[0].port}/healthz") == 200)
        assert sorted(replica.process.poll() or 0 for replica in rivals) == [0, 78]
    finally:
        for replica in rivals:
            replica.process.terminate()
        for replica in rivals:
            replica.process.wait(30)
