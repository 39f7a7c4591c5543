"""`make canary-check` and the analysis it shares its queries with, against an API that answers as Prometheus does."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from k8s.canary_check import TEMPLATE, judge, looks, metrics_of
from tests.commands import ROOT
from tests.prometheus_names import selectors

METRICS = metrics_of(yaml.safe_load(TEMPLATE.read_text(encoding="utf-8")), canary="webapp-next")
GOOD = {"requests": "120", "errors": "0.001", "p99": "1.1"}


class Prometheus(ThreadingHTTPServer):
    """Answers each metric's query with a value; None: with no series."""

    values: dict[str, str | None]


class Handler(BaseHTTPRequestHandler):
    server: Prometheus

    def do_GET(self) -> None:
        [query] = parse_qs(urlsplit(self.path).query)["query"]
        name = "p99" if "quantile" in query else "requests" if "increase" in query else "errors"
        value = self.server.values[name]
        result = [] if value is None else [{"metric": {}, "value": [0, value]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    server = Prometheus(("127.0.0.1", 0), Handler)
    server.values = dict(GOOD)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        ({}, 0, "promote the canary"),
        ({"errors": "0.1"}, 1, "remove the canary: errors is 0.1, and not <= 0.01"),
        ({"p99": "2"}, 1, "remove the canary: p99 is 2, and not <= 1.5"),
        ({"requests": "29"}, 1, "remove the canary: requests is 29, and not >= 30"),
        ({"p99": None}, 1, "remove the canary: p99 has no value"),
        ({"p99": "NaN"}, 1, "remove the canary: p99 has no value"),
    ],
)
def test_a_bad_canary_is_exit_code_1(prometheus: Prometheus, values: dict[str, str | None], code: int, said: str):
    prometheus.values |= values
    url = f"http://127.0.0.1:{prometheus.server_port}"
    command = [sys.executable, ROOT / "k8s" / "canary_check.py", url, "--now"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stdout


def test_one_bad_look_is_borne_and_two_are_not(prometheus: Prometheus):
    url = f"http://127.0.0.1:{prometheus.server_port}"
    quick = [replace(metric, initial_delay=0, interval=0) for metric in METRICS]
    assert judge(quick, url) is None
    prometheus.values["errors"] = "0.5"
    assert judge(quick, url) == "errors is 0.5, and not <= 0.01"


def test_a_bad_canary_is_gone_within_two_minutes():
    second_look = [at for at, metric in looks(METRICS) if metric.name == "errors"][METRICS[1].failure_limit]
    assert second_look <= 120


def test_the_queries_name_both_services_and_only_metrics_of_the_web_app():
    for metric in METRICS:
        assert 'service="webapp-next"' in metric.query
        assert ('service="webapp"' in metric.query) == (metric.name != "requests")
        assert selectors(metric.query)
        assert unexplained(metric.query) == []


def unexplained(query: str) -> list[str]:
    """Metrics and labels of a query that recjobs/metrics.yaml does not have; `service` is Prometheus' operator's."""
    known = yaml.safe_load((ROOT / "recjobs" / "metrics.yaml").read_text(encoding="utf-8"))["webapp"]
    found = []
    for name, labels in selectors(query):
        metric = known.get(name) or known.get(name.removesuffix("_bucket"))
        if metric is None:
            found.append(name)
        else:
            found += [f"{name}: {label}" for label in set(labels) - {"service", *metric["labels"]}]
    return found


def test_a_metric_or_label_that_does_not_exist_is_found():
    [errors] = [metric for metric in METRICS if metric.name == "errors"]
    assert "http_request_total" in unexplained(errors.query.replace("http_requests_total", "http_request_total"))
    assert "http_requests_total: code" in unexplained(errors.query.replace("status=~", "code=~"))


def test_a_condition_of_another_form_is_refused():
    template = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    template["spec"]["metrics"][0]["successCondition"] = "len(result) > 0"
    with pytest.raises(ValueError, match="requests"):
        metrics_of(template)
