"""OpenTelemetry's traces, read by a collector: from a slow request to its SQL, and from a batch to its steps. Off, or
with a collector that is away, nothing else changes."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import Request, urlopen

import psycopg2

from recjobs import NIGHT
from tests.commands import ROOT
from tests.otlp_collector import Collector, Span
from tests.replicas import Replica, status, wait_for
from tests.webapp_world import World as WebWorld
from tests.webapp_world import free_port
from tests.worlds import EARLIER, MakeWorld

pytest_plugins = ["tests.webapp_fixtures"]

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WAIT_SECONDS = 1.5


def ask(port: int, path: str, **headers: str) -> int:
    request = Request(f"http://127.0.0.1:{port}{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})
    with urlopen(request, timeout=30) as response:
        return int(response.status)


def test_one_trace_leads_from_a_slow_request_to_its_sql(world: WebWorld, tmp_path: Path):
    with Collector() as collector:
        replica = Replica(world, "traced", tmp_path, WEBAPP_REQUEST_LOG="true", WEBAPP_STATEMENT_TIMEOUT_MS="20000",
                          WEBAPP_REQUEST_TIMEOUT_MS="25000", WEBAPP_KEEP_MB="0", **collector.settings)  # fmt: skip
        try:
            replica.wait_until_ready()
            sent = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X_Request_ID": "0123456789abcdef"}
            blocker = psycopg2.connect(world.url())
            with blocker.cursor() as cursor:
                cursor.execute("lock table shop.batch_records, shop.live_batch in access exclusive mode")
                release = threading.Timer(WAIT_SECONDS, blocker.rollback)
                release.start()
                assert ask(replica.port, "/v1/shop/recommendations?user_id=u0001", **sent) == 200
                release.join()
            blocker.close()
            wait_for(
                lambda: any(span.trace_id == TRACE and "http.route" in span.attributes for span in collector.spans)
            )
            assert ask(replica.port, "/v1/shop/similar?item_id=item5") == 200
            assert status(f"http://127.0.0.1:{replica.port}/v1/shop/similar?item_id=no-such-item") == 404
        finally:
            assert replica.stop() == 0, replica.log.read_text()
        assert ask_nobody(replica.port)
    spans = collector.spans
    assert {span.service for span in spans} == {"recjobs-webapp"}
    request, *statements = sorted(of_trace(spans, TRACE), key=lambda span: "http.route" not in span.attributes)
    assert (request.name, request.parent) == ("GET /v1/<catalog>/recommendations", CALLER)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/<catalog>/recommendations",
        "http.response.status_code": 200,
        "request_id": "0123456789abcdef",
    }
    assert {span.parent for span in statements} == {request.span_id}
    assert {span.attributes["db.namespace"] for span in statements} == {"shop"}
    assert {span.name for span in statements} <= {path.stem for path in (ROOT / "sql/queries/webapp").glob("*.sql")}
    in_sql = sum(span.seconds for span in statements)
    assert 0.9 * WAIT_SECONDS <= in_sql <= request.seconds
    assert in_sql >= 0.8 * request.seconds, "the wait was Postgres'"

    requests = [span for span in spans if "http.route" in span.attributes]
    assert [(span.attributes["http.route"].rpartition("/")[2], span.attributes["http.response.status_code"])
            for span in requests] == [("recommendations", 200), ("similar", 200), ("similar", 404)]  # fmt: skip
    assert len({span.trace_id for span in spans}) == 3, "no trace of a probe, or of what no request asked for"
    assert not any(span.is_error for span in requests)
    for sent_id in (b"u0001", b"item5", b"no-such-item"):
        assert sent_id not in collector.raw


def of_trace(spans: list[Span], trace_id: str) -> list[Span]:
    return [span for span in spans if span.trace_id == trace_id]


def ask_nobody(port: int) -> bool:
    return status(f"http://127.0.0.1:{port}/healthz") == 0


def test_one_trace_leads_from_a_batch_to_its_steps(make_world: MakeWorld):
    world = make_world()
    with Collector() as collector:
        traced = {**collector.settings, "RECJOBS_LOG": "json"}
        began = world.recjobs("begin", "--as-of", EARLIER, "--json", **traced)
        assert began.code == 0, began.err
        batch_id = began.json["batch_id"]
        # each a process of its own, as under Airflow
        assert world.recjobs("extract", "--batch-id", batch_id, **traced).code == 0
        done = world.night("--as-of", EARLIER, **traced)
        assert (done.code, done.json["batch_id"]) == (0, batch_id), done.err
        refused = world.night("--set", "limits.min_interactions=1000000", **traced)
        assert refused.code == 65
    trace_id = hashlib.sha256(f"{world.name}/{batch_id}".encode()).hexdigest()[:32]
    spans = of_trace(collector.spans, trace_id)
    assert {span.service for span in spans} == {"recjobs"}
    assert all(span.attributes["batch_id"] == batch_id and span.attributes["catalog"] == world.name for span in spans)
    first, *others = spans
    assert (first.name, first.parent) == ("begin", "")
    assert {span.parent for span in others} == {first.span_id}
    assert [span.name for span in others] == ["extract", "begin", *(step for step in NIGHT if step != "extract")]
    assert len({span.span_id for span in spans}) == len(spans)
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert {line["trace_id"] for line in lines if line["batch_id"]} == {trace_id}

    failed = collector.spans[-1]
    assert (failed.name, failed.is_error) == ("validate", True)
    assert failed.attributes["error.type"] == "DataRefused"
    assert failed.attributes["outcome"] == "refused"
    last = json.loads(refused.err.splitlines()[-1])
    assert (last["trace_id"], last["batch_id"]) == (failed.trace_id, failed.attributes["batch_id"])
    assert failed.trace_id != trace_id


def test_a_collector_that_is_away_stops_no_step_no_request_and_no_end(
    make_world: MakeWorld, world: WebWorld, tmp_path: Path
):
    nobody = f"http://127.0.0.1:{free_port()}"
    away = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": nobody}
    done = make_world().recjobs("begin", "--as-of", EARLIER, "--json", **away)
    assert done.code == 0, done.err
    assert "batch_id" in done.json
    replica = Replica(world, "alone", tmp_path, OTEL_BSP_SCHEDULE_DELAY="100", **away)
    try:
        replica.wait_until_ready()
        for _ in range(20):
            assert ask(replica.port, "/v1/shop/recommendations?user_id=u0001") == 200
    finally:
        began = time.monotonic()
        assert replica.stop() == 0, replica.log.read_text()
    assert time.monotonic() - began < 20
    assert "Traceback" not in replica.log.read_text()


LOADED = """
import json, sys
{planted}
from webapp import create_app
from webapp.settings import Settings, SettingsError
import recjobs.night.runner
try:
    create_app(Settings.load())
except SettingsError as error:
    print(error)
print(json.dumps([name for name in sys.modules if name.split(".")[0] == "opentelemetry" and sys.modules[name]]))
"""


def loaded(planted: str = "", **settings: str) -> tuple[str, list[str]]:
    environment = {**os.environ, "RECJOBS_WEB_URL": "postgresql://nobody@127.0.0.1:9/none", **settings}
    command = [sys.executable, "-c", LOADED.format(planted=planted) + "\nimport os; sys.stdout.flush(); os._exit(0)"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    message, _, modules = done.stdout.strip().rpartition("\n")
    return message, json.loads(modules)


def test_it_is_imported_only_where_it_is_on_and_its_absence_is_named():
    assert loaded(OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == ("", [])
    message, modules = loaded(OTEL_TRACES_EXPORTER="otlp")
    assert (message, "opentelemetry.sdk.trace" in modules) == ("", True)
    message, modules = loaded("sys.modules['opentelemetry'] = None", OTEL_TRACES_EXPORTER="otlp")
    assert "requirements-tracing.txt" in message
    assert modules == []
