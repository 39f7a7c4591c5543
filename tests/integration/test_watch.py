"""Numbers of real nights and requests, through a real receiver, in a real Prometheus and Alertmanager: every panel has
something to show, and trouble that is planted is told of. What the shipped files are held to without processes is in
tests/contract/test_grafana_*.py."""

import json
import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import numpy as np
import pytest

from tests.commands import ROOT, environment_of
from tests.debian_tools import needed
from tests.monitoring import Monitoring, wait_for
from tests.prometheus_names import GRAFANA
from tests.webapp_world import free_port
from tests.worlds import CATALOG, EARLIER, MakeWorld, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="takes minutes: `make soak`"),
]

ABSURD = ("--set", "factors=1", "--set", "regularization=1.0e+9", "--set", "alpha=1.0e-3")
"""A recipe whose candidate is refused."""
LATER = ("2025-06-20", "2025-06-22", "2025-06-24")
LIMITS = {"drift": {"min_interactions": 50, "window_days": 20}, "max_rejected_share": 0.5}

NOT_HERE = {
    "container_": "cAdvisor", "kube_": "kube-state-metrics", "DCGM_": "a GPU", "recjobs_backup_": "the back-up",
    "airflow_": "Airflow: its names are held against the installed one",
}  # fmt: skip
"""Series that nothing on this machine has: promtool makes them by hand."""


@pytest.fixture(scope="module")
def watched(make_world: MakeWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Monitoring]]:
    """A shop with lists that are live, web apps and exporters beside it, and all of it read by Prometheus."""
    folder = tmp_path_factory.mktemp("monitoring")
    world = make_world(limits=LIMITS, gate=CATALOG["gate"] | {"approval": "required"})
    ports = {name: free_port() for name in ("webapp", "node", "postgres", "blackbox", "tls")}
    at = {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}
    monitoring = Monitoring(
        folder,
        {"webapp": at["webapp"], "node-exporter": at["node"], "postgres-exporter": at["postgres"],
         "certificates": [f"https://127.0.0.1:{ports['tls']}"], "blackbox-exporter": at["blackbox"]},
    )  # fmt: skip
    web = None
    try:
        monitoring.start("prometheus-node-exporter", f"--web.listen-address={at['node'][0]}")
        monitoring.start(
            "prometheus-postgres-exporter", f"--web.listen-address={at['postgres'][0]}",
            DATA_SOURCE_NAME=_keywords(world.postgres.cluster.url("admin")), PATH=os.environ["PATH"],
        )  # fmt: skip
        _certificate(folder, ports["tls"])
        (folder / "blackbox.yaml").write_text(
            "modules: {http_2xx: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}}\n"
        )
        monitoring.start(
            "prometheus-blackbox-exporter", f"--config.file={folder}/blackbox.yaml",
            f"--web.listen-address={at['blackbox'][0]}",
        )  # fmt: skip
        reader = world.postgres.settings["RECJOBS_READER_URL"]
        settings = {"RECJOBS_READER_URL": reader, "RECJOBS_STATE": str(folder), "WEBAPP_PORT": str(ports["webapp"])}
        assert world.night("--as-of", EARLIER, **monitoring.settings).code == 0
        with (folder / "webapp.log").open("wb") as log:
            web = subprocess.Popen(
                [sys.executable, "-m", "webapp"], cwd=ROOT, env=environment_of(settings), stdout=log, stderr=log
            )
        wait_for(lambda: urllib.request.urlopen(f"http://{at['webapp'][0]}/readyz").status == 200, "a web app")
        world.url = f"http://{at['webapp'][0]}"  # type: ignore[attr-defined]
        yield world, monitoring
    finally:
        if web:
            web.terminate()
            web.wait(30)
        monitoring.stop()


class Answer(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _keywords(url: str) -> str:
    """The URL with a switch that Debian's exporter needs."""
    return url + ("&" if "?" in url else "?") + "sslmode=disable"


def _certificate(folder: Path, port: int) -> None:
    """Serve HTTPS with a certificate that ends in ten days."""
    subprocess.run(
        [needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=shop",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    server = HTTPServer(("127.0.0.1", port), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(world: World, path: str) -> int:
    try:
        with urllib.request.urlopen(f"{world.url}/v1/{world.name}/{path}") as answer:  # type: ignore[attr-defined]
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def panels() -> dict[str, str]:
    """The expression of each panel."""
    found = {}
    for file in sorted((GRAFANA / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == "prometheus":
                    found[f"{file.stem}: {panel['title']} {target['refId']}"] = target["expr"].replace("$catalog", ".*")
    return found


def test_planted_trouble_is_told_of_and_every_panel_has_something_to_show(watched: tuple[World, Monitoring]):
    needed("prometheus")
    world, monitoring = watched
    goods = world.goods
    sent = monitoring.settings
    # three candidates are refused, and before the next night somebody moves MLflow's alias
    for as_of in LATER:
        done = world.night("--as-of", as_of, *ABSURD, **sent)
        assert done.code == 0, done.err
    client = mlflow.MlflowClient(world.settings["MLFLOW_TRACKING_URI"])
    client.delete_registered_model_alias(world.name, "champion")
    # prices moved, and many rows are broken
    later = goods.sound["at"] > goods.sound["at"].max() - (goods.sound["at"].max() - goods.sound["at"].min()) / 10
    heavier = goods.sound.assign(quantity=np.where(later, 64.0, goods.sound["quantity"]))
    broken = {f"bad {k}": {"quantity": -1.0, "user": f"u{k}"} for k in range(len(heavier) // 8)}
    world.write(replace(goods, sound=heavier, bad=broken), limits=LIMITS, gate=world.catalog["gate"])
    done = world.night(*("--set", "alpha=10.0001"), **sent)
    assert done.code == 0, done.err
    # half of the file, on the next night
    world.write(replace(goods, sound=goods.sound.sample(frac=0.2, random_state=1)), limits=LIMITS)
    assert world.night(**sent).code == 65
    assert world.recjobs("prune", **sent).code == 0
    for _ in range(20):
        assert ask(world, "recommendations?user_id=user001") == 200
        assert ask(world, "recommendations?user_id=nobody") == 200
        assert ask(world, "popular") == 200
    assert ask(world, "recommendations") == 400

    told = ("NightFailed", "CandidateRefusedRepeatedly", "QuarantineShareHigh", "InputDrifts", "AliasMismatch",
            "CertificateExpires", "ApprovalWaits")  # fmt: skip
    for alert in told:
        wait_for(lambda alert=alert: monitoring.fires(alert), alert)
    assert [a["catalog"] for a in monitoring.fires("NightFailed")] == [world.name]
    assert "weights" in {a["feature"] for a in monitoring.fires("InputDrifts")}
    for alert in ("DeadlineMissed", "NightSkipped", "WebAppAway", "PostgresAway", "ListsStale", "ErrorBudgetBurnsFast"):
        assert not monitoring.fires(alert), alert
    wait_for(
        lambda: {a["labels"]["alertname"] for b in monitoring.webhook.bodies for a in b["alerts"]} >= {*told},
        "messages",
    )
    texts = [text for alert in monitoring.alerts() for text in alert["annotations"].values()]
    assert [text for text in texts if "error" in text.lower() or "<no value>" in text or "{{" in text] == []
    assert monitoring.webhook.headers[0]["Authorization"] == "Bearer a token for a test"

    def empty() -> list[str]:
        return [
            where
            for where, expression in panels().items()
            if not re.search(rf"\b({'|'.join(NOT_HERE)})", expression) and not monitoring.query(expression)
        ]

    wait_for(lambda: not empty(), "data for each panel; empty are " + "; ".join(empty()))


def test_a_publish_ends_the_alert_and_an_error_is_seen(watched: tuple[World, Monitoring]):
    """Runs after the night that failed."""
    world, monitoring = watched
    world.write(shop(), limits=LIMITS)
    assert wait_for(lambda: monitoring.fires("NightFailed"), "the night that failed")
    assert world.night("--force", "it is whole again", **monitoring.settings).code == 0
    wait_for(lambda: not monitoring.query('ALERTS{alertname="NightFailed", alertstate="firing"}'), "the end of it", 400)
