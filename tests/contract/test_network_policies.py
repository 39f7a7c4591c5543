"""NetworkPolicies allow what the processes open, at both ends, and nothing else."""

import copy
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubernetes import COMPONENTS, OVERLAYS, Object, component_on_base, named, overlay
from tests.network_flows import ELSEWHERE, NIGHTS, OF_COMPONENTS, SERVING, Sockets, faults
from tests.replicas import wait_for


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_policies_of_an_overlay_allow_what_is_opened_and_nothing_else(name: str):
    assert faults(overlay(name)) == []


def rule(objects: list[Object], name: str, direction: str, n: int = 0) -> Any:
    return named(objects, "NetworkPolicy", name)["spec"][direction][n]


FAULTS: dict[str, Callable[[list[Object]], Any]] = {
    "no egress: webapp to postgres by TCP": lambda o: rule(o, "webapp", "egress").update(to=[]),
    "no egress: worker to statsd-exporter by UDP": lambda o: named(o, "NetworkPolicy", "airflow")["spec"][
        "egress"
    ].pop(),
    "no egress: airflow-cleanup-pods to Kubernetes' API by TCP": lambda o: named(o, "NetworkPolicy", "kubernetes-api")[
        "spec"
    ]["podSelector"]["matchExpressions"][0]["values"].pop(),
    "no ingress: worker to api-server by TCP": lambda o: rule(o, "api-server", "ingress")["from"].pop(0),
    "no egress: webapp to kube-system by TCP": lambda o: [
        p["spec"]["egress"][0]["ports"].pop() for p in o if p["metadata"]["name"] == "dns"
    ],
    "recjobs/webapp: nothing opens webapp to Kubernetes' API by TCP or webapp to identity provider by TCP or "
    "webapp to object store by TCP": lambda o: rule(o, "webapp", "egress").update(
        to=[{"ipBlock": {"cidr": "0.0.0.0/0"}}], ports=[{"protocol": "TCP", "port": 443}]
    ),
    "recjobs/migration: nothing opens recjobs/client to migration by TCP": lambda o: named(
        o, "NetworkPolicy", "migration"
    )["spec"].update(ingress=[rule(o, "webapp", "ingress")]),
    "recjobs-nights/api-server: nothing opens scheduler to api-server by TCP": lambda o: rule(
        o, "api-server", "ingress"
    )["from"][0]["podSelector"]["matchLabels"].pop("component"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str):
    objects = copy.deepcopy(overlay("production"))
    FAULTS[fault](objects)
    assert fault in faults(objects)


def test_a_flow_that_is_opened_and_not_known_is_found():
    opened = {*SERVING, *NIGHTS, *ELSEWHERE, ("webapp", "object store", "TCP")}
    assert faults(overlay("production"), opened) == ["no egress: webapp to object store by TCP"]


def test_a_flow_that_is_allowed_and_not_opened_is_found():
    opened = {*SERVING, *NIGHTS, *ELSEWHERE} - {("worker", "api-server", "TCP")}
    found = "nothing opens worker to api-server by TCP"
    assert faults(overlay("production"), opened) == [
        f"recjobs-nights/{name}: {found}" for name in ("api-server", "worker")
    ]


def test_no_flow_is_both_read_from_sockets_and_excused():
    assert (SERVING | NIGHTS) & ELSEWHERE.keys() == set()


@pytest.mark.parametrize("name", [name for name in COMPONENTS if name != "cloudnative-pg"])
def test_a_component_alone_allows_nothing_else(name: str, tmp_path: Any):
    opened = {*SERVING, *NIGHTS, *ELSEWHERE, *OF_COMPONENTS.get(name, ())}
    assert faults(component_on_base(name, tmp_path), opened) == []


def test_a_datagram_is_seen_and_who_sent_it():
    with (
        Sockets(lambda _: "worker", {}) as sockets,
        sockets.receiver("statsd-exporter") as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        sender.sendto(b"a:1|c", ("127.0.0.1", port))
        wait_for(lambda: ("worker", "statsd-exporter", "UDP") in sockets.flows)


def test_a_connection_to_somebody_unknown_is_seen():
    with socket.create_server(("127.0.0.1", 0)) as server, Sockets(lambda _: "webapp", {}) as sockets:
        here = "127.0.0.1:{1}".format(*server.getsockname())
        with socket.create_connection(server.getsockname()):
            wait_for(lambda: ("webapp", here) in sockets.strangers)
