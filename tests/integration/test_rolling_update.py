"""A rolling update replayed with nginx and real web apps, by the numbers of the rendered manifest, under load.

The gateway here asks no second replica: that nothing fails is due to surge, probes, preStop and grace. Without them, in
the same run, requests fail.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.gateway import Gateway
from tests.kubernetes import Object, named, overlay
from tests.load import Load, batch_of
from tests.pods import container_of
from tests.rollouts import FACTOR, PATIENCE, Deployment
from tests.webapp_world import start_world
from tests.worlds import soak

pytestmark = pytest.mark.soak

BATCH = "20240101T000000Z-1"
REQUESTS = soak(200_000, share=100)
PAUSE_SECONDS = 0 if FACTOR == 1 else 0.03


@dataclass
class Cluster:
    gateway: Gateway
    deployment: Deployment


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    world = start_world(folder / "world")
    try:
        world.make_catalog("shop", "A shop")
        world.publish("shop", batch_of(BATCH, 1))
        gateway = Gateway(folder / "gateway")
        deployment = Deployment(overlay("production"), world, folder, gateway, **PATIENCE)
        try:
            deployment.start()
            yield Cluster(gateway, deployment)
        finally:
            deployment.stop()
            gateway.stop()
    finally:
        world.cluster.stop()


def test_no_request_fails_while_every_replica_is_replaced(cluster: Cluster, figure: Callable[[str], None]):
    deployment, before = cluster.deployment, list(cluster.deployment.pods)
    updates = soak(3, share=3)
    with Load(cluster.gateway.port, {BATCH: 1}, REQUESTS, pause=PAUSE_SECONDS) as load:
        for k in range(updates):
            load.wait_for(k * REQUESTS // updates + 200)
            assert deployment.roll_out() == deployment.replicas + 1, "one more than there are replicas, and no more"
            load.wait_for(load.answered + 200)
        report = load.stop()
    assert (report.failed, report.unavailable, report.torn, report.examples) == (0, 0, 0, [])
    assert report.requests >= REQUESTS
    assert [pod.exit_code for pod in deployment.ended] == [0] * updates * deployment.replicas
    answers = cluster.gateway.answers()
    assert {status for status, _ in answers} <= {200, 304}
    assert {pod.port for pod in (*before, *deployment.ended, *deployment.pods)} == {port for _, port in answers}
    figure(
        f"rolling update: {updates} of {deployment.replicas} replicas, {report.requests} requests, "
        f"{report.failed} failed, {report.unavailable} 503, {report.torn} torn, in {report.seconds:.0f} s"
    )


def without_probes(objects: list[Object]) -> None:
    _, container = container_of(objects, "Deployment", "webapp")
    del container["startupProbe"], container["readinessProbe"]


def without_pre_stop(objects: list[Object]) -> None:
    _, container = container_of(objects, "Deployment", "webapp")
    del container["lifecycle"]


def without_surge(objects: list[Object]) -> None:
    spec = named(objects, "Deployment", "webapp")["spec"]
    spec["strategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": 3}


FAULTS = (without_probes, without_pre_stop, without_surge)


@pytest.mark.parametrize("faults", [[fault] for fault in FAULTS] if FACTOR == 1 else [FAULTS[:2]])
def test_requests_fail_without_what_the_manifest_says(cluster: Cluster, faults: list[Callable[[list[Object]], None]]):
    objects = copy.deepcopy(overlay("production"))
    for plant in faults:
        plant(objects)
    # The pods that are replaced have the numbers of the fault, too.
    for pod in cluster.deployment.pods:
        _, pod.container = container_of(objects, "Deployment", "webapp")
    with Load(cluster.gateway.port, {BATCH: 1}, 200, pause=PAUSE_SECONDS) as load:
        load.wait_for(100)
        cluster.deployment.roll_out(objects=objects)
        report = load.stop()
    assert report.failed > 0
    assert report.torn == 0
