"""Canaries replayed by the steps of the rendered Rollout, with nginx and real web apps, judged by `make canary-check`'s
program from what a real Prometheus has scraped: its queries and times are those of the AnalysisTemplate.

A release whose every tenth answer is an error, and one that takes twice as long, go within two minutes; a good one is
promoted.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.canary_check import TEMPLATE, seconds
from tests.bad_releases import FAILING, SLOW, release
from tests.commands import ROOT
from tests.debian_tools import needed
from tests.gateway import Gateway
from tests.kubernetes import Object, named, overlay
from tests.load import Load, Report, batch_of
from tests.monitoring import get, wait_for
from tests.rollouts import PATIENCE, Deployment, Pod
from tests.webapp_world import free_port, start_world

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="in real time: `make soak`"),
]

BATCH = "20240101T000000Z-1"
CLIENTS, PAUSE_SECONDS = 8, 0.05
"""About 150 requests a second, so that ours is not the canary's load."""


class Prometheus:
    """Debian's, which scrapes pods as the ServiceMonitor says, with the label `service` of the operator."""

    def __init__(self, objects: list[Object], folder: Path) -> None:
        folder.mkdir()
        [endpoint] = named(objects, "ServiceMonitor", "webapp")["spec"]["endpoints"]
        self._targets = folder / "targets.json"
        self.scraped("webapp", [])
        job = {"job_name": "webapp", "metrics_path": endpoint["path"], "scrape_interval": endpoint["interval"]}
        files = [{"files": [str(self._targets)], "refresh_interval": "1s"}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": [job | {"file_sd_configs": files}]}))
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [
            needed("prometheus"),
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/tsdb",
        ]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=log, stderr=log
            )
        wait_for(lambda: get(f"{self.url}/api/v1/status/runtimeinfo"), "Prometheus")

    def scraped(self, service: str, pods: list[Pod], **others: list[Pod]) -> None:
        """These are the pods of the Services now."""
        found = [
            {"targets": [f"127.0.0.1:{pod.port}" for pod in some], "labels": {"service": name.replace("_", "-")}}
            for name, some in ({service: pods} | others).items()
        ]
        part = self._targets.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.rename(self._targets)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@dataclass
class Cluster:
    """A release that serves, what judges the next one, and who asks."""

    objects: list[Object]
    gateway: Gateway
    deployment: Deployment
    prometheus: Prometheus
    folder: Path

    def analyse(self) -> subprocess.CompletedProcess[str]:
        """What `make canary-check` runs."""
        command = [sys.executable, ROOT / "k8s" / "canary_check.py", self.prometheus.url]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass
class Outcome:
    """How a canary ended: the analysis' exit code and lines, and how long it took from the first request on."""

    code: int
    said: str
    seconds: float
    report: Report
    answers: list[tuple[int, int]]
    """Status and pod of each request of the time."""
    pods: list[Pod]
    """The canary's."""

    def statuses(self, of_canary: bool) -> list[int]:
        ports = {pod.port for pod in self.pods}
        return [status for status, port in self.answers if (port in ports) == of_canary]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    needed("prometheus")
    folder, objects = tmp_path_factory.mktemp("cluster"), overlay("production")
    world = start_world(folder / "world")
    try:
        world.make_catalog("shop", "A shop")
        world.publish("shop", batch_of(BATCH, 1))
        prometheus, gateway = Prometheus(objects, folder / "prometheus"), Gateway(folder / "gateway")
        deployment = Deployment(objects, world, folder, gateway, **PATIENCE)
        try:
            deployment.start()
            yield Cluster(objects, gateway, deployment, prometheus, folder)
        finally:
            deployment.stop()
            gateway.stop()
            prometheus.stop()
    finally:
        world.cluster.stop()


def roll_out(cluster: Cluster, code: Path) -> Outcome:
    """Take the steps of the Rollout with another release, under load."""
    canary: Any = named(cluster.objects, "Rollout", "webapp")["spec"]["strategy"]["canary"]
    gateway, deployment, pods = cluster.gateway, cluster.deployment, list[Pod]()
    before, done, took = len(gateway.answers()), None, 0.0
    stable = list(deployment.pods)

    def scale(percent: int) -> None:
        new = [deployment.create(code) for _ in range(math.ceil(deployment.replicas * percent / 100) - len(pods))]
        pods.extend(new)
        deployment.ended.extend(new)  # so that they are ended, whatever happens
        for pod in new:
            deployment.publish(pod, "canary")
        cluster.prometheus.scraped("webapp", stable, webapp_canary=pods)
        gateway.weigh(percent)

    def leave(some: list[Pod], track: str) -> None:
        threads = [threading.Thread(target=pod.end, args=(gateway, track)) for pod in some]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with Load(gateway.port, {BATCH: 1}, 1, connections=CLIENTS, pause=PAUSE_SECONDS) as load:
        cluster.prometheus.scraped("webapp", stable)
        load.wait_for(300)
        for step in canary["steps"]:
            if "setWeight" in step:
                scale(step["setWeight"])
            elif "pause" in step:
                time.sleep(seconds(step["pause"]["duration"]))
            else:
                assert step["analysis"]["templates"] == [{"templateName": "webapp"}]
                began = time.monotonic()
                done = cluster.analyse()
                took = time.monotonic() - began
                if done.returncode:
                    gateway.weigh(0)
                    time.sleep(canary["abortScaleDownDelaySeconds"])
                    leave(pods, "canary")
                    break
        else:
            scale(100)
            leave(stable, "stable")
            deployment.pods = pods
        report = load.stop()
    assert done is not None
    return Outcome(done.returncode, done.stdout, took, report, gateway.answers()[before:], pods)


def test_the_template_that_is_asked_is_the_one_that_is_applied():
    assert (
        named(overlay("production"), "AnalysisTemplate", "webapp")["spec"]
        == yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))["spec"]
    )


@pytest.mark.parametrize(("fault", "metric"), [(FAILING, "errors"), (SLOW, "p99")], ids=["failing", "slow"])
def test_a_bad_canary_is_gone_within_two_minutes_and_the_stable_one_fails_nobody(
    cluster: Cluster, figure: Callable[[str], None], tmp_path: Path, fault: str, metric: str
):
    found = roll_out(cluster, release(tmp_path / "release", fault))
    figure(f"canary with {metric} gone after {found.seconds:.0f} s: {found.said.splitlines()[-1]}")
    assert found.code == 1, found.said
    assert f"remove the canary: {metric} is" in found.said
    assert found.seconds < 120
    canary, stable = found.statuses(True), found.statuses(False)
    assert set(stable) <= {200, 304}
    failed = [status for status in canary if status >= 500]
    assert found.report.failed == len(failed), found.report.examples
    assert found.report.torn == found.report.unavailable == 0
    if metric == "errors":
        assert 0.05 < len(failed) / len(canary) < 0.15
    else:
        assert failed == []


def test_a_good_canary_is_promoted_and_nobody_notices(cluster: Cluster, figure: Callable[[str], None]):
    found = roll_out(cluster, ROOT)
    lines = found.said.splitlines()
    figure(f"good canary after {found.seconds:.0f} s: {lines[-1]}; {found.report.requests} requests, "
           f"{found.report.failed} failed")  # fmt: skip
    assert (found.code, lines[-1]) == (0, "promote the canary"), found.said
    assert (found.report.failed, found.report.unavailable, found.report.torn) == (0, 0, 0), found.report.examples
    assert {status for status, _ in found.answers} <= {200, 304}
    assert len(cluster.deployment.pods) == cluster.deployment.replicas
    assert {pod.process.poll() for pod in cluster.deployment.pods} == {None}
