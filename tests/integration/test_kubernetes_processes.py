"""Deployment and Job as processes: command, environment, secret, probes and uid are read from the rendered manifest."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands import ROOT
from tests.kubernetes import overlay
from tests.load import batch_of
from tests.network_flows import SERVING, Sockets
from tests.pods import argv_of, container_of, environment_of_container, mount, tcp
from tests.replicas import START_SECONDS, status, unmeasured
from tests.webapp_world import World, free_port, start_world

BATCH = "20240101T000000Z-1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = start_world(tmp_path_factory.mktemp("world"))
    world.make_catalog("shop", "A shop")
    world.publish("shop", batch_of(BATCH, 1))
    yield world
    world.cluster.stop()


@pytest.fixture
def mounted() -> Iterator[Path]:
    """Where the secret is mounted: a folder that another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="recjobs-mounted-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def start(spec: Any, container: Any, settings: dict[str, str], secret: str, mounted: Path) -> subprocess.Popen[bytes]:
    """The container as a process of its user; where it is mounted and where its program lies are substituted."""
    settings = mount(container, settings, secret, mounted)
    user = spec["securityContext"]
    # A user namespace: the interpreter may lie where only its owner may go.
    as_user = ["unshare", "--user", f"--map-user={user['runAsUser']}", f"--map-group={user['runAsGroup']}"]
    return subprocess.Popen([*as_user, *argv_of(container)], cwd=ROOT, env=unmeasured(settings))


def test_the_web_app_runs_as_its_deployment_says_and_the_migration_beside_it(world: World, mounted: Path):
    objects = overlay("production")
    spec, container = container_of(objects, "Deployment", "webapp")
    assert container["ports"] == [{"containerPort": 8000, "name": "http"}]
    port = free_port()
    settings = environment_of_container(objects, container) | {"WEBAPP_PORT": str(port)}
    secret = f"RECJOBS_WEB_URL={tcp(world, 'recjobs_web')}\nRECJOBS_API_KEYS=shop:{'0' * 64}\n"
    process = start(spec, container, settings, secret, mounted)
    job_folder = mounted / "job"
    job_folder.mkdir(mode=0o755)
    roles = {process.pid: "webapp"}

    def role(of: psutil.Process) -> str | None:
        return next((roles[each.pid] for each in (of, *of.parents()) if each.pid in roles), None)

    sockets = Sockets(role, {world.cluster.port: "postgres", port: "webapp"})
    with contextlib.ExitStack() as stack:
        stack.callback(end, process)
        stack.enter_context(sockets)
        url = f"http://127.0.0.1:{port}"
        probes = ("startupProbe", "readinessProbe", "livenessProbe")
        paths = {probe: container[probe]["httpGet"]["path"] for probe in probes}
        give_up = time.monotonic() + START_SECONDS
        for path in paths.values():
            while status(url + path) != 200:
                assert process.poll() is None
                assert time.monotonic() < give_up, path
                time.sleep(0.1)
        assert status(f"{url}/v1/shop/popular") == 401, "the secret has API keys"
        users = Path(f"/proc/{process.pid}/uid_map").read_text().split()
        assert users == [str(spec["securityContext"]["runAsUser"]), str(os.geteuid()), "1"]

        job_spec, job = container_of(objects, "Job", "migration")
        admin = f"RECJOBS_DATABASE_URL={tcp(world, 'admin')}\n"
        done = start(job_spec, job, environment_of_container(objects, job), admin, job_folder)
        roles[done.pid] = "migration"
        assert done.wait(120) == 0
        assert status(f"{url}{paths['readinessProbe']}") == 200
        process.terminate()
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert process.wait(spec["terminationGracePeriodSeconds"] - pause) == 0
    assert sockets.flows == SERVING, "what the NetworkPolicies of the namespace are held to"
    assert sockets.strangers == set()


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
