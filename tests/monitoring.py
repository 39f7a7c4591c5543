"""The monitoring of this machine: Debian's Prometheus and Alertmanager with the files that we ship, and its collectd in
place of statsd_exporter, which Debian does not have: Prometheus relabels what collectd shows by the rules of
grafana/statsd-mapping.yaml.

What differs from the shipped files, so that a test need not wait: numbers are read every second, alerts are raised at
once (`for` is held by promtool), and targets have addresses of this machine.
"""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.debian_tools import needed
from tests.prometheus_names import GRAFANA, mapping, panels
from tests.webapp_world import free_port

START_SECONDS = 120
QUANTILES = {"percentile-50": "0.5", "percentile-99": "0.99"}


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
    """Return what a condition returns once it is true."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        assert time.monotonic() < give_up, f"{what} did not come about in {seconds:g} s"
        time.sleep(0.2)


class Webhook:
    """Receives what is posted."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.headers.append(dict(self.headers))
                received.bodies.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def relabeled(rules: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """Return `metric_relabel_configs` that make of collectd's series what statsd_exporter makes of the same names."""
    steps: list[dict[str, Any]] = []
    kinds = {"gauge": ("gauge", "", ""), "counter": ("derive_total", "", "")}
    kinds |= {suffix: ("latency", f"-{suffix}", "") for suffix in QUANTILES}
    kinds |= {"count": ("gauge", "-count", "_count"), "sum": ("latency", "-sum", "_sum")}
    for rule in rules:
        if rule.get("match_type", "glob") != "glob":
            continue
        pattern = re.escape(rule["match"]).replace(r"\*", "([^.-]*)" if rule["match"].endswith("*") else "([^.]*)")
        for kind, (type_name, ending, suffix) in kinds.items():
            source = {
                "source_labels": ["__name__", "statsd"],
                "regex": f"collectd_statsd_{type_name};{pattern}{ending}",
            }
            steps += [
                source | {"target_label": key, "replacement": text} for key, text in rule.get("labels", {}).items()
            ]
            if kind in QUANTILES:
                steps.append(source | {"target_label": "quantile", "replacement": QUANTILES[kind]})
            steps.append(source | {"target_label": "__name__", "replacement": rule["name"] + suffix})
    return [
        *steps,
        {"action": "labeldrop", "regex": "statsd"},
        {"source_labels": ["__name__"], "regex": "collectd_.*", "action": "drop"},
    ]


class Monitoring:
    """collectd, Prometheus and Alertmanager in a folder."""

    def __init__(self, folder: Path, targets: dict[str, list[str]]) -> None:
        self.folder, self.webhook = folder, Webhook()
        self.statsd_port, shown, self._prometheus, self._alertmanager = (free_port() for _ in range(4))
        self.processes: list[subprocess.Popen[bytes]] = []
        self._collectd(shown)
        self._alert_manager()
        self._prometheus_server(targets | {"statsd-exporter": [f"127.0.0.1:{shown}"]})

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a process that sends StatsD here."""
        return {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(self.statsd_port)}

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression has now."""
        url = f"http://127.0.0.1:{self._prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        found: list[dict[str, Any]] = get(url)["data"]["result"]
        return found

    def fires(self, alert: str) -> list[dict[str, str]]:
        """The labels of an alert that Alertmanager has."""
        alerts = get(f"http://127.0.0.1:{self._alertmanager}/api/v2/alerts")
        return [each["labels"] for each in alerts if each["labels"]["alertname"] == alert]

    def shows(self, panel: str, **labels: str) -> list[float]:
        """The numbers that a panel has now, such as "night: Waits for a person", of the series with these labels."""
        asked = [one for name, one in panels().items() if name.rpartition(" ")[0] == panel]
        assert asked, panel
        series = [one for expression in asked for one in self.query(expression)]
        return [float(one["value"][1]) for one in series if labels.items() <= one["metric"].items()]

    def raised(self, alert: str, **labels: str) -> list[dict[str, Any]]:
        """What Prometheus raises of an alert now, with these labels."""
        chosen = "".join(f', {name}="{value}"' for name, value in labels.items())
        return self.query(f'ALERTS{{alertname="{alert}", alertstate="firing"{chosen}}}')

    def alerts(self) -> list[dict[str, Any]]:
        """All that Alertmanager has."""
        found: list[dict[str, Any]] = get(f"http://127.0.0.1:{self._alertmanager}/api/v2/alerts")
        return found

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)
        self.webhook.close()

    def start(self, name: str, *command: str | Path, **environment: str) -> None:
        """Start a program that is stopped with the others."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    [needed(name), *command], stdout=log, stderr=log, cwd=self.folder, env=environment or None
                )
            )

    def _collectd(self, shown: int) -> None:
        (self.folder / "collectd.conf").write_text(f"""
            Hostname "here"
            FQDNLookup false
            BaseDir "{self.folder}"
            PIDFile "{self.folder}/collectd.pid"
            TypesDB "/usr/share/collectd/types.db"
            Interval 1
            LoadPlugin statsd
            LoadPlugin write_prometheus
            <Plugin statsd>
                Host "127.0.0.1"
                Port "{self.statsd_port}"
                TimerPercentile 50.0
                TimerPercentile 99.0
                TimerSum true
                TimerCount true
            </Plugin>
            <Plugin write_prometheus>
                Host "127.0.0.1"
                Port "{shown}"
            </Plugin>
        """)
        self.start("collectd", "-f", "-C", self.folder / "collectd.conf")

    def _alert_manager(self) -> None:
        config = yaml.safe_load((GRAFANA / "alertmanager.yaml").read_text())
        (hook,) = next(r for r in config["receivers"] if r["name"] == "webhook")["webhook_configs"]
        hook["url"] = self.webhook.url
        config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        (self.folder / "secrets").mkdir()
        (self.folder / "secrets" / "webhook_token").write_text("a token for a test")
        (self.folder / "alertmanager.yaml").write_text(yaml.safe_dump(config))
        self.start(
            "prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yaml",
            f"--storage.path={self.folder}/alertmanager", "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{self._alertmanager}",
        )  # fmt: skip
        wait_for(lambda: get(f"http://127.0.0.1:{self._alertmanager}/api/v2/status"), "Alertmanager")

    def _prometheus_server(self, targets: dict[str, list[str]]) -> None:
        config = yaml.safe_load((GRAFANA / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{self._alertmanager}"]}]}]
        own = {"prometheus": [f"127.0.0.1:{self._prometheus}"], "alertmanager": [f"127.0.0.1:{self._alertmanager}"]}
        jobs = []
        for job in config["scrape_configs"]:
            if addresses := (own | targets).get(job["job_name"]):
                plain = {k: v for k, v in job.items() if not k.endswith("sd_configs") and k != "static_configs"}
                jobs.append(
                    plain
                    | {"static_configs": [{"targets": addresses}], "scrape_interval": "1s", "scrape_timeout": "1s"}
                )
        receiver = next(job for job in jobs if job["job_name"] == "statsd-exporter")
        # collectd stamps its samples itself.
        receiver |= {"metric_relabel_configs": relabeled(mapping()), "honor_timestamps": False}
        if blackbox := targets.get("blackbox-exporter"):
            for job in jobs:
                if job["job_name"] == "certificates":
                    job["relabel_configs"][-1]["replacement"] = blackbox[0]
        config["scrape_configs"] = jobs
        shutil.copytree(GRAFANA / "rules", self.folder / "rules")
        for file in (self.folder / "rules").glob("*.yaml"):
            file.write_text(re.sub(r"^ +for: .*\n", "", file.read_text(), flags=re.MULTILINE))
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.start(
            "prometheus", f"--config.file={self.folder}/prometheus.yaml",
            f"--storage.tsdb.path={self.folder}/prometheus", f"--web.listen-address=127.0.0.1:{self._prometheus}",
        )  # fmt: skip
        wait_for(lambda: self.query("up"), "Prometheus")
