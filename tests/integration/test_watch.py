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

from recjobs import NIGHT
from tests.commands import ROOT, environment_of
from tests.debian_tools import needed
from tests.monitoring import Monitoring, wait_for
from tests.prometheus_names import NOT_HERE, asked_by_alerts, panels
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

SAME_LISTS = ("--set", "weight_cap=1.0e+6")
"""A cap that no row comes near: to the gate a changed recipe, which has to be better, and is as good."""


@pytest.fixture(scope="module")
def watched(make_world: MakeWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Monitoring]]:
    """A shop with lists that are live, web apps and exporters beside it, and all of it read by Prometheus."""
    folder = tmp_path_factory.mktemp("monitoring")
    world = make_world(limits=LIMITS)
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


def waiting_for_a_person(make_world: MakeWorld, sent: dict[str, str]) -> tuple[World, str]:
    """A shop whose night has an inconclusive verdict, at the task that waits for the answer; and the batch.

    Its candidate begins where the fit of the champion ended, on the same rows, and ends once its lists do not change.
    """
    gate, model = CATALOG["gate"] | {"approval": "required"}, CATALOG["model"] | {"iterations": 100}
    world = make_world(gate=gate, model=model)
    world.publish("--as-of", EARLIER)
    begun = world.recjobs("begin", "--as-of", LATER[0], *SAME_LISTS, "--json", **sent)
    assert begun.code == 0, begun.err
    batch_id = str(begun.json["batch_id"])
    for step in NIGHT[: NIGHT.index("gate") + 1]:
        done = world.recjobs(step, "--batch-id", batch_id, "--json", **sent)
        assert done.code == 0, done.err
    verdict = json.loads(world.step(batch_id, "gate", "verdict.json").read_text())
    assert verdict["inconclusive"], verdict
    return world, batch_id


def test_planted_trouble_is_told_of_and_every_panel_has_something_to_show(
    watched: tuple[World, Monitoring], make_world: MakeWorld
):
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
    world.write(replace(goods, sound=heavier, bad=broken), limits=LIMITS)
    done = world.night("--set", "alpha=10.0001", **sent)
    assert done.code == 0, done.err
    # another catalog's candidate waits for a person
    asking, batch_id = waiting_for_a_person(make_world, sent)
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
    assert [a["catalog"] for a in monitoring.fires("ApprovalWaits")] == [asking.name]
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

    for shown, what in ((panels(), "data for each panel"), (asked_by_alerts(), "data for each alert")):
        here = {where: one for where, one in shown.items() if not of_others(one)}
        assert len(here) > len(shown) / 2
        try:
            wait_for(lambda here=here: all(monitoring.query(one) for one in here.values()), what)
        except AssertionError as error:
            raise AssertionError([where for where, one in here.items() if not monitoring.query(one)]) from error

    # "or `recjobs approve`": the night goes on
    done = asking.recjobs("approve", "--batch-id", batch_id, "--reason", "as good", **sent)
    assert done.code == 0, done.err
    wait_for(lambda: not monitoring.raised("ApprovalWaits"), "the end of ApprovalWaits")
    for step in NIGHT[NIGHT.index("refit") :]:
        assert asking.recjobs(step, "--batch-id", batch_id, **sent).code == 0
    assert asking.live() == batch_id
    assert asking.value("select approval from promotions where batch_id = %s", batch_id) == "approved"


def of_others(expression: str) -> bool:
    """Whether an expression asks for series that only other tests have."""
    return bool(re.search(rf"\b({'|'.join((*NOT_HERE, 'airflow_'))})", expression))


def test_a_publish_ends_the_alert_and_an_error_is_seen(watched: tuple[World, Monitoring]):
    """Runs after the night that failed."""
    world, monitoring = watched
    world.write(shop(), limits=LIMITS)
    assert wait_for(lambda: monitoring.fires("NightFailed"), "the night that failed")
    assert world.night("--force", "it is whole again", **monitoring.settings).code == 0
    wait_for(lambda: not monitoring.raised("NightFailed"), "the end of it", 400)
