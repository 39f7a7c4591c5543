"""What a cluster does with a Deployment, done with processes by the numbers of the rendered manifest.

The kubelet's part: a pod is the container's command with its environment and secret; it is asked by its startup and
readiness probes at their periods, and stopped by preStop, SIGTERM and, after its grace, SIGKILL. The controller's part:
maxSurge, maxUnavailable and minReadySeconds. Gateways learn of a pod that comes or goes `PROPAGATION_SECONDS` later.

Waits are divided by one factor (`FACTOR`): delays, periods, preStop, minReadySeconds, propagation. Limits of what a
process may take are not: timeouts of probes, the minute to start in, the grace.
"""

import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from tests.commands import ROOT
from tests.gateway import Gateway
from tests.kubernetes import Object, named
from tests.pods import argv_of, container_of, environment_of_container, mount, tcp
from tests.replicas import unmeasured
from tests.webapp_world import World, free_port

FACTOR = 1 if os.environ.get("RECJOBS_SOAK") else 10
"""How much faster than on a cluster time goes: not at all in `make soak`."""
PATIENCE = {"WEBAPP_STATEMENT_TIMEOUT_MS": "4000", "WEBAPP_REQUEST_TIMEOUT_MS": "4500"}
"""Deadlines of a web app on a machine that may be busy: what is counted here is lost by a rollout, not by Postgres."""
PROPAGATION_SECONDS = 5
"""The slowest that the manifest reckons with, where it says why preStop sleeps for so long."""


def sleep(seconds: float) -> None:
    """Wait as a cluster would."""
    time.sleep(seconds / FACTOR)


class Pod:
    """One replica."""

    def __init__(self, objects: list[Object], world: World, folder: Path, code: Path, **settings: str) -> None:
        """code: the checkout of its image; settings: what the test sets besides."""
        self.spec, self.container = container_of(objects, "Deployment", "webapp")
        folder.mkdir()
        self.port, self.log, self.exit_code = free_port(), folder / "log", None
        secret = f"RECJOBS_WEB_URL={tcp(world, 'recjobs_web')}\n"
        own = mount(self.container, environment_of_container(objects, self.container), secret, folder)
        # On a cluster each pod has an address of its own.
        own |= {"WEBAPP_HOST": "127.0.0.1", "WEBAPP_PORT": str(self.port)}
        own |= {"WEBAPP_HOSTS": f"load {own['WEBAPP_HOSTS']}", "PYTHONPATH": str(code), **settings}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv_of(self.container), cwd=code, env=unmeasured(own), stdout=log, stderr=log
            )
        self.ready_at: float | None = None
        self.trouble: AssertionError | None = None

    def come_up(self) -> None:
        """Ask its probes until it is ready."""
        for name in ("startupProbe", "readinessProbe"):
            probe = self.container.get(name)
            if probe is None:
                continue
            sleep(probe.get("initialDelaySeconds", 0))
            period = probe.get("periodSeconds", 10)
            give_up = time.monotonic() + period * probe.get("failureThreshold", 3)
            while not self._answers(probe):
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < give_up, f"{name} failed: {self.log.read_text()[-3000:]}"
                sleep(period)
        self.ready_at = time.monotonic()

    def _answers(self, probe: Any) -> bool:
        url = f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}"
        try:
            with urllib.request.urlopen(url, timeout=probe.get("timeoutSeconds", 1)) as answer:
                return 200 <= answer.status < 400
        except (urllib.error.HTTPError, OSError):
            return False

    def end(self, gateway: Gateway, track: str = "stable") -> None:
        """Delete it: its endpoint goes, gateways learn of that later, and meanwhile it is stopped."""
        pause = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        happenings = [(PROPAGATION_SECONDS, lambda: gateway.remove(self.port, track)), (pause, self.process.terminate)]
        began, now = time.monotonic(), 0
        for at, happen in sorted(happenings, key=lambda happening: happening[0]):
            sleep(at - now)  # in the order of the cluster, however slow this machine is
            happen()
            now = at
        grace = self.spec["terminationGracePeriodSeconds"] - pause / FACTOR
        try:
            self.exit_code = self.process.wait(max(0.1, began + grace - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            self.exit_code = self.process.wait()

    def kill(self) -> None:
        """End it and its children, whatever they do."""
        if self.process.poll() is None:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                process.kill()
            self.process.kill()
            self.process.wait()


class Deployment:
    """The web app's, with as many replicas as its autoscaler has at least, behind a gateway."""

    def __init__(self, objects: list[Object], world: World, folder: Path, gateway: Gateway, **settings: str) -> None:
        self.gateway, self._world, self._folder, self._settings = gateway, world, folder, settings
        self.objects = objects
        self.replicas: int = named(objects, "HorizontalPodAutoscaler", "webapp")["spec"]["minReplicas"]
        self.pods: list[Pod] = []
        self.ended: list[Pod] = []
        self._n = 0

    def create(self, code: Path = ROOT, objects: list[Object] | None = None) -> Pod:
        """A new pod, which comes up by itself and gets no requests yet."""
        self._n += 1
        pod = Pod(objects or self.objects, self._world, self._folder / f"pod{self._n}", code, **self._settings)

        def come_up() -> None:
            try:
                pod.come_up()
            except AssertionError as trouble:
                pod.trouble = trouble

        threading.Thread(target=come_up, daemon=True).start()
        return pod

    def publish(self, pod: Pod, track: str = "stable") -> None:
        """Wait until it is ready, then let gateways know."""
        while pod.ready_at is None:
            if pod.trouble:
                raise pod.trouble
            time.sleep(0.01)
        sleep(PROPAGATION_SECONDS)
        self.gateway.add(pod.port, track)

    def start(self, code: Path = ROOT) -> None:
        """All replicas at once."""
        self.pods = [self.create(code) for _ in range(self.replicas)]
        for thread in [self._later(self.publish, pod) for pod in self.pods]:
            thread.join()

    def roll_out(self, code: Path = ROOT, objects: list[Object] | None = None) -> int:
        """Replace all pods by those of another release; returns how many there were at once at most.

        objects: its manifests, if they are others.
        """
        if objects is not None:
            self.objects = objects
        spec = named(self.objects, "Deployment", "webapp")["spec"]
        update, patience = spec["strategy"]["rollingUpdate"], spec.get("minReadySeconds", 0) / FACTOR
        old, new, busy, most = self.pods, list[Pod](), list[threading.Thread](), len(self.pods)

        def is_available(pod: Pod) -> bool:
            if pod.trouble:
                raise pod.trouble
            return pod.ready_at is not None and time.monotonic() - pod.ready_at >= patience

        while old or not all(map(is_available, new)) or len(new) < self.replicas:
            room = self.replicas + update["maxSurge"] - len(old) - len(new)
            for _ in range(min(room, self.replicas - len(new))):
                new.append(self.create(code))
                busy.append(self._later(self.publish, new[-1]))
            most = max(most, len(old) + len(new))
            available = len(old) + sum(map(is_available, new))
            for _ in range(min(len(old), available - (self.replicas - update["maxUnavailable"]))):
                self.ended.append(old.pop(0))
                busy.append(self._later(self.ended[-1].end, self.gateway))
            time.sleep(0.01)
        self.pods = new
        for thread in busy:
            thread.join()
        return most

    def stop(self) -> None:
        """End all that is left."""
        for pod in [*self.pods, *self.ended]:
            pod.kill()

    @staticmethod
    def _later(function: Any, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        return thread
