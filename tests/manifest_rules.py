"""What has to hold in rendered manifests beyond their schemas.

Each rule returns its faults as lines that name the object.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.kubernetes import Object, matches, name_of, named, of_kind, pod_template, workloads

Rule = Callable[[list[Object]], list[str]]

KEPT_OUTSIDE = {"webapp-tls"}
"""Secrets that cert-manager makes."""


def containers(thing: Object) -> list[Object]:
    """The containers of a workload, init containers included."""
    spec = pod_template(thing)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def _same_namespace(one: Object, other: Object) -> bool:
    return bool(one["metadata"].get("namespace") == other["metadata"].get("namespace"))


def selectors_match(objects: list[Object]) -> list[str]:
    """A workload selects its own pods; a Service, a budget, a monitor and a spread select some that exist."""
    faults = []
    makers = workloads(objects)
    for thing in makers:
        labels = pod_template(thing)["metadata"]["labels"]
        if "selector" in thing["spec"] and not matches(thing["spec"]["selector"], labels):
            faults.append(f"{name_of(thing)} does not select its own pods")
        spec = pod_template(thing)["spec"]
        terms = [c["labelSelector"] for c in spec.get("topologySpreadConstraints", [])]
        affinity = spec.get("affinity", {}).get("podAntiAffinity", {})
        preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
        terms += [term["podAffinityTerm"]["labelSelector"] for term in preferred]
        faults += [f"{name_of(thing)} spreads over {term}" for term in terms if not matches(term, labels)]
    for thing in of_kind(objects, "Service", "PodDisruptionBudget"):
        selector = thing["spec"]["selector"]
        selector = {"matchLabels": selector} if thing["kind"] == "Service" else selector
        pods = [m for m in makers if _same_namespace(m, thing)]
        if not any(matches(selector, pod_template(m)["metadata"]["labels"]) for m in pods):
            faults.append(f"{name_of(thing)} selects no pod")
    for thing in of_kind(objects, "ServiceMonitor"):
        services = [s for s in of_kind(objects, "Service") if _same_namespace(s, thing)]
        found = [s for s in services if matches(thing["spec"]["selector"], s["metadata"]["labels"])]
        if not found:
            faults.append(f"{name_of(thing)} selects no Service")
        for endpoint in thing["spec"]["endpoints"]:
            faults += [
                f"{name_of(thing)} scrapes port {endpoint['port']}, which {name_of(service)} has not"
                for service in found
                if endpoint["port"] not in {port["name"] for port in service["spec"]["ports"]}
            ]
    return faults


def ports_exist(objects: list[Object]) -> list[str]:
    """Probes and Services name ports that the containers open; routes and Ingresses those of Services."""
    faults = []
    for thing in workloads(objects):
        for container in containers(thing):
            names = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port and port not in names:
                    faults.append(f"{name_of(thing)}: {probe} asks port {port}")
    services = of_kind(objects, "Service")
    for service in services:
        pods = [
            m
            for m in workloads(objects)
            if _same_namespace(m, service)
            and matches({"matchLabels": service["spec"]["selector"]}, pod_template(m)["metadata"]["labels"])
        ]
        open_ports = {port["name"] for m in pods for c in containers(m) for port in c.get("ports", [])}
        faults += [
            f"{name_of(service)}: port {port['targetPort']} is no container's"
            for port in service["spec"]["ports"]
            if pods and port["targetPort"] not in open_ports
        ]
    by_name = {(s["metadata"]["namespace"], s["metadata"]["name"]): s for s in services}
    for thing in of_kind(objects, "Ingress", "HTTPRoute"):
        for name, port in _backends(thing):
            service = by_name.get((thing["metadata"]["namespace"], name))
            known = {p for each in service["spec"]["ports"] for p in (each["port"], each["name"])} if service else set()
            if port not in known:
                faults.append(f"{name_of(thing)} leads to {name}:{port}")
    return faults


def _backends(thing: Object) -> Iterator[tuple[str, Any]]:
    for rule in thing["spec"]["rules"]:
        for path in rule.get("http", {}).get("paths", []):
            port = path["backend"]["service"]["port"]
            yield path["backend"]["service"]["name"], port.get("name", port.get("number"))
        for backend in rule.get("backendRefs", []):
            yield backend["name"], backend["port"]


def config_exists(objects: list[Object]) -> list[str]:
    """ConfigMaps, accounts and priority classes that a pod names are among the objects."""
    have = {(t["kind"], t["metadata"].get("namespace"), t["metadata"]["name"]) for t in objects}
    maps = of_kind(objects, "ConfigMap")
    keys = {(t["metadata"].get("namespace"), t["metadata"]["name"]): set(t.get("data", {})) for t in maps}
    faults = []
    for thing in workloads(objects):
        namespace, spec = thing["metadata"]["namespace"], pod_template(thing)["spec"]
        wanted = [("ServiceAccount", namespace, spec.get("serviceAccountName"))]
        if "priorityClassName" in spec:
            wanted.append(("PriorityClass", None, spec["priorityClassName"]))
        wanted += [
            ("ConfigMap", namespace, v["configMap"]["name"]) for v in spec.get("volumes", []) if "configMap" in v
        ]
        for container in containers(thing):
            sources = [s["configMapRef"] for s in container.get("envFrom", []) if "configMapRef" in s]
            wanted += [("ConfigMap", namespace, source["name"]) for source in sources]
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("configMapKeyRef"):
                    wanted.append(("ConfigMap", namespace, reference["name"]))
                    data = keys.get((namespace, reference["name"]), {reference["key"]})
                    if reference["key"] not in data:
                        faults.append(f"{name_of(thing)} reads {reference['key']}, which {reference['name']} has not")
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            if unknown := mounts - {volume["name"] for volume in spec.get("volumes", [])}:
                faults.append(f"{name_of(thing)} mounts {sorted(unknown)}, which it has not")
        faults += [f"{name_of(thing)} needs {kind} {name}" for kind, n, name in wanted if (kind, n, name) not in have]
    return faults


def secrets_of(objects: list[Object]) -> set[tuple[str, str, str | None]]:
    """Namespace, name and, where it is said, key of each Secret that a pod, a Gateway or an Ingress names."""
    found: set[tuple[str, str, str | None]] = set()
    for thing in workloads(objects):
        namespace, spec = thing["metadata"]["namespace"], pod_template(thing)["spec"]
        found |= {(namespace, v["secret"]["secretName"], None) for v in spec.get("volumes", []) if "secret" in v}
        for container in containers(thing):
            for variable in container.get("env", []):
                if source := variable.get("valueFrom", {}).get("secretKeyRef"):
                    found.add((namespace, source["name"], source["key"]))
    for thing in of_kind(objects, "Ingress"):
        found |= {(thing["metadata"]["namespace"], tls["secretName"], None) for tls in thing["spec"].get("tls", [])}
    for thing in of_kind(objects, "Gateway"):
        for listener in thing["spec"]["listeners"]:
            references = listener.get("tls", {}).get("certificateRefs", [])
            found |= {(thing["metadata"]["namespace"], each["name"], None) for each in references}
    return found


def resources_are_said(objects: list[Object]) -> list[str]:
    """Every container requests CPU and memory, may not have more memory than it requested, and has limits of both."""
    faults = []
    for thing in workloads(objects):
        for container in containers(thing):
            resources = container.get("resources", {})
            wanted = {(part, what) for part in ("requests", "limits") for what in ("cpu", "memory")}
            has = {(part, what) for part in resources for what in resources[part]}
            if wanted - has:
                faults.append(f"{name_of(thing)}: {container['name']} has no {sorted(wanted - has)}")
            elif resources["requests"]["memory"] != resources["limits"]["memory"]:
                faults.append(f"{name_of(thing)}: {container['name']} may have memory that it did not request")
    return faults


def images_are_fixed(objects: list[Object]) -> list[str]:
    """An image has a registry and a version or a digest, and none is `latest`."""
    pattern = r"[a-z0-9.-]+\.[a-z]+/[a-z0-9/_.-]+(:v?\d[A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})"
    images = [(thing, c["image"]) for thing in workloads(objects) for c in containers(thing)]
    images += [(thing, thing["spec"]["imageName"]) for thing in of_kind(objects, "Cluster")]
    return [f"{name_of(thing)}: image {image}" for thing, image in images if not re.fullmatch(pattern, image)]


def pods_are_restricted(objects: list[Object]) -> list[str]:
    """What the Pod Security Standard `restricted` asks for, a read-only root, and no token of Kubernetes."""
    faults = []
    for thing in workloads(objects):
        spec, wrong = pod_template(thing)["spec"], []
        context = spec.get("securityContext", {})
        if not context.get("runAsNonRoot") or not context.get("runAsUser"):
            wrong.append("may run as root")
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            wrong.append("no seccomp profile")
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            wrong.append("shares the node's namespaces")
        if any("hostPath" in volume for volume in spec.get("volumes", [])):
            wrong.append("mounts a folder of the node")
        if spec.get("automountServiceAccountToken") is not False and thing["metadata"]["name"] != "alloy":
            wrong.append("has a token")
        for container in containers(thing):
            own = container.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
                wrong.append("may gain privileges")
            if own.get("readOnlyRootFilesystem") is not True:
                wrong.append("may write to its root")
        faults += [f"{name_of(thing)}: {each}" for each in wrong]
    for thing in of_kind(objects, "Namespace"):
        labels = thing["metadata"].get("labels", {})
        levels = {labels.get(f"pod-security.kubernetes.io/{mode}") for mode in ("enforce", "audit", "warn")}
        if levels != {"restricted"}:
            faults.append(f"{name_of(thing)} is not restricted")
    return faults


def probes_are_there(objects: list[Object]) -> list[str]:
    """What runs for good says whether it is ready and whether it is alive."""
    return [
        f"{name_of(thing)}: {container['name']} has no {probe}"
        for thing in of_kind(objects, "Deployment")
        for container in containers(thing)
        for probe in ("readinessProbe", "livenessProbe")
        if probe not in container
    ]


def updates_lose_nothing(objects: list[Object]) -> list[str]:
    """The web app's update, budget, autoscaler and shutdown leave enough replicas, and time, for every request."""
    faults = []
    for thing in of_kind(objects, "Deployment"):
        if thing["metadata"]["name"].split("-")[0] != "webapp":
            continue
        if thing["spec"]["strategy"]["rollingUpdate"] != {"maxUnavailable": 0, "maxSurge": 1}:
            faults.append(f"{name_of(thing)}: an update takes a replica before there is another")
        spec = pod_template(thing)["spec"]
        [container] = spec["containers"]
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if pause < 5 or spec["terminationGracePeriodSeconds"] < pause + 20:
            faults.append(f"{name_of(thing)}: {pause} s of preStop, then {spec['terminationGracePeriodSeconds']} s")
    for budget in of_kind(objects, "PodDisruptionBudget"):
        if "minAvailable" in budget["spec"] or budget["spec"]["maxUnavailable"] in (0, "0%"):
            faults.append(f"{name_of(budget)} never lets a drain pass")
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target, bounds = scaler["spec"]["scaleTargetRef"], scaler["spec"]
        found = [t for t in of_kind(objects, target["kind"]) if t["metadata"]["name"] == target["name"]]
        if not found or found[0]["apiVersion"] != target["apiVersion"]:
            faults.append(f"{name_of(scaler)} scales a {target['kind']} {target['name']} that does not exist")
        elif found[0]["spec"].get("replicas"):
            faults.append(f"{name_of(scaler)}: each apply would reset the replicas to {found[0]['spec']['replicas']}")
        if not bounds["minReplicas"] <= bounds["maxReplicas"] <= 20:
            faults.append(f"{name_of(scaler)}: {bounds['minReplicas']} to {bounds['maxReplicas']}")
    return faults


def connections_suffice(objects: list[Object], max_connections: int = 400, reserved: int = 10) -> list[str]:
    """All replicas and one more during an update fit into the 60% that `recjobs migrate` gives the web apps' role, and
    they with Airflow, MLflow and the nights into what the server has."""
    if clusters := of_kind(objects, "Cluster"):
        parameters = clusters[0]["spec"]["postgresql"]["parameters"]
        max_connections, reserved = int(parameters["max_connections"]), int(parameters["reserved_connections"])
    settings = next(t for t in of_kind(objects, "ConfigMap") if t["metadata"]["name"].startswith("webapp"))["data"]
    each = int(settings["WEBAPP_DATABASE_CONNECTIONS"])
    scaler = named(objects, "HorizontalPodAutoscaler", "webapp")["spec"]
    web = (scaler["maxReplicas"] + 1) * each
    others = AIRFLOW_CONNECTIONS + MLFLOW_CONNECTIONS + NIGHT_CONNECTIONS
    faults = []
    role = (max_connections - 3 - reserved) * 60 // 100  # sql/migrations/database/0005-web.sql; 3 are superusers'
    if web > role:
        faults.append(f"{web} connections of web apps, of {role} that their role may have")
    if web + others + reserved > max_connections:
        faults.append(f"{web} of web apps, {others} of others and {reserved} reserved are over {max_connections}")
    if each < 5:
        faults.append("a web app needs one connection a thread, and one that lists the catalogs")
    return faults


AIRFLOW_CONNECTIONS = (2 + 1 + 2 * 2) * 15
"""Two schedulers, a DAG processor, two API servers of two processes: SQLAlchemy's pool of 5 and its overflow of 10
each. Steps have none: they speak to the API server."""
MLFLOW_CONNECTIONS = 15
"""One worker's pool."""
NIGHT_CONNECTIONS = 10 * 4
"""Ten steps at once: loader, publisher, the night's record and MLflow."""


def quotas_suffice(objects: list[Object]) -> list[str]:
    """All replicas, one more during an update, and whatever else a namespace has fit into its quota."""
    faults = []
    scaler = named(objects, "HorizontalPodAutoscaler", "webapp")["spec"]
    for quota in of_kind(objects, "ResourceQuota"):
        cpu = memory = pods = 0.0
        for thing in workloads(objects):
            if not _same_namespace(thing, quota):
                continue
            scaled = scaler["scaleTargetRef"]["name"] == thing["metadata"]["name"]
            replicas = scaler["maxReplicas"] + 1 if scaled else thing["spec"].get("replicas", 1)
            requests = [c["resources"]["requests"] for c in containers(thing)]
            cpu += replicas * sum(quantity(r["cpu"]) for r in requests)
            memory += replicas * sum(quantity(r["memory"]) for r in requests)
            pods += replicas
        hard = quota["spec"]["hard"]
        for what, needed in {"requests.cpu": cpu, "requests.memory": memory, "pods": pods}.items():
            if needed > quantity(hard[what]):
                faults.append(f"{name_of(quota)}: {what} {hard[what]}, {needed:g} needed")
    return faults


def quantity(text: str | int | float) -> float:
    """A quantity of Kubernetes as a number: `500m` is 0.5, `1Ki` is 1024."""
    found = re.fullmatch(r"([\d.]+)(m|Ki|Mi|Gi|k|M|G)?", str(text))
    assert found, text
    factors = {None: 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
    return float(found[1]) * factors[found[2]]


RULES: list[Rule] = [
    selectors_match, ports_exist, config_exists, resources_are_said, images_are_fixed, pods_are_restricted,
    probes_are_there, updates_lose_nothing, connections_suffice, quotas_suffice,
]  # fmt: skip


def faults_of(objects: list[Object]) -> list[str]:
    """The faults that all rules find."""
    return [fault for rule in RULES for fault in rule(objects)]
