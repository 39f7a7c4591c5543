"""Rules and boards ask for series that exist: those that the shipped mapping makes of the names in metrics.yaml and of
Airflow's, those of the web app, and those of exporters."""

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from recjobs import NIGHT
from tests.commands import ROOT
from tests.prometheus_names import GRAFANA, Series, expand, mapping, selectors

EXPLAINED: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "recjobs" / "metrics.yaml").read_text())
METRICS = {name: metric for name, metric in EXPLAINED.items() if name != "webapp"}
EXAMPLES = {"ndcg_at_20.*": ["ndcg_at_20.candidate", "ndcg_at_20.popularity_30d"],
            "worth.*": ["worth.live.5", "worth.live.20", "worth.popular.20", "worth.own_items.20"]}  # fmt: skip
"""What stands for `*` in a name of metrics.yaml."""
STEPS = ("begin", *NIGHT, "tune", "prune")

WEBAPP = {
    "http_requests_total", "http_request_duration_seconds_bucket", "http_request_duration_seconds_sum",
    "http_request_duration_seconds_count", "recjobs_lists_served_total", "recjobs_live_published_timestamp_seconds",
    "recjobs_build_info", "recjobs_live_max_age_seconds",
}  # fmt: skip
EXPORTERS = {
    "Prometheus": {"up", "ALERTS", "process_start_time_seconds"},
    "Alertmanager": {"alertmanager_notifications_failed_total"},
    "node_exporter": {
        "node_filesystem_avail_bytes", "node_filesystem_size_bytes", "node_memory_MemAvailable_bytes",
        "node_memory_MemTotal_bytes", "node_cpu_seconds_total",
    },
    "postgres_exporter": {
        "pg_up", "pg_stat_activity_count", "pg_settings_max_connections", "pg_database_size_bytes",
        "pg_stat_database_xact_commit", "pg_stat_database_xact_rollback",
    },
    "blackbox_exporter": {"probe_ssl_earliest_cert_expiry"},
    "cAdvisor": {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes"},
    "kube-state-metrics": {
        "kube_pod_container_status_restarts_total", "kube_pod_container_resource_limits", "kube_pod_status_ready",
    },
    "dcgm-exporter": {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED"},
}  # fmt: skip
"""The names of others; tests/integration/test_watch.py finds those of the first five in real ones."""


def sent() -> list[tuple[str, str]]:
    """Every name that a night sends, with its type."""
    known = {key: {"type": "gauge", "steps": ["evaluate"]} for key in EXAMPLES} | METRICS
    return [
        (f"recjobs.shop.{step}.{name}", metric["type"])
        for key, metric in known.items()
        for name in EXAMPLES.get(key, [key])
        for step in (STEPS if metric["steps"] == "all" else metric["steps"])
    ]


@cache
def airflow_names() -> tuple[str, ...]:
    """The StatsD names of the installed Airflow, with words for what they hold."""
    package = find_spec("airflow")
    assert package
    assert package.origin
    template = Path(package.origin).parent / "_shared" / "observability" / "metrics" / "metrics_template.yaml"
    names = []
    for metric in yaml.safe_load(template.read_text())["metrics"]:
        names += [metric["name"], *([metric["legacy_name"]] if metric["legacy_name"] != "-" else [])]
    return tuple("airflow." + re.sub(r"\{\w+\}", "word", name) for name in names)


def series_of(name: str, kind: str) -> list[Series]:
    """The series of a StatsD name, also those of a timer."""
    series = expand(name)
    assert series, f"{name} is dropped"
    suffixes = ("_sum", "_count", "") if kind == "timing" else ("",)
    return [Series(series.name + suffix, series.labels) for suffix in suffixes]


@cache
def known() -> dict[str, list[dict[str, str]]]:
    """The labels of each series that can be there; of others' series none are known."""
    found: dict[str, list[dict[str, str]]] = {}
    for name, kind in sent():
        for series in series_of(name, kind):
            found.setdefault(series.name, []).append(dict(series.labels))
    for name in airflow_names():
        if series := expand(name):
            for suffix in ("", "_sum", "_count"):
                found.setdefault(series.name + suffix, []).append({})
    for name in [*WEBAPP, *(name for names in EXPORTERS.values() for name in names)]:
        found.setdefault(name, []).append({})
    for rule in rules():
        if "record" in rule:
            found.setdefault(rule["record"], []).append({})
    return found


def rules() -> list[dict[str, Any]]:
    files = sorted((GRAFANA / "rules").glob("*.yaml"))
    return [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def expressions() -> dict[str, str]:
    """Every expression of the rules and of the boards' panels, by where it stands. A board's variables are all."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    for file in sorted((GRAFANA / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == "prometheus":
                    found[f"{file.name}: {panel['title']} {target['refId']}"] = target["expr"].replace("$catalog", ".*")
        for variable in board["templating"]["list"]:
            if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus":
                found[f"{file.name}: ${variable['name']}"] = re.sub(r"label_values\((\w+),.*", r"\1", variable["query"])
    return found


def missing(expression: str) -> list[str]:
    """What an expression selects that cannot be there: a name, or a step that does not send it."""
    wrong = []
    for name, matchers in selectors(expression):
        if not name:
            pattern = matchers["__name__"][1]
            if not [each for each in known() if re.fullmatch(pattern, each)]:
                wrong.append(pattern)
            continue
        if name not in known():
            wrong.append(name)
            continue
        for label, (operator, value) in matchers.items():
            values = {labels[label] for labels in known()[name] if label in labels}
            if operator == "=" and label in ("step", "outcome", "list", "at") and values and value not in values:
                wrong.append(f"{name}{{{label}={value}}}")
    return wrong


def test_every_name_of_a_night_becomes_a_series_with_its_catalog() -> None:
    for name, kind in sent():
        step, metric = name.split(".", 3)[2:]
        series = expand(name)
        assert series, name
        labels = dict(series.labels)
        assert labels["catalog"] == "shop", name
        if kind == "timing":
            assert (series.name, labels["step"]) == ("recjobs_step_duration_seconds", step)
        elif kind == "counter":
            assert (series.name, labels["step"], labels["outcome"]) == ("recjobs_steps_total", step, metric)
        elif "." not in metric:
            assert (series.name, labels["step"]) == (f"recjobs_{metric}", step)


def test_names_with_parts_of_their_own_have_them_as_labels() -> None:
    ndcg, worth = expand("recjobs.shop.evaluate.ndcg_at_20.champion"), expand("recjobs.shop.evaluate.worth.live.10")
    assert ndcg == Series(
        "recjobs_model_ndcg_at_20", (("catalog", "shop"), ("model", "champion"), ("step", "evaluate"))
    )
    assert worth == Series("recjobs_worth_share", (("at", "10"), ("catalog", "shop"), ("list", "live")))


def test_what_the_web_app_sends_gets_names_of_its_own_so_that_nothing_is_counted_twice() -> None:
    sent_by_webapp = {
        "webapp.requests.popular.200": "webapp_requests_total",
        "webapp.lists.shop.als": "webapp_lists_served_total",
        "webapp.duration.popular": "webapp_request_duration_seconds",
        "webapp.published.shop": "webapp_live_published_timestamp_seconds",
        "webapp.max_age.shop": "webapp_live_max_age_seconds",
    }
    for name, expected in sent_by_webapp.items():
        series = expand(name)
        assert series
        assert series.name == expected
        assert series.name not in WEBAPP
    for shown, metric in EXPLAINED.get("webapp", {}).items():
        histogram = [shown + suffix for suffix in ("_bucket", "_sum", "_count")]
        assert {*histogram} <= WEBAPP if metric["type"] == "histogram" else shown in WEBAPP, shown
        if metric["statsd"]:
            series = expand(re.sub(r"<(\w+)>", "word", metric["statsd"]))
            assert series, shown
            assert {key for key, _ in series.labels} == set(metric["labels"]), shown


def test_a_series_has_the_same_labels_from_every_name_and_one_type() -> None:
    labels: dict[str, set[tuple[str, ...]]] = {}
    types: dict[str, set[str]] = {}
    for name, kind in sent():
        for series in series_of(name, kind):
            labels.setdefault(series.name, set()).add(tuple(key for key, _ in series.labels))
            types.setdefault(series.name, set()).add(kind)
    assert [name for name in labels if len(labels[name]) > 1 or len(types[name]) > 1] == []


def test_airflows_names_are_those_of_the_installed_airflow_and_what_nobody_asked_for_is_dropped() -> None:
    ours = [rule for rule in mapping() if rule["match"].startswith("airflow.")]
    found = Series("found", ())
    unknown = [
        rule["match"]
        for rule in ours
        if found not in {expand(name, ({"match": rule["match"], "name": "found"},)) for name in airflow_names()}
    ]
    assert unknown == []
    finish = expand("airflow.ti.finish.nightly_shop.train.success")
    assert finish
    assert dict(finish.labels) == {"dag_id": "nightly_shop", "task_id": "train", "state": "success"}
    assert expand("airflow.ti.finish") is None, "the same without names is not counted twice"
    assert expand("airflow.serde.load_serializers") is None


@pytest.mark.parametrize("where", sorted(expressions()))
def test_every_series_of_a_rule_or_a_panel_exists(where: str) -> None:
    assert missing(expressions()[where]) == []


def test_a_name_or_a_step_that_does_not_exist_is_found() -> None:
    assert missing('sum by (step) (rate(recjobs_stepz_total{step="gate"}[5m]))') == ["recjobs_stepz_total"]
    assert missing('recjobs_quarantined{step="gate"} / recjobs_read{step="validate"}') == [
        "recjobs_quarantined{step=gate}"
    ]
    assert missing('max({__name__=~"recjobs_drifted_.*"})') == ["recjobs_drifted_.*"]
    assert missing("time() - max(up) unless on (catalog) nothing") == ["nothing"]


def test_every_number_of_a_night_stands_on_a_board_or_in_an_alert() -> None:
    shown = {name for expression in expressions().values() for name, _ in selectors(expression)}
    patterns = [m["__name__"][1] for e in expressions().values() for name, m in selectors(e) if not name]
    unseen = {
        series.name
        for name, _ in sent()
        if (series := expand(name))
        and not {series.name, series.name + "_count"} & shown
        and not [p for p in patterns if re.fullmatch(p, series.name)]
    }
    assert unseen == set()
