"""The manifests: what kustomize renders is valid, complete and consistent, and each check finds a planted fault."""

import ast
import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from k8s.from_grafana import RULES, texts
from recjobs.adapters.spark import wrong_master
from recjobs.config import Settings
from recjobs.core.estimate import Size, steps
from recjobs.night.pods import of_plan
from tests.commands import ROOT
from tests.contract.test_images import pins
from tests.image_files import Dockerfile
from tests.kubernetes import (
    COMPONENTS,
    K8S,
    OVERLAYS,
    Object,
    component_on_base,
    is_built_in,
    name_of,
    named,
    of_kind,
    overlay,
    pod_template,
    rendered,
    schema_faults,
    workloads,
)
from tests.manifest_rules import faults_of, pods_are_restricted, quantity, resources_are_said, secrets_of
from webapp import create_app
from webapp.settings import Settings as WebSettings

FILES = sorted(path for path in K8S.rglob("*.yaml"))
KUBERNETES_DOC = ROOT / "docs" / "kubernetes.md"


@pytest.fixture(scope="module")
def production() -> list[Object]:
    return overlay("production")


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_renders_into_valid_objects_that_fit_together(name: str):
    objects = overlay(name)
    assert [fault for thing in objects for fault in schema_faults(thing)] == []
    assert faults_of(objects) == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_alone_on_base_renders_into_valid_objects_that_fit_together(name: str, tmp_path: Path):
    objects = component_on_base(name, tmp_path)
    assert [fault for thing in objects for fault in schema_faults(thing)] == []
    assert faults_of(objects) == []


def test_base_and_dev_need_no_operator():
    for objects in (rendered(K8S / "base"), overlay("dev")):
        assert [name_of(thing) for thing in objects if not is_built_in(thing)] == []
        assert faults_of(objects) == []


def test_production_has_three_replicas_at_least(production: list[Object]):
    assert named(production, "HorizontalPodAutoscaler", "webapp")["spec"]["minReplicas"] == 3
    assert named(production, "HorizontalPodAutoscaler", "webapp")["spec"]["maxReplicas"] == 20


def container_of(objects: list[Object], name: str = "webapp") -> Any:
    [thing] = [t for t in workloads(objects) if t["metadata"]["name"] == name]
    return pod_template(thing)["spec"]["containers"][0]


def of(kind: str, name: str) -> Callable[[list[Object]], Any]:
    return lambda objects: named(objects, kind, name)["spec"]


PLANTED: dict[str, tuple[Callable[[list[Object]], Any], str]] = {
    "selects no pod": (lambda o: of("Service", "webapp")(o)["selector"].update(tier="web"), "Service recjobs/webapp"),
    "does not select its own pods": (
        lambda o: of("Deployment", "webapp")(o)["selector"]["matchLabels"].update(x="y"), "Deployment recjobs/webapp"
    ),
    "spreads over": (
        lambda o: pod_template(named(o, "Deployment", "webapp"))["spec"]["topologySpreadConstraints"][0].update(
            labelSelector={"matchLabels": {"app": "webapp"}}), "Deployment recjobs/webapp"
    ),
    "selects no Service": (
        lambda o: of("ServiceMonitor", "webapp")(o)["selector"]["matchLabels"].update(a="b"), "ServiceMonitor"
    ),
    "scrapes port": (lambda o: of("ServiceMonitor", "webapp")(o)["endpoints"][0].update(port="metrics"), "metrics"),
    "asks port": (lambda o: container_of(o)["readinessProbe"]["httpGet"].update(port="web"), "readinessProbe"),
    "is no container's": (lambda o: of("Service", "webapp")(o)["ports"][0].update(targetPort="web"), "port web"),
    "leads to": (lambda o: of("HTTPRoute", "webapp")(o)["rules"][0]["backendRefs"][0].update(port=81), "webapp:81"),
    "needs ConfigMap": (
        lambda o: container_of(o)["envFrom"][0]["configMapRef"].update(name="webapp-old"), "webapp-old"
    ),
    "reads RECJOBS_ARTIFACT, which recjobs-jobs has not": (
        lambda o: container_of(o, "mlflow")["env"][1]["valueFrom"]["configMapKeyRef"].update(key="RECJOBS_ARTIFACT"),
        "mlflow",
    ),
    "needs ServiceAccount": (
        lambda o: o.remove(named(o, "ServiceAccount", "migration")), "Job recjobs/migration"
    ),
    "needs PriorityClass": (lambda o: o.remove(named(o, "PriorityClass", "recjobs-serving")), "recjobs-serving"),
    "which it has not": (lambda o: container_of(o)["volumeMounts"].append({"name": "data"}), "data"),
    "has no [('limits', 'memory')]": (lambda o: container_of(o)["resources"]["limits"].pop("memory"), "webapp"),
    "memory that it did not request": (
        lambda o: container_of(o)["resources"]["limits"].update(memory="2Gi"), "webapp"
    ),
    "image ghcr.io/recjobs/recjobs-webapp:latest": (
        lambda o: container_of(o).update(image="ghcr.io/recjobs/recjobs-webapp:latest"), "webapp"
    ),
    "image recjobs-jobs": (lambda o: container_of(o, "mlflow").update(image="recjobs-jobs"), "mlflow"),
    "may run as root": (
        lambda o: pod_template(named(o, "Deployment", "mlflow"))["spec"]["securityContext"].pop("runAsNonRoot"),
        "mlflow",
    ),
    "no seccomp profile": (
        lambda o: pod_template(named(o, "Job", "migration"))["spec"]["securityContext"].pop("seccompProfile"),
        "migration",
    ),
    "has a token": (
        lambda o: pod_template(named(o, "Deployment", "webapp"))["spec"].pop("automountServiceAccountToken"), "webapp"
    ),
    "may gain privileges": (lambda o: container_of(o)["securityContext"].pop("capabilities"), "webapp"),
    "may write to its root": (
        lambda o: container_of(o)["securityContext"].update(readOnlyRootFilesystem=False), "webapp"
    ),
    "mounts a folder of the node": (
        lambda o: pod_template(named(o, "Deployment", "alloy"))["spec"]["volumes"].append(
            {"name": "node", "hostPath": {}}),
        "alloy",
    ),
    "is not restricted": (
        lambda o: named(o, "Namespace", "recjobs")["metadata"]["labels"].update(
            {"pod-security.kubernetes.io/enforce": "baseline"}), "Namespace recjobs"
    ),
    "has no livenessProbe": (lambda o: container_of(o, "statsd-exporter").pop("livenessProbe"), "statsd-exporter"),
    "takes a replica before there is another": (
        lambda o: of("Deployment", "webapp")(o)["strategy"]["rollingUpdate"].update(maxUnavailable=1), "webapp"
    ),
    "s of preStop": (
        lambda o: pod_template(named(o, "Deployment", "webapp"))["spec"].update(terminationGracePeriodSeconds=29),
        "10 s of preStop, then 29 s",
    ),
    "never lets a drain pass": (
        lambda o: of("PodDisruptionBudget", "webapp")(o).update(minAvailable=3), "PodDisruptionBudget"
    ),
    "that does not exist": (
        lambda o: of("HorizontalPodAutoscaler", "webapp")(o)["scaleTargetRef"].update(name="web"), "Rollout web"
    ),
    "each apply would reset": (lambda o: of("Rollout", "webapp")(o).update(replicas=3), "HorizontalPodAutoscaler"),
    "connections of web apps": (lambda o: settings_of(o).update(WEBAPP_DATABASE_CONNECTIONS="20"), "420"),
    "reserved are over": (lambda o: settings_of(o).update(WEBAPP_DATABASE_CONNECTIONS="15"), "315 of web apps"),
    "one connection a thread": (lambda o: settings_of(o).update(WEBAPP_DATABASE_CONNECTIONS="4"), "needs one"),
    "needed": (lambda o: container_of(o)["resources"]["requests"].update(cpu="2"), "ResourceQuota recjobs/serving"),
}  # fmt: skip


def settings_of(objects: list[Object]) -> dict[str, str]:
    found: list[dict[str, str]]
    found = [t["data"] for t in of_kind(objects, "ConfigMap") if t["metadata"]["name"].startswith("webapp-")]
    return found[0]


@pytest.mark.parametrize("fault", PLANTED)
def test_the_rules_find_a_planted_fault(production: list[Object], fault: str):
    objects = copy.deepcopy(production)
    plant, also = PLANTED[fault]
    plant(objects)
    found = faults_of(objects)
    assert any(fault in line and also in line for line in found), found


def test_the_schemas_find_planted_faults(production: list[Object]):
    def with_fault(kind: str, name: str, **fields: Any) -> list[str]:
        thing = copy.deepcopy(named(production, kind, name))
        thing["spec"].update(fields)
        return schema_faults(thing)

    assert with_fault("Deployment", "webapp", replica=3)
    assert with_fault("Deployment", "webapp", minReadySeconds="five")
    assert with_fault("Rollout", "webapp", strategies={})
    assert with_fault("HTTPRoute", "webapp", hostnames="lists.example.com")
    unknown = {"apiVersion": "example.com/v1", "kind": "Unknown", "metadata": {"name": "x"}}
    assert schema_faults(unknown) == ["Unknown x: no schema example.com_unknown_v1.json"]


def test_every_secret_that_is_named_is_documented_and_comes_from_the_store(production: list[Object], tmp_path: Path):
    everything = [*production, *overlay("dev"), *component_on_base("cloudnative-pg", tmp_path)]
    text = KUBERNETES_DOC.read_text(encoding="utf-8")
    wanted = secrets_of(everything)
    assert {name for _, name, _ in wanted if f"`{name}`" not in text} == set()
    stored = {
        (thing["metadata"]["namespace"], thing["spec"]["target"]["name"])
        for thing in of_kind(production, "ExternalSecret")
    }
    assert {(namespace, name) for namespace, name, _ in wanted} - stored == {("recjobs", "webapp-tls")}
    keys = {
        (thing["spec"]["target"]["name"], entry["secretKey"])
        for thing in of_kind(production, "ExternalSecret")
        for entry in thing["spec"]["data"]
    }
    assert {(name, key) for _, name, key in wanted if key} <= keys


def test_the_secrets_of_postgres_in_the_cluster_are_documented(tmp_path: Path):
    spec = named(component_on_base("cloudnative-pg", tmp_path), "Cluster", "postgres")["spec"]
    names = {role["passwordSecret"]["name"] for role in spec["managed"]["roles"]}
    names.add(spec["bootstrap"]["initdb"]["secret"]["name"])
    text = KUBERNETES_DOC.read_text(encoding="utf-8")
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_every_setting_in_the_manifests_is_one_that_a_program_reads(production: list[Object]):
    ours = {f.alias for f in (*Settings.model_fields.values(), *WebSettings.model_fields.values())}
    theirs = {
        "RECJOBS_LOG", "AWS_REGION", "AWS_SHARED_CREDENTIALS_FILE", "HOME", "MLFLOW_BACKEND_STORE_URI", "LOKI_URL",
        "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
        "MLFLOW_DISABLE_TELEMETRY", "USER",
    }  # fmt: skip
    said = {key for t in of_kind(production, "ConfigMap") for key in t["data"] if re.fullmatch(r"[A-Z_]+", key)}
    said |= {
        e["name"]
        for t in workloads(production)
        for c in pod_template(t)["spec"]["containers"]
        for e in c.get("env", [])
    }
    assert said - ours - theirs == set()
    assert len(said & ours) > 8


@pytest.mark.parametrize("environment", OVERLAYS)
def test_an_environment_has_one_bucket(environment: str):
    """Of the nights' artifacts, of MLflow's and of Airflow's logs: another environment's would be read and written."""
    objects = overlay(environment)
    artifacts = named(objects, "ConfigMap", "recjobs-jobs")["data"]["RECJOBS_ARTIFACTS"]
    said = {entry["name"]: entry.get("value") for entry in container_of(objects, "mlflow")["env"]}
    assert said["MLFLOW_ARTIFACTS_DESTINATION"] == "$(RECJOBS_ARTIFACTS)/_mlflow"
    assert list(said).index("RECJOBS_ARTIFACTS") < list(said).index("MLFLOW_ARTIFACTS_DESTINATION"), "or it is text"
    logs = ""
    for name in ("values.yaml", f"values-{environment}.yaml"):
        values = yaml.safe_load((K8S / "airflow" / name).read_text(encoding="utf-8"))
        logs = values.get("config", {}).get("logging", {}).get("remote_base_log_folder", logs)
    assert logs.split("/")[2] == artifacts.split("/")[2]


def routes_of(paths: list[tuple[str, str]]) -> Callable[[str], bool]:
    """Whether a path is passed on, as Kubernetes matches them: a prefix by whole elements."""

    def passes(path: str) -> bool:
        return any(
            path == value or (kind != "Exact" and path.startswith(value.rstrip("/") + "/")) for kind, value in paths
        )

    return passes


def test_clients_reach_every_route_but_metrics(monkeypatch: pytest.MonkeyPatch, production: list[Object]):
    monkeypatch.setenv("RECJOBS_WEB_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    rules = {re.sub(r"<[^>]+>", "x", rule.rule) for rule in create_app().url_map.iter_rules()}
    ingress = named(rendered(K8S / "base"), "Ingress", "webapp")["spec"]["rules"][0]["http"]["paths"]
    route = named(production, "HTTPRoute", "webapp")["spec"]["rules"][0]["matches"]
    assert {each["backend"]["service"]["name"] for each in ingress} == {"webapp"}
    for passes in (
        routes_of([(each["pathType"], each["path"]) for each in ingress]),
        routes_of([(each["path"]["type"], each["path"]["value"]) for each in route]),
    ):
        assert {path for path in rules if not passes(path)} - {"/metrics"} == set()
        assert not passes("/metrics")
        assert not passes("/v1x")


def test_tls_and_hsts_in_production(production: list[Object]):
    route = named(production, "HTTPRoute", "webapp")
    [headers] = [f["responseHeaderModifier"]["set"] for f in route["spec"]["rules"][0]["filters"]]
    assert headers == [{"name": "Strict-Transport-Security", "value": "max-age=31536000"}]
    gateway = named(production, "Gateway", "webapp")["spec"]["listeners"]
    assert {listener["protocol"] for listener in gateway} == {"HTTP", "HTTPS"}
    redirect = named(production, "HTTPRoute", "redirect")["spec"]
    assert redirect["parentRefs"][0]["sectionName"] == "http"
    assert named(production, "Certificate", "webapp")["spec"]["secretName"] == "webapp-tls"
    assert of_kind(production, "Ingress") == []
    hosts = {listener["hostname"] for listener in gateway} | set(route["spec"]["hostnames"])
    hosts |= set(named(production, "Certificate", "webapp")["spec"]["dnsNames"])
    assert {f"https://{host}" for host in hosts} == {settings_of(production)["WEBAPP_URL"]}


def test_the_migration_comes_before_the_web_app_and_after_its_secrets(production: list[Object]):
    def wave(kind: str, name: str) -> int:
        annotations = named(production, kind, name)["metadata"].get("annotations", {})
        return int(annotations.get("argocd.argoproj.io/sync-wave", 0))

    job = named(production, "Job", "migration")["metadata"]["annotations"]
    assert job["argocd.argoproj.io/hook"] == "Sync"
    assert job["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    namespace, secret, account = wave("Namespace", "recjobs"), wave("ExternalSecret", "recjobs-migration"), 0
    assert namespace < secret < account < wave("Job", "migration") < wave("Rollout", "webapp")
    assert wave("Rollout", "webapp") == wave("Deployment", "webapp") == wave("HorizontalPodAutoscaler", "webapp")


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(K8S)))
def test_a_file_holds_one_object_and_is_named_after_its_kind(path: Path):
    documents = [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d is not None]
    assert len(documents) == 1
    kind = documents[0].get("kind")
    if path.name.startswith("values"):
        assert kind is None
    elif path.name.startswith("patch-"):
        assert path.stem == f"patch-{kind.lower()}-{documents[0]['metadata']['name']}"
    elif kind in ("Kustomization", "Component"):
        assert path.name == "kustomization.yaml"
    else:
        assert re.fullmatch(rf"{kind.lower()}(-[a-z0-9-]+)?\.yaml", path.name), kind


DEFAULTS = {
    "replicas": "1", "periodSeconds": "10", "failureThreshold": "3", "timeoutSeconds": "1", "maxSkew": "1",
    "successThreshold": "1",
}  # fmt: skip
NAMES = {"port", "containerPort", "apiVersion", "newTag", "image", "statusCode", "cidr", "version", "statsd_port"}
"""Keys whose number is a name: it is not more or less of anything."""
NUMBER = re.compile(r"^\s*(?:- )?(?:\w[\w./-]*=|\"?([\w./-]+)\"?:\s+)\"?(-?\d+(?:\.\d+)?(?:[a-zA-Z%]{1,3})?)\"?\s*$")


def numbers_without_comment(text: str) -> list[str]:
    """Lines with a number that is no default, and no comment on the line or in the lines before it."""
    faults, before = [], ""
    for line in text.splitlines():
        found = NUMBER.match(line)
        is_name = found and (found[1] in NAMES or DEFAULTS.get(found[1] or "") == found[2] or "_PORT=" in line)
        if found and not is_name and not before.lstrip().startswith("#"):
            faults.append(line.strip())
        before = line
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(K8S)))
def test_every_number_that_is_not_a_default_has_its_comment(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Written by `make") or numbers_without_comment(text) == []


def test_a_number_without_a_comment_is_found():
    text = (
        "spec:\n  replicas: 1\n  minReadySeconds: 5\n  # why\n  maxSurge: 1\n  memory: 512Mi  # measured\n  cpu: 500m\n"
    )
    assert numbers_without_comment(text) == ["minReadySeconds: 5", "cpu: 500m"]


def test_rules_and_dashboards_are_those_of_grafana():
    wanted = texts()
    assert {str(path): path.name for path in wanted if (ROOT / path).read_text(encoding="utf-8") != wanted[path]} == {}
    written = set((ROOT / RULES).glob("*.yaml"))
    assert {path.relative_to(ROOT) for path in written} - set(wanted) == set()


def test_a_rule_file_becomes_an_object_and_a_dashboard_a_config_map(tmp_path: Path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "dashboards").mkdir()
    group = {"name": "lists", "rules": [{"alert": "Stale", "expr": "vector(1) > 0", "for": "5m"}]}
    (tmp_path / "rules" / "lists.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    (tmp_path / "dashboards" / "is_it_well.json").write_text("{}")
    found = {str(path): yaml.safe_load(text) for path, text in texts(tmp_path).items()}
    rule = found["k8s/components/prometheus-operator/rules/prometheusrule-lists.yaml"]
    assert rule["spec"] == {"groups": [group]}
    assert schema_faults(rule) == []
    assert found["k8s/components/prometheus-operator/rules/kustomization.yaml"]["resources"] == [
        "prometheusrule-lists.yaml"
    ]
    [generator] = found["grafana/dashboards/kustomization.yaml"]["configMapGenerator"]
    assert (generator["name"], generator["files"]) == ("dashboard-is-it-well", ["is_it_well.json"])
    assert found["k8s/components/dashboards/kustomization.yaml"]["components"] == ["../../../grafana/dashboards"]


# --- Airflow's chart ---------------------------------------------------------------------------------------------


def airflow_values(environment: str = "production") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("values.yaml", f"values-{environment}.yaml"):
        values |= yaml.safe_load((K8S / "airflow" / name).read_text(encoding="utf-8"))
    return values


def chart_faults(values: dict[str, Any]) -> list[str]:
    schema = json.loads((ROOT / "tests" / "schemas" / "airflow-chart" / "values.schema.json").read_text())
    errors = jsonschema.Draft7Validator(schema).iter_errors(values)
    # The schema lets unknown names pass at the top.
    unknown = sorted(set(values) - set(schema["properties"]))
    return [*unknown, *(f"{error.json_path}: {error.message[:200]}" for error in errors)]


@pytest.mark.parametrize("environment", OVERLAYS)
def test_the_values_are_what_airflows_chart_takes(environment: str):
    assert chart_faults(airflow_values(environment)) == []
    assert chart_faults(airflow_values() | {"executer": "KubernetesExecutor"}) != []
    assert chart_faults(airflow_values() | {"scheduler": {"replica": 2}}) != []


def test_the_jobs_image_installs_the_providers_that_the_values_need():
    values = airflow_values()
    assert values["executor"] == "KubernetesExecutor"
    assert values["config"]["logging"]["remote_base_log_folder"].startswith("s3://")
    needed = {f"apache-airflow-providers-{name}" for name in ("cncf-kubernetes", "amazon", "fab")}
    [install] = [run for run in Dockerfile("jobs").arguments("RUN") if "/opt/venv/bin/python install" in run]
    locks = re.findall(r"-r (requirements[a-z-]*)\.txt", install.rpartition("&&")[2])
    assert needed <= {package for lock in locks for package in pins(lock)}
    assert not needed <= set(pins("requirements")), "and the default lock alone would be found to lack some"


def step_classes() -> dict[str, dict[str, Any]]:
    """The steps' pods as the chart renders them: its three templates, with what the loop over the classes fills in."""
    text = airflow_values()["extraConfigMaps"]["recjobs-step-classes"]["data"]
    classes = {
        name: dict(re.findall(r'"(\w+)" +"([^"]+)"', fields))
        for name, fields in re.findall(r'"(\w+)" +\(dict (.+?)\)', text)
    }
    body = text[text.index("  apiVersion") : text.rindex("{{- end }}")]
    found = {}
    for name, fields in classes.items():
        filled = body.replace("{{ $name }}", name).replace("{{ $.Release.Name }}", "airflow")
        filled = filled.replace('{{ template "airflow_image" $ }}', "ghcr.io/recjobs/recjobs-jobs:0.1.0")
        filled = filled.replace('{{ template "airflow_config" $ }}', "airflow-config")
        filled = re.sub(r"\{\{ \$class\.(\w+)( \| quote)? \}\}", lambda m, f=fields: f'"{f[m[1]]}"', filled)
        found[name] = yaml.safe_load(filled)
    return found


def test_the_pods_of_steps_are_valid_restricted_and_fit_their_namespace(production: list[Object]):
    pods = step_classes()
    assert list(pods) == ["small", "data", "compute"]
    limits = [t for t in of_kind(production, "LimitRange") if t["metadata"]["namespace"] == "recjobs-nights"]
    [most] = [quantity(each["max"]["memory"]) for each in limits[0]["spec"]["limits"]]
    secrets = {t["spec"]["target"]["name"] for t in of_kind(production, "ExternalSecret")}
    for name, pod in pods.items():
        assert schema_faults(pod) == [], name
        job = {"kind": "Job", "metadata": {"name": name, "namespace": "recjobs-nights"}, "spec": {"template": pod}}
        assert [*pods_are_restricted([job]), *resources_are_said([job])] == []
        [container] = pod["spec"]["containers"]
        assert quantity(container["resources"]["limits"]["memory"]) <= most
        assert int(container["env"][1]["value"]) == max(1, int(quantity(container["resources"]["limits"]["cpu"])))
        assert pod["spec"]["volumes"][3]["secret"]["secretName"] in secrets
        assert named(production, "ServiceAccount", pod["spec"]["serviceAccountName"])
        assert named(production, "PriorityClass", pod["spec"]["priorityClassName"])["value"] < 0
    values = airflow_values()
    assert values["config"]["kubernetes_executor"]["pod_template_file"] == "/opt/airflow/step_classes/small.yaml"
    mount = {"name": "step-classes", "mountPath": "/opt/airflow/step_classes", "readOnly": True}
    assert mount in values["scheduler"]["extraVolumeMounts"]
    assert values["securityContexts"]["containers"]["readOnlyRootFilesystem"] is True


def test_a_night_may_need_what_the_largest_class_of_steps_has(production: list[Object]):
    [container] = step_classes()["compute"]["spec"]["containers"]
    said = named(production, "ConfigMap", "recjobs-jobs")["data"]["RECJOBS_MEMORY"]
    assert said == f"{container['resources']['limits']['memory']}B", "`begin` is small, and decides for all steps"


def test_the_classes_of_steps_have_room_for_what_is_said_beside_them():
    pods = step_classes()
    night = Size(20_000_000, 20_000_000, users=138_493, items=26_744, stored=100, factors=64)
    for name, n_interactions in {"compute": 20_000_000, "data": 5_000_000}.items():
        assert f"{n_interactions // 1_000_000} million" in (K8S / "airflow" / "values.yaml").read_text(encoding="utf-8")
        [container] = pods[name]["spec"]["containers"]
        has = quantity(container["resources"]["limits"]["memory"]) / 2**20
        planned = steps(replace(night, rows=n_interactions, interactions=n_interactions))
        needed = of_plan({"steps": {step: {"peak_bytes": cost.peak_bytes} for step, cost in planned.items()}})
        needed["publish"] = of_plan({"steps": {"score": {"peak_bytes": planned["publish"].peak_bytes}}})["score"]
        classes = classes_of_steps()
        assert {step: mib for step, mib in needed.items() if classes.get(step) == name and mib > has} == {}


def classes_of_steps() -> dict[str, str]:
    """The class of each step that is not small, as dags/night_tasks.py has it; importing that would take Airflow."""
    tree = ast.parse((ROOT / "dags" / "night_tasks.py").read_text(encoding="utf-8"))
    [value] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STEP_CLASSES"
    ]
    found: dict[str, str] = eval(ast.unparse(value), {"dict": dict})
    return found


def test_the_values_name_the_function_that_sets_the_memory_of_pods():
    text = airflow_values()["airflowLocalSettings"]
    assert "{{" not in text, "the chart takes it for a template"
    code = text.replace("/app/dags", str(ROOT / "dags")) + "\nprint(__all__, pod_mutation_hook.__module__)\n"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['pod_mutation_hook'] step_pods\n"
    assert "kubernetes" not in done.stderr, "all of Airflow's processes load it"
    assert "airflow" not in done.stderr, "which is being loaded"
    copied = [words for words in Dockerfile("jobs").arguments("COPY") if words.startswith("dags ")]
    assert copied == ["dags ./dags"], "in WORKDIR /app"


def test_the_ingress_of_airflow_in_the_page_is_what_the_chart_takes():
    text = KUBERNETES_DOC.read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    own = yaml.safe_load(block)
    assert chart_faults(airflow_values() | own) == []
    assert own["config"]["api"]["base_url"] == f"https://{own['ingress']['apiServer']['hosts'][0]['name']}"
    assert chart_faults(airflow_values() | {"ingress": {"apiServer": {"hostname": "airflow.example.com"}}}) != []


def test_every_policy_in_the_page_on_clouds_names_its_actions_and_resources():
    text = (ROOT / "docs" / "clouds.md").read_text(encoding="utf-8")
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert len(policies) == 4
    for statement in (each for policy in policies for each in policy["Statement"]):
        actions, resource = statement["Action"], statement.get("Resource", "")
        actions = [actions] if isinstance(actions, str) else actions
        assert not any(action.endswith("*") for action in actions)
        assert resource != "*"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_argo_cd_applies_what_is_here(environment: str, tmp_path: Path):
    folder = K8S / "argocd" / environment
    objects = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]
    assert [fault for thing in objects for fault in schema_faults(thing)] == []
    project = named(objects, "AppProject", f"recjobs-{environment}")["spec"]
    cluster_wide = {(each["group"], each["kind"]) for each in project["clusterResourceWhitelist"]}
    applied = {
        (thing["apiVersion"].rpartition("/")[0], thing["kind"])
        for thing in overlay(environment)
        if "namespace" not in thing["metadata"]
    }
    assert cluster_wide == applied
    may = {each["namespace"] for each in project["destinations"]}
    everything = [*overlay(environment), *component_on_base("cloudnative-pg", tmp_path)]
    assert {thing["metadata"].get("namespace") for thing in everything} - {None} == may
    for thing in of_kind(objects, "Application"):
        policy, sources = thing["spec"]["syncPolicy"], thing["spec"].get("sources") or [thing["spec"]["source"]]
        assert policy["automated"] == {"prune": True, "selfHeal": True}
        assert policy["retry"]["backoff"]["factor"] == 2
        assert "CreateNamespace=true" in policy["syncOptions"]
        assert thing["spec"]["destination"] in project["destinations"]
        assert {source["repoURL"] for source in sources} <= set(project["sourceRepos"])
        ours = {source["targetRevision"] for source in sources if "chart" not in source}
        assert ours == {f"deploy/{environment}"}, "the branch that only .github/deploy.sh moves"
        paths = [ROOT / source["path"] for source in sources if "path" in source]
        files = [f for source in sources for f in source.get("helm", {}).get("valueFiles", [])]
        assert all(path.exists() for path in [*paths, *(ROOT / f.removeprefix("$values/") for f in files)])


def faults_of_spark(objects: list[Object]) -> list[str]:
    """Where the parts of the Spark cluster, and what the steps are told of it, do not fit together."""
    told = named(objects, "ConfigMap", "recjobs-jobs")["data"]
    service, image = named(objects, "Service", "spark-master"), container_of(objects, "mlflow")["image"]
    master, worker = (container_of(objects, f"spark-{name}") for name in ("master", "worker"))
    options = dict(re.findall(r"--conf (\S+?)=(\S+)", told["PYSPARK_SUBMIT_ARGS"]))
    of_worker = dict(zip(worker["args"][::2], worker["args"][1::2], strict=False))
    ports = {
        name: {(r["ports"][0]["port"], r["ports"][0].get("endPort")) for r in policy["ingress"]}
        for name in ("spark-master", "spark-worker", "spark-driver")
        for policy in [named(objects, "NetworkPolicy", name)["spec"]]
    }
    url = f"spark://spark-master:{service['spec']['ports'][0]['port']}"
    holds = {
        "steps are told of another master": wrong_master(url) is None and told["RECJOBS_SPARK_MASTER"] == url,
        "workers ask another master": worker["args"][-1] == url,
        "the master listens elsewhere": int(master["args"][3]) == master["ports"][0]["containerPort"]
        and ports["spark-master"] == {(int(master["args"][3]), None)},
        "workers listen elsewhere": int(of_worker["--port"]) == worker["ports"][0]["containerPort"]
        and (int(of_worker["--port"]), None) in ports["spark-worker"],
        "the driver's port is closed": {p for p, _ in ports["spark-driver"]} == {int(options["spark.driver.port"])},
        "blocks have no way": any(p == int(options["spark.blockManager.port"]) for p, _ in ports["spark-worker"]),
        "an executor's heap is none that a worker has": options["spark.executor.memory"] == of_worker["--memory"],
        "tasks outnumber the cores": quantity(of_worker["--cores"]) == quantity(worker["resources"]["limits"]["cpu"]),
        "steps and executors are of different images": {master["image"], worker["image"]} == {image},
        "a database's URL is among an executor's settings": not any(name.endswith("_URL") and name != "WEBAPP_URL"
                                                                    for name in told),
    }  # fmt: skip
    return [fault for fault, sound in holds.items() if not sound]


SPARK_FAULTS: dict[str, Callable[[list[Object]], Any]] = {
    "steps are told of another master": lambda o: named(o, "Service", "spark-master")["spec"]["ports"][0].update(
        port=7000
    ),
    "workers ask another master": lambda o: container_of(o, "spark-worker")["args"].append("spark://other:7077"),
    "the master listens elsewhere": lambda o: container_of(o, "spark-master")["args"].__setitem__(3, "7000"),
    "workers listen elsewhere": lambda o: container_of(o, "spark-worker")["args"].__setitem__(3, "0"),
    "the driver's port is closed": lambda o: named(o, "NetworkPolicy", "spark-driver")["spec"]["ingress"][0]["ports"][
        0
    ].update(port=7000),
    "blocks have no way": lambda o: named(o, "NetworkPolicy", "spark-worker")["spec"]["ingress"].pop(),
    "an executor's heap is none that a worker has": lambda o: container_of(o, "spark-worker")["args"].__setitem__(
        9, "1g"
    ),
    "tasks outnumber the cores": lambda o: container_of(o, "spark-worker")["args"].__setitem__(7, "8"),
    "steps and executors are of different images": lambda o: container_of(o, "spark-worker").update(image="other:1"),
    "a database's URL is among an executor's settings": lambda o: named(o, "ConfigMap", "recjobs-jobs")["data"].update(
        RECJOBS_LOADER_URL=""
    ),
}


def test_the_parts_of_the_spark_cluster_fit_together_and_a_planted_fault_is_found(tmp_path: Path):
    objects = component_on_base("spark", tmp_path)
    assert faults_of_spark(objects) == []
    for fault, plant in SPARK_FAULTS.items():
        wrong = copy.deepcopy(objects)
        plant(wrong)
        assert fault in faults_of_spark(wrong)
    for pod in step_classes().values():  # executors cannot resolve the name of a step's pod
        own = {each["name"]: each.get("valueFrom") for each in pod["spec"]["containers"][0]["env"]}
        assert own["SPARK_LOCAL_HOSTNAME"] == {"fieldRef": {"fieldPath": "status.podIP"}}
        assert pod["spec"]["enableServiceLinks"] is False  # else SPARK_MASTER_PORT would be a URL
