"""What running processes connect to, read from their sockets, and what the NetworkPolicies let pods connect to.

A flow is (who, to whom, protocol): `("webapp", "postgres", "TCP")`. Both are workloads of the manifests, components of
Airflow's chart, or others: what stands behind a block of addresses, or whoever is in a namespace with a label.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import psutil
import yaml

from tests.kubernetes import K8S, Object, matches, of_kind, pod_template, workloads

Flow = tuple[str, str, str]

SERVING: set[Flow] = {("webapp", "postgres", "TCP"), ("migration", "postgres", "TCP")}
"""What web app and migration open: tests/integration/test_kubernetes_processes.py reads it from their sockets."""
NIGHTS: set[Flow] = {
    *((who, "postgres", "TCP") for who in ("mlflow", "worker", "run-airflow-migrations")),
    *((who, "postgres", "TCP") for who in ("scheduler", "dag-processor", "api-server")),
    *((who, "object store", "TCP") for who in ("worker", "mlflow")),
    ("worker", "api-server", "TCP"),
    *((who, "statsd-exporter", "UDP") for who in ("scheduler", "dag-processor", "worker")),
    ("recjobs/ingress", "webapp", "TCP"),
    ("recjobs/monitoring", "webapp", "TCP"),
}
"""What steps, Airflow, MLflow, a proxy and Prometheus open: tests/integration/test_compose_runs.py reads that."""
COMPOSE: dict[Flow, str] = {
    ("webapp", "statsd-exporter", "UDP"): "on a cluster Prometheus asks the web app, and it sends nothing"
}
"""What they open there and not on a cluster."""
_RESOLVER = "names: compose's are looked up in a file of this machine"
_CLIENTS = ("webapp", "migration", "worker", "mlflow", "scheduler", "dag-processor", "api-server", "alloy")
_COMMANDS = ("run-airflow-migrations", "database-cleanup", "airflow-cleanup-pods")
ELSEWHERE: dict[Flow, str] = {
    **{(who, "kube-system", protocol): _RESOLVER for who in (*_CLIENTS, *_COMMANDS) for protocol in ("UDP", "TCP")},
    **{
        ("statsd-exporter", "kube-system", protocol): "it asks for no name; the policy `dns` is of every pod there"
        for protocol in ("UDP", "TCP")
    },
    ("scheduler", "Kubernetes' API", "TCP"): "KubernetesExecutor makes the steps' pods",
    ("api-server", "Kubernetes' API", "TCP"): "the log of a step that runs is its pod's",
    ("airflow-cleanup-pods", "Kubernetes' API", "TCP"): "it removes the pods of failed steps",
    ("database-cleanup", "postgres", "TCP"): "a command whose connections are too short to be seen each time",
    ("airflow-cleanup-pods", "postgres", "TCP"): "Airflow notes there which command ran",
    ("api-server", "object store", "TCP"): "the log of a step that has ended; compose keeps logs on a volume",
    **{
        (who, "statsd-exporter", "UDP"): "Airflow's metrics; within a few minutes it may have none to send"
        for who in ("api-server", *_COMMANDS)
    },
    ("alloy", "Kubernetes' API", "TCP"): "it reads the pods' lines there",
    ("alloy", "recjobs/monitoring", "TCP"): "Loki",
    ("recjobs/client", "webapp", "TCP"): "programs of others",
    ("recjobs/ingress", "api-server", "TCP"): "an Ingress of Airflow's",
    ("recjobs/monitoring", "statsd-exporter", "TCP"): "Prometheus; the exporter is no package of Debian",
}
"""What this machine lacks one end of, or need not happen within a test, with the reason."""

OF_COMPONENTS: dict[str, set[Flow]] = {
    "identity-provider": {("webapp", "identity provider", "TCP")},
    "canary": {
        ("webapp-canary", "postgres", "TCP"),
        *((who, "webapp-canary", "TCP") for who in ("recjobs/ingress", "recjobs/client", "recjobs/monitoring")),
        *(("webapp-canary", "kube-system", protocol) for protocol in ("UDP", "TCP")),
    },
    "load-balancer": {("load balancer", "webapp", "TCP")},
    "spark": {
        *((who, "spark-master", "TCP") for who in ("worker", "spark-worker")),
        *(("spark-master", whom, "TCP") for whom in ("worker", "spark-worker")),
        *((who, "spark-worker", "TCP") for who in ("worker", "spark-worker")),
        ("spark-worker", "worker", "TCP"),
        ("spark-worker", "object store", "TCP"),
        *((who, "kube-system", protocol) for who in ("spark-master", "spark-worker") for protocol in ("UDP", "TCP")),
    },
}
"""What is opened only where a component is added."""

BLOCKS = {
    ("private", 5432): ("postgres",),
    ("private", 8000): ("load balancer",),
    ("any", 443): ("object store", "Kubernetes' API", "identity provider"),
    ("any", 6443): ("Kubernetes' API",),
}
"""What stands at a port of a block of addresses: within private networks, or anywhere."""
PROTOCOLS = {socket.SOCK_STREAM: "TCP", socket.SOCK_DGRAM: "UDP"}


@dataclass(frozen=True)
class Rule:
    """What a policy lets one pod do with one peer at a port: a flow. Of a block of addresses with several who stand in
    it: one of these flows at least."""

    policy: str
    direction: str
    port: int
    flows: frozenset[Flow]


def airflow_components() -> list[str]:
    """The label `component` of the pods that the chart, or its executor, makes by our values."""
    values = yaml.safe_load((K8S / "airflow" / "values.yaml").read_text(encoding="utf-8"))
    optional = {"triggerer": "triggerer", "airflow-cleanup-pods": "cleanup", "database-cleanup": "databaseCleanup"}
    also = [name for name, key in optional.items() if values[key].get("enabled", True)]
    return ["scheduler", "dag-processor", "api-server", "worker", "run-airflow-migrations", *also]


def pods_of(objects: list[Object]) -> dict[str, tuple[str, dict[str, str]]]:
    """Namespace and labels of the pods of each workload, and of Airflow's components."""
    found = {
        thing["metadata"]["name"]: (thing["metadata"]["namespace"], pod_template(thing)["metadata"]["labels"])
        for thing in workloads(objects)
    }
    return found | {name: ("recjobs-nights", {"tier": "airflow", "component": name}) for name in airflow_components()}


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
                        for a in own:
                            for names in _names(peer, port["port"], namespace, pods):
                                pairs = [(a, b) if key == "to" else (b, a) for b in names]
                                flows = frozenset((*pair, port["protocol"]) for pair in pairs)
                                yield Rule(f"{namespace}/{policy['metadata']['name']}", direction, port["port"], flows)


def _names(peer: Object, port: int, namespace: str, pods: Mapping[str, tuple[str, Any]]) -> list[tuple[str, ...]]:
    """Each whom a peer stands for, by the names that it may have."""
    if "ipBlock" in peer:
        return [BLOCKS["any" if peer["ipBlock"]["cidr"] == "0.0.0.0/0" else "private", port]]
    wanted = peer.get("namespaceSelector", {}).get("matchLabels", {})
    name = wanted.get("kubernetes.io/metadata.name", "")
    if wanted and not name.startswith("recjobs"):
        return [(name or next(iter(wanted)),)]
    selector, where = peer.get("podSelector", {}), name or namespace
    return [(pod,) for pod, (at, labels) in pods.items() if at == where and matches(selector, labels)]


def faults(objects: list[Object], opened: set[Flow] | None = None) -> list[str]:
    """Flows that are allowed and nobody opens, that are opened and not allowed, and that only one end allows.

    opened: what the processes open; by default what this module says of them.
    """
    opened = {*SERVING, *NIGHTS, *ELSEWHERE} if opened is None else opened
    pods, found, every = set(pods_of(objects)), list[str](), list(rules(objects))
    opened = {flow for flow in opened if flow[0] in pods or flow[1] in pods}
    for rule in every:
        if not rule.flows & opened:
            flows = " or ".join(f"{who} to {whom} by {protocol}" for who, whom, protocol in sorted(rule.flows))
            found.append(f"{rule.policy}: nothing opens {flows}")
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
        self._udp: dict[int, int | None] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @contextlib.contextmanager
    def receiver(self, end: str) -> Iterator[int]:
        """A port that takes datagrams for `end` until the block ends: who sends them has a flow by UDP."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.bind(("127.0.0.1", 0))
            here.settimeout(0.2)
            over = threading.Event()

            def receive() -> None:
                while not over.is_set():
                    with contextlib.suppress(TimeoutError, psutil.Error):
                        sender = here.recvfrom(65536)[1][1]
                        pid = self._udp.get(sender) or self._udp_ports().get(sender)
                        role = self._role(psutil.Process(pid)) if pid else None
                        if role:
                            self.flows.add((role, end, "UDP"))

            thread = threading.Thread(target=receive, daemon=True)
            thread.start()
            try:
                yield here.getsockname()[1]
            finally:
                over.set()
                thread.join()

    @staticmethod
    def _udp_ports() -> dict[int, int | None]:
        """The process at each port by UDP: a datagram's sender has no other end that the kernel could name."""
        return {each.laddr.port: each.pid for each in psutil.net_connections("udp") if each.laddr}

    def _look(self) -> None:
        known: set[tuple[Any, ...]] = set()
        took = 0.0
        while not self._over.wait(max(0.1, 3 * took)):  # a quarter of a processor at most
            began = time.monotonic()
            now = {(each.pid, each.type, each.laddr, each.raddr) for each in psutil.net_connections("inet")}
            took = time.monotonic() - began
            self._udp = {here.port: pid for pid, kind, here, _ in now if here and kind == socket.SOCK_DGRAM}
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
