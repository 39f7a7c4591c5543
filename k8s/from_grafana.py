"""Write what Kubernetes needs of `grafana/`: rule files as PrometheusRule objects, dashboards as ConfigMaps' files.

    python k8s/from_grafana.py           # `make prometheus-rules`

Kustomize can put a file into a ConfigMap, but not make an object's spec of it. A test holds what is written against
`grafana/`, so neither is edited by hand.
"""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
GRAFANA = ROOT / "grafana"
RULES = Path("k8s/components/prometheus-operator/rules")
DASHBOARDS = Path("k8s/components/dashboards")
WRITTEN = "# Written by `make prometheus-rules` from grafana/.\n"


def texts(grafana: Path = GRAFANA) -> dict[Path, str]:
    """Return each file that belongs there, by its path in the repository."""
    rules = sorted((grafana / "rules").glob("*.yaml"))
    boards = sorted((grafana / "dashboards").glob("*.json"))
    found = {RULES / f"prometheusrule-{path.stem}.yaml": _rule(path) for path in rules}
    found[RULES / "kustomization.yaml"] = _component(
        {"resources": sorted(path.name for path in found)} if found else {}
    )
    generators = [
        {
            "name": f"dashboard-{path.stem.lower().replace('_', '-')}",
            "namespace": "recjobs-nights",
            # Grafana's sidecar looks for this label.
            "options": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
            "files": [path.name],
        }
        for path in boards
    ]
    if generators:
        found[Path("grafana/dashboards/kustomization.yaml")] = _component({"configMapGenerator": generators})
    components = {"components": ["../../../grafana/dashboards"]} if generators else {}
    found[DASHBOARDS / "kustomization.yaml"] = _component(components)
    return found


def _component(content: dict[str, object]) -> str:
    head: dict[str, object] = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    if not content:  # kustomize refuses one that does nothing: this label is on everything already
        head["labels"] = [{"pairs": {"app.kubernetes.io/part-of": "recjobs"}}]
    return WRITTEN + yaml.safe_dump(head | content, sort_keys=False)


def _rule(path: Path) -> str:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": path.stem, "namespace": "recjobs-nights"},
        "spec": {"groups": content["groups"]},
    }
    return WRITTEN + yaml.safe_dump(rule, sort_keys=False, width=120, allow_unicode=True)


def main() -> int:
    """Write the files, and remove those of rules that are no more."""
    wanted = texts()
    for path in (ROOT / RULES).glob("*.yaml"):
        if path.relative_to(ROOT) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
