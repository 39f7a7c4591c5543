"""What running processes connect to, read from their sockets, and what the NetworkPolicies let pods connect to.

A flow is (who, to whom, protocol): `("webapp", "postgres", "TCP")`. Both are workloads of the manifests, components of
Airflow's chart, or others: what stands behind a block of addresses, or whoever is in a namespace with a label.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import psutil

from tests.kubernetes import Object, matches, of_kind, pod_template, workloads

Flow = tuple[str, str, str]

SERVING: set[Flow] = {("webapp", "postgres", "TCP"), ("migration", "postgres", "TCP")}
"""What web app and migration open: tests/integration/test_kubernetes_processes.py reads it from their sockets."""
NIGHTS: set[Flow] = {
    *((who, "postgres", "TCP") for who in ("mlflow", "worker", "run-airflow-migrations")),
    *((who, "postgres", "TCP") for who in ("scheduler", "dag-processor", "api-server")),
    *((who, "object store", "TCP") for who in ("worker", "mlflow")),
    ("worker", "api-server", "TCP"),
    ("worker", "statsd-exporter", "UDP"),
}
"""What steps, Airflow and MLflow are configured to open."""
ELSEWHERE: dict[Flow, str] = {
    **{
        (who, "kube-system", protocol): "names are resolved by a cluster only"
        for who in ("webapp", "worker")
        for protocol in ("UDP", "TCP")
    },
    ("scheduler", "Kubernetes' API", "TCP"): "KubernetesExecutor makes the steps' pods",
    ("alloy", "Kubernetes' API", "TCP"): "it reads the pods' lines there",
    ("alloy", "recjobs/monitoring", "TCP"): "Loki",
    ("recjobs/client", "webapp", "TCP"): "programs of others",
    ("recjobs/ingress", "webapp", "TCP"): "the Gateway",
    ("recjobs/monitoring", "webapp", "TCP"): "Prometheus",
    ("recjobs/ingress", "api-server", "TCP"): "an Ingress of Airflow's",
    ("recjobs/monitoring", "statsd-exporter", "TCP"): "Prometheus; the exporter is no package of Debian",
}
"""Flows of which this machine lacks one end, with the reason."""

OF_COMPONENTS: dict[str, set[Flow]] = {"identity-provider": {("webapp", "identity provider", "TCP")}}
"""What is opened only where a component is added."""

AIRFLOW = ("scheduler", "dag-processor", "api-server", "triggerer", "worker", "run-airflow-migrations")
"""The label `component` of the pods that the chart, or its executor, makes."""
BLOCKS = {
    ("private", 5432): ("postgres",),
    ("private", 8000): ("recjobs/ingress",),  # a load balancer outside the cluster
    ("any", 443): ("object store", "Kubernetes' API", "identity provider"),
    ("any", 6443): ("Kubernetes' API",),
}
"""What stands at a port of a block of addresses: within private networks, or anywhere."""
PROTOCOLS = {socket.SOCK_STREAM: "TCP", socket.SOCK_DGRAM: "UDP"}


@dataclass(frozen=True)
class Rule:
    """One peer and port of a policy: its flows, of which the processes should open one at least."""

    policy: str
    direction: str
    port: int
    flows: frozenset[Flow]


def pods_of(objects: list[Object]) -> dict[str, tuple[str, dict[str, str]]]:
    """Namespace and labels of the pods of each workload, and of Airflow's components."""
    found = {
        thing["metadata"]["name"]: (thing["metadata"]["namespace"], pod_template(thing)["metadata"]["labels"])
        for thing in workloads(objects)
    }
    return found | {name: ("recjobs-nights", {"tier": "airflow", "component": name}) for name in AIRFLOW}


def rules(objects: list[Object]) -> Iterator[Rule]:
    """What the policies allow."""
    pods = pods_of(objects)
    for policy in of_kind(objects, "NetworkPolicy"):
        namespace, spec = policy["metadata"]["namespace"], policy["spec"]
        own = [name for name, (at, labels) in pods.items() if at == namespace and matches(spec["podSelector"], labels)]
        for direction, key in (("egress", "to"), ("ingress", "from")):
            for rule in spec.get(direction, []):
                for peer in rule[key]:
                    for port in rule["ports"]:
                        pairs = [(a, b) for a in own for b in _names(peer, port["port"], namespace, pods)]
                        flows = {(*(pair if key == "to" else pair[::-1]), port["protocol"]) for pair in pairs}
                        name = f"{namespace}/{policy['metadata']['name']}"
                        yield Rule(name, direction, port["port"], frozenset(flows))


def _names(peer: Object, port: int, namespace: str, pods: Mapping[str, tuple[str, Any]]) -> tuple[str, ...]:
    if "ipBlock" in peer:
        return BLOCKS["any" if peer["ipBlock"]["cidr"] == "0.0.0.0/0" else "private", port]
    wanted = peer.get("namespaceSelector", {}).get("matchLabels", {})
    name = wanted.get("kubernetes.io/metadata.name", "")
    if wanted and not name.startswith("recjobs"):
        return (name or next(iter(wanted)),)
    selector, where = peer.get("podSelector", {}), name or namespace
    return tuple(pod for pod, (at, labels) in pods.items() if at == where and matches(selector, labels))


def faults(objects: list[Object], opened: set[Flow] | None = None) -> list[str]:
    """Rules whose flows nobody opens, flows that are not allowed, and flows that only one end allows.

    opened: what the processes open; by default what this module says of them.
    """
    opened = {*SERVING, *NIGHTS, *ELSEWHERE} if opened is None else opened
    pods, found, every = set(pods_of(objects)), list[str](), list(rules(objects))
    opened = {flow for flow in opened if flow[0] in pods or flow[1] in pods}
    for rule in every:
        if not rule.flows & opened:
            found.append(f"{rule.policy}: nothing opens {rule.direction} at port {rule.port}")
    for direction, k in (("egress", 0), ("ingress", 1)):
        allowed = {flow for rule in every if rule.direction == direction for flow in rule.flows}
        missing = {flow for flow in opened if flow[k] in pods} - allowed
        found += [f"no {direction}: {who} to {whom} by {protocol}" for who, whom, protocol in sorted(missing)]
    return found


class Sockets:
    """Looks at this machine's sockets all the time, inside its `with` block."""

    def __init__(self, role: Callable[[psutil.Process], str | None], ends: Mapping[int, str]) -> None:
        """role: who a process is; None: nobody of interest. ends: who listens at a port of this machine."""
        self._role, self._ends = role, ends
        self.flows: set[Flow] = set()
        self.strangers: set[tuple[str, str]] = set()
        """Who has connected to an address that nobody of `ends` has."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        known: set[tuple[Any, ...]] = set()
        while not self._over.wait(0.1):
            now = {(each.pid, each.type, each.laddr, each.raddr) for each in psutil.net_connections("inet")}
            for pid, kind, here, there in now - known:
                if pid is not None and here:
                    with contextlib.suppress(psutil.Error):
                        self._note(psutil.Process(pid), PROTOCOLS[kind], here, there)
            known = now

    def _note(self, process: psutil.Process, protocol: str, here: Any, there: Any) -> None:
        # What was accepted is at the port that is listened on: the other end has connected.
        if not there or here.port in self._ends:
            return
        role = self._role(process)
        if role is None:
            return
        if there.port in self._ends:
            self.flows.add((role, self._ends[there.port], protocol))
        else:
            self.strangers.add((role, f"{there.ip}:{there.port}"))
