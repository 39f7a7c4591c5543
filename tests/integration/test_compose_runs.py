"""docker/compose.yaml, run: each service that can be had here as a plain process, from the file's own command line,
environment, configuration and health check, in the order of its conditions, and a night through all of them."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from local import ports, postgres_binaries
from tests import s3_server
from tests.as_processes import Processes, make_cluster, program
from tests.commands import ROOT
from tests.compose import Service, services
from tests.kubernetes import overlay
from tests.monitoring import wait_for
from tests.network_flows import COMPOSE, ELSEWHERE, NIGHTS, SERVING, Sockets, faults, pods_of
from tests.replicas import status

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="Airflow and MLflow take minutes to start"),
]
SERVICES = services()
ORDER = [
    "postgres", "migrate", "airflow-migrate", "bucket", "airflow-api-server", "airflow-scheduler",
    "airflow-dag-processor", "mlflow", "webapp-1", "webapp-2", "webapp-3", "nginx", "alertmanager", "prometheus",
]  # fmt: skip
"""Each after what it waits for."""
PODS = {
    **{f"webapp-{n}": "webapp" for n in (1, 2, 3)},
    **{f"airflow-{name}": name for name in ("api-server", "scheduler", "dag-processor")},
    "nginx": "recjobs/ingress",
    "prometheus": "recjobs/monitoring",
}
"""What services are called in tests/network_flows.py, where their names are others."""
COMMANDS = {
    "recjobs migrate": "migration",
    "airflow db migrate": "run-airflow-migrations",
    "airflow db clean": "database-cleanup",
}


@dataclass
class Platform:
    """The services, and what the test asks them with."""

    processes: Processes
    secrets: Path
    ports: dict[str, int]
    store: s3_server.Server
    sockets: Sockets
    statsd: int

    def settings(self, name: str) -> dict[str, str]:
        own = SERVICES[name].environment(self.secrets)
        return {key: str(self.statsd) if key.endswith("STATSD_PORT") else value for key, value in own.items()}

    def run(self, name: str) -> str:
        return self.processes.run(name, SERVICES[name].argv, self.settings(name), 2000)

    def get(self, service: str, path: str, authorization: str = "") -> Any:
        headers = {"Authorization": authorization} if authorization else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[service]}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)

    def sign_in(self, line: str) -> str:
        lines = dict(re.split(r":\s+", text) for text in (self.secrets / "sign-in").read_text().splitlines())
        return lines[line]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("compose")
    folder.chmod(0o755)
    of = {name: ports.any_free() for name in ORDER if name not in {"migrate", "airflow-migrate", "bucket"}}
    secrets, programs = folder / "secrets", postgres_binaries.find()
    subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", secrets], check=True)
    for name in ("nginx/etc", "nginx/run", "airflow", "data", "etc", "prometheus", "alertmanager"):
        (folder / name).mkdir(parents=True)
    with s3_server.running() as store:
        table = {
            # hosts and ports
            "postgres:5432": f"127.0.0.1:{of['postgres']}",
            "http://store:9000": store.settings["AWS_ENDPOINT_URL"],
            "airflow-api-server:8080": f"127.0.0.1:{of['airflow-api-server']}",
            "0.0.0.0": "127.0.0.1",
            "statsd-exporter": "127.0.0.1",
            **{f"webapp-{n}:8000": f"127.0.0.1:{of[f'webapp-{n}']}" for n in (1, 2, 3)},
            "alertmanager:9093": f"127.0.0.1:{of['alertmanager']}",
            "localhost:9090": f"127.0.0.1:{of['prometheus']}",
            _by_name("webapp", 8000): _by_address([of[f"webapp-{n}"] for n in (1, 2, 3)]),
            "listen 8080": f"listen 127.0.0.1:{of['nginx']}",
            "127.0.0.1:8080": f"127.0.0.1:{of['nginx']}",
            # paths
            "/opt/airflow": str(folder / "airflow"),
            "/app/dags": str(ROOT / "dags"),
            "/app/catalogs": str(ROOT / "catalogs"),
            "/data": str(folder / "data"),
            "/setup": str(ROOT / "docker" / "setup"),
            "/tmp/recjobs": str(folder / "state"),
            "/etc/nginx": str(folder / "nginx" / "etc"),
            "/run/nginx": str(folder / "nginx" / "run"),
            "/etc/recjobs": str(folder / "etc"),
            "--storage.tsdb.path=/prometheus": f"--storage.tsdb.path={folder / 'prometheus'}",
            "--storage.path=/alertmanager": f"--storage.path={folder / 'alertmanager'}",
        }
        processes = Processes(folder, table)
        for path in (ROOT / "docker" / "nginx.conf", *sorted((ROOT / "grafana").rglob("*.yaml"))):
            top = folder / "nginx" / "etc" if path.name == "nginx.conf" else folder / "etc"
            copy = top / path.relative_to(path.parent if path.name == "nginx.conf" else ROOT / "grafana")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(processes.here(path.read_text()))
        s3 = dict(line.split("=") for line in (secrets / "s3.env").read_text().splitlines())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(s3_server, "KEY", s3["AWS_ACCESS_KEY_ID"])
            store.buckets = set()
            ends = {port: PODS.get(name, name) for name, port in of.items()} | {store.server_port: "object store"}
            sockets = Sockets(lambda process: _pod(processes, process), ends)
            with sockets, sockets.receiver("statsd-exporter") as statsd:
                found = Platform(processes, secrets, of, store, sockets, statsd)
                try:
                    _start(found, folder, programs)
                    yield found
                finally:
                    processes.stop()


def _pod(processes: Processes, process: psutil.Process) -> str | None:
    """In which pod a process would be: by its own title, else by whose child it is; None: one of the test's."""
    services = {started.pid: name for name, started in list(processes.running.items())}
    chain = [process, *process.parents()]
    if os.getpid() not in {each.pid for each in chain}:
        return None  # of another Airflow on this machine
    for each in chain:
        words = " ".join(each.cmdline())
        if words.startswith(("airflow worker", "airflow supervisor")):
            return "worker"
        if each.pid in services:
            return PODS.get(services[each.pid], services[each.pid])
        for command, name in COMMANDS.items():
            if command in words:
                return name
    return None


def _by_name(name: str, port: int) -> str:
    """How grafana/prometheus.yaml asks the containers' network for a name; this machine's knows none of them."""
    return f"dns_sd_configs:\n      - names: [{name}]\n        type: A\n        port: {port}\n"


def _by_address(numbers: list[int]) -> str:
    return f"static_configs:\n      - targets: {[f'127.0.0.1:{number}' for number in numbers]}\n"


def _start(platform: Platform, folder: Path, programs: Path) -> None:
    started: set[str] = set()
    for name in ORDER:
        service, settings = SERVICES[name], platform.settings(name)
        assert {n for n in service.raw.get("depends_on", {}) if n in ORDER} <= started, name
        if service.raw["restart"] == "no":
            platform.run(name)
            assert name != "bucket" or platform.store.buckets == {"recjobs"}
        else:
            argv, prefix, extra = _argv(service, platform, programs), [], []
            if name == "postgres":
                options = settings["POSTGRES_INITDB_ARGS"].split()
                prefix = [*make_cluster(programs, folder, settings["POSTGRES_PASSWORD"], options)]
                extra = ["-D", str(folder / "postgres" / "data"), "-k", str(folder / "postgres")]
                extra += ["-c", f"port={platform.ports['postgres']}", "-c", "listen_addresses=127.0.0.1"]
            own = {"WEBAPP_PORT": str(platform.ports[name])} if name.startswith("webapp") else {}
            if name == "mlflow":
                own = {"PGHOST": "127.0.0.1", "PGPORT": str(platform.ports["postgres"])}
                own["MLFLOW_SERVER_ALLOWED_HOSTS"] = "127.0.0.1:*"
            platform.processes.start(name, argv, settings | own, prefix, extra)
            _wait(platform, name, service, settings | own, programs)
            if name == "postgres":
                reach = {"PGHOST": "127.0.0.1", "PGPORT": str(platform.ports[name])}
                reach |= {"PGPASSWORD": settings["POSTGRES_PASSWORD"]}
                for _ in ("the image", "the second run"):
                    platform.processes.run("logins", ["sh", str(ROOT / "docker" / "logins.sh")], settings | reach)
        started.add(name)


def _argv(service: Service, platform: Platform, programs: Path) -> list[str]:
    """The command line, with the image's entrypoint before it and its own port in it."""
    entry = {
        "nginx": lambda: program("nginx", "nginx-light"),
        "prometheus": lambda: program("prometheus", "prometheus"),
        "alertmanager": lambda: program("prometheus-alertmanager", "prometheus-alertmanager"),
        "postgres": lambda: str(programs / "postgres"),
    }
    argv = service.argv
    if service.name in {"nginx", "postgres"}:
        argv[0] = entry[service.name]()
    elif service.name in entry:
        argv = [entry[service.name](), *argv]
    port = str(platform.ports[service.name])
    for old in ("8080", "5000"):
        argv = [port if word == old else word for word in argv]
    return [re.sub(r"(listen-address=0\.0\.0\.0:)\d+$", rf"\g<1>{port}", word) for word in argv]


def _wait(platform: Platform, name: str, service: Service, settings: dict[str, str], programs: Path) -> None:
    test = service.raw["healthcheck"]["test"][1:]
    port = str(platform.ports[name])
    test = [re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", word) for word in test]
    if name == "postgres":
        test = [str(programs / test[0]) if (programs / test[0]).exists() else test[0], *test[1:], f"--port={port}"]
    table, platform.processes.table = (
        platform.processes.table,
        {old: new for old, new in platform.processes.table.items() if not old.startswith("127.0.0.1")},
    )
    try:
        platform.processes.wait_until_healthy(name, test, settings)
    finally:
        platform.processes.table = table


def test_a_night_goes_through_all_of_it_to_a_list_and_again_changes_nothing(platform: Platform):
    assert platform.run("first-night") == "the first night of sample is live\n"
    key = f"Bearer {platform.sign_in('web app, API key')}"
    assert status(f"http://127.0.0.1:{platform.ports['nginx']}/v1/sample/popular") == 401
    popular = platform.get("nginx", "/v1/sample/popular?n=5", key)
    assert len(popular["items"]) == 5
    known = platform.get("nginx", "/v1/sample/recommendations?user_id=C1000&n=5", key)
    assert len(known["items"]) == 5
    assert any(name.startswith("recjobs/artifacts/sample/") for name in platform.store.objects)
    assert any("/_mlflow/" in name for name in platform.store.objects)
    batch = known["batch_id"]
    for name in ("migrate", "airflow-migrate", "bucket", "first-night"):
        platform.run(name)
    assert platform.get("nginx", "/v1/sample/recommendations?user_id=C1000&n=5", key)["batch_id"] == batch


class Airflow:
    """The REST API under FAB's auth manager, as one user of it."""

    def __init__(self, platform: Platform, name: str, password: str) -> None:
        self._url, self._token = f"http://127.0.0.1:{platform.ports['airflow-api-server']}", ""
        self._token = self.ask("POST", "/auth/token", {"username": name, "password": password})["access_token"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        content = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(self._url + path, content, headers, method=method), timeout=300
        ) as answer:
            return json.load(answer)

    def status(self, method: str, path: str, body: Any = None) -> int:
        try:
            self.ask(method, path, body)
        except urllib.error.HTTPError as error:
            return error.code
        return 200


def test_a_service_account_triggers_a_dag_by_rest_and_a_viewer_may_not(platform: Platform):
    admin = Airflow(platform, "admin", platform.settings("first-night")["AIRFLOW_ADMIN_PASSWORD"])
    for name, role in (("nights-bot", "User"), ("bob", "Viewer")):
        made = {"username": name, "email": f"{name}@example.com", "first_name": name, "last_name": name}
        admin.ask("POST", "/auth/fab/v1/users", made | {"roles": [{"name": role}], "password": f"the one of {name}"})
    bot, viewer = (Airflow(platform, name, f"the one of {name}") for name in ("nights-bot", "bob"))
    runs, run = "/api/v2/dags/prune/dagRuns", {"logical_date": None, "conf": {"dry_run": True}}
    wait_for(lambda: bot.status("GET", "/api/v2/dags/prune") == 200, "the DAG to be read")
    assert bot.status("POST", runs, run | {"dag_run_id": "by-a-bot"}) == 200
    assert viewer.status("GET", f"{runs}/by-a-bot") == 200, "a viewer looks"
    assert viewer.status("POST", runs, run | {"dag_run_id": "by-a-viewer"}) == 403
    assert viewer.status("POST", f"{runs}/by-a-bot/clear", {"dry_run": False}) == 403
    assert viewer.status("PATCH", "/api/v2/dags/prune", {"is_paused": True}) == 403
    assert bot.status("GET", f"{runs}/by-a-viewer") == 404
    for of in (bot, viewer):
        assert of.status("GET", "/auth/fab/v1/users") == 403
    bot._token = ""
    assert bot.status("POST", runs, run | {"dag_run_id": "by-nobody"}) == 401


def test_mlflow_has_the_model_for_who_signs_in(platform: Platform):
    path = "/api/2.0/mlflow/registered-models/get?name=sample"
    assert status(f"http://127.0.0.1:{platform.ports['mlflow']}{path}") == 401
    credentials = b64encode(f"admin:{platform.sign_in('MLflow, admin')}".encode()).decode()
    assert platform.get("mlflow", path, f"Basic {credentials}")["registered_model"]["name"] == "sample"


def test_nginx_does_not_pass_metrics_on(platform: Platform):
    assert status(f"http://127.0.0.1:{platform.ports['nginx']}/metrics") == 404


def test_prometheus_finds_every_replica_and_its_alertmanager(platform: Platform):
    wanted = {f"127.0.0.1:{platform.ports[name]}" for name in ("webapp-1", "webapp-2", "webapp-3", "alertmanager")}

    def answered() -> bool:
        targets = platform.get("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        return wanted <= {target["scrapeUrl"].split("/")[2] for target in targets if target["health"] == "up"}

    wait_for(answered, "an answer of each replica to Prometheus")
    active = platform.get("prometheus", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [each["url"].split("/")[2] for each in active] == [f"127.0.0.1:{platform.ports['alertmanager']}"]
    build = platform.get("prometheus", "/api/v1/query?query=recjobs_live_published_timestamp_seconds")
    assert {series["metric"]["catalog"] for series in build["data"]["result"]} == {"sample"}


def test_every_service_that_is_not_started_is_one_that_cannot_be_had(platform: Platform):
    left = set(SERVICES) - set(ORDER) - {"first-night"}
    assert left == {"store", "statsd-exporter", "grafana", "node-exporter", "postgres-exporter", "jaeger", "nginx-tls"}
    for name, process in platform.processes.running.items():
        assert process.poll() is None, name


def test_the_network_policies_allow_what_the_processes_open_and_nothing_else(platform: Platform):
    """By their sockets, from the first one's start to the end of the night and a look at its model."""
    credentials = b64encode(f"admin:{platform.sign_in('MLflow, admin')}".encode()).decode()
    model = platform.get("mlflow", "/api/2.0/mlflow/registered-models/get?name=sample", f"Basic {credentials}")
    run = model["registered_model"]["latest_versions"][0]["run_id"]
    platform.get("mlflow", f"/api/2.0/mlflow/artifacts/list?run_id={run}", f"Basic {credentials}")
    clean = ["airflow", "db", "clean", "--clean-before-timestamp", "2000-01-01", "--yes"]
    platform.processes.run("database-cleanup", clean, platform.settings("airflow-scheduler"), 2000)

    objects = overlay("production")
    pods = pods_of(objects)
    opened = {flow for flow in platform.sockets.flows if (flow[0] in pods or flow[1] in pods) and flow[0] != flow[1]}
    assert (SERVING | NIGHTS) - opened == set(), "each of them is open for long enough to be seen"
    assert opened - SERVING - NIGHTS - ELSEWHERE.keys() <= COMPOSE.keys()
    assert {(who, whom) for who, whom in platform.sockets.strangers if who in pods} == set()
    opened -= COMPOSE.keys()
    assert faults(objects, opened | ELSEWHERE.keys()) == []
    missing, planted = ("worker", "api-server", "TCP"), ("worker", "mlflow", "TCP")
    assert len(faults(objects, opened - {missing} | ELSEWHERE.keys())) == 2
    assert len(faults(objects, opened | {planted} | ELSEWHERE.keys())) == 2
