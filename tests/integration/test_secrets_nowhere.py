"""After nights that succeed and nights that are made to fail in every way, no secret of any setting is anywhere.

Neither in logs, artifacts, reports, MLflow, tables, Airflow's records and answers of the web app, nor in the arguments
of a process.
"""

import base64
import contextlib
import hashlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from local import ports
from local.postgres import Cluster
from recjobs.config import ROOT
from tests import oidc_provider
from tests.commands import Command, Done
from tests.integration.test_logs import RUN
from tests.replicas import Replica, status, wait_for
from tests.s3_server import Server, running
from tests.secret_search import SecretSearch
from tests.secret_settings import CANARY, canary, secret_settings, with_canaries
from tests.worlds import COLUMNS, Postgres, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="a dozen nights, MLflow in Postgres, Airflow"),
]
ROLES = ("OWNER", "LOADER", "PUBLISHER", "READER", "EDITOR", "WEB")
KEY, OPERATOR = (CANARY.format(name) for name in ("api-key-itself", "operator-itself"))


@dataclass
class Machine:
    """A platform of its own, all of whose settings that can hold a secret hold one, and what it has said."""

    cluster: Cluster
    world: World
    store: Server
    settings: dict[str, str]
    secrets: dict[str, str]
    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    def recjobs(self, *arguments: str, catalog: bool = True, **settings: str) -> Done:
        verb, *more = arguments
        named = (verb, "--catalog", self.world.name, *more) if catalog else arguments
        done = Command(named, {**self.settings, **settings}).wait()
        self.said[f"{len(self.said)} {' '.join(arguments)}"] = done.out + done.err
        return done


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    cluster = Cluster(folder / "platform", ports.any_free())
    cluster.start()
    try:
        with running() as store, oidc_provider.running() as provider:
            yield _machine(folder, cluster, store, provider.url)
    finally:
        cluster.stop()


def _machine(folder: Path, cluster: Cluster, store: Server, issuer: str) -> Machine:
    fernet = base64.urlsafe_b64encode(hashlib.sha256(b"fernet").digest()).decode()
    settings = with_canaries(ports.any_free()) | cluster.urls() | {
        "RECJOBS_CONNECTION_SHOP": cluster.url(),
        "AIRFLOW__CORE__FERNET_KEY": fernet,
        "RECJOBS_BACKUP_KEY": _hash("back-ups"),
        "RECJOBS_AIRFLOW_DATABASE_URL": cluster.url("airflow", "airflow", "postgresql+psycopg2"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": cluster.url("airflow", "airflow", "postgresql+psycopg2"),
        "RECJOBS_API_KEYS": f"shop:{_hash(KEY)}",
        "WEBAPP_OPERATORS": f"alice:{_hash(OPERATOR)}",
        "WEBAPP_OIDC_ISSUER": issuer,
        "WEBAPP_OIDC_CLIENT_ID": "recjobs",
        "WEBAPP_ROLES": "everybody=viewer",
        "RECJOBS_ARTIFACTS": "s3://bucket/artifacts",
        "OTEL_TRACES_EXPORTER": "otlp",
        **store.settings,
        "AWS_SECRET_ACCESS_KEY": canary("AWS_SECRET_ACCESS_KEY"),
    }  # fmt: skip
    world = World(folder / "world", "shop", Postgres(cluster), settings["MLFLOW_TRACKING_URI"]).write(shop(60))
    secrets = {name: canary(name) for name in secret_settings()}
    secrets |= {f"password of {role}": password for role, password in cluster._passwords().items()}
    secrets |= {"the API key": KEY, "the operator's": OPERATOR, "AIRFLOW__CORE__FERNET_KEY": fernet}
    secrets["RECJOBS_BACKUP_KEY"] = settings["RECJOBS_BACKUP_KEY"]
    secrets |= {name: settings[name].partition(":")[2] for name in ("RECJOBS_API_KEYS", "WEBAPP_OPERATORS")}
    return Machine(cluster, world, store, world.settings | settings, secrets, folder)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _nights(machine: Machine) -> None:
    """Nights that succeed, and one for each way to fail that quotes what it was given."""
    world, away = machine.world, f"127.0.0.1:{ports.any_free()}"
    assert machine.recjobs("migrate", catalog=False).code == 0
    done = machine.recjobs("night", "--json", "--as-of", "2025-06-18")
    assert done.code == 0, done.err
    batch_id = done.json["batch_id"]
    urls = {name: value for name, value in machine.settings.items() if value.startswith("postgresql")}
    broken = {
        "a wrong password": lambda url: url.replace("://recjobs_", "://nobody_"),
        "a server that is away": lambda url: url.split("?")[0].replace("@/", f"@{away}/"),
        "no scheme": lambda url: url.replace("://", "//", 1),
        "a port that is none": lambda url: url.split("?")[0].replace("@/", "@127.0.0.1:port/"),
        "a driver that is none": lambda url: url.replace("postgresql", "postgresql+nothing", 1),
        "a database that is not there": lambda url: url.replace("@/", "@/not_there_", 1),
    }
    for n, (why, change) in enumerate(broken.items()):
        log = {"RECJOBS_LOG": ("text", "json")[n % 2]}
        for group in (ROLES, ("MLFLOW_TRACKING_URI",)):
            names = [f"RECJOBS_{name}_URL" if name in ROLES else name for name in group]
            changed = {name: change(urls[name]) for name in names}
            for verb in (("night",), ("publish", "--batch-id", batch_id), ("report", "--batch-id", batch_id)):
                failed = machine.recjobs(*verb, **changed, **log)
                assert failed.code != 0 or group == ("MLFLOW_TRACKING_URI",), (why, verb)
            machine.recjobs("status", catalog=False, **changed, **log)
            machine.recjobs("back-up", "--to", str(machine.folder / f"back-ups {n}"), catalog=False, **changed, **log)
    for wrong in ({"AWS_ENDPOINT_URL": f"http://{away}"}, {"AWS_ACCESS_KEY_ID": "another"}):
        assert machine.recjobs("night", **wrong).code != 0, wrong
    query = {"connection": "shop", "sql": "select nothing from nowhere", "columns": COLUMNS}
    world.write_catalog({**world.catalog, "sources": [query]})
    shop = urls["RECJOBS_CONNECTION_SHOP"]
    for url in (shop, *(change(shop) for change in broken.values())):
        assert machine.recjobs("night", RECJOBS_CONNECTION_SHOP=url).code != 0
    world.write_catalog(world.catalog)
    assert machine.recjobs("night", "--set", "limits.min_interactions=1000000").code == 65
    assert machine.recjobs("night", "--json").code == 0
    back_ups = str(machine.folder / "back-ups")
    assert machine.recjobs("back-up", "--to", back_ups, catalog=False).code == 0
    for verb in (("prune",), ("roll-back",), ("erase-user", "--user-id", "user003"), ("plan",), ("check",)):
        done = machine.recjobs(*verb)
        assert done.code == 0, done.err
    for verb in (("status",), ("status", "--json"), ("audit",)):
        assert machine.recjobs(*verb, catalog=False).code == 0


def _airflow(machine: Machine) -> None:
    """A night by the DAG that ends well, and two whose tasks fail with what they were given."""
    home = machine.folder / "airflow"
    environment = machine.settings | {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(home), "HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__LOGGING__JSON_LOGS": "True",
    }  # fmt: skip
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)
    for why, more in {
        "well": {},
        "MLflow": {"MLFLOW_TRACKING_URI": environment["MLFLOW_TRACKING_URI"].replace("://", "//")},
        "Postgres": {"RECJOBS_PUBLISHER_URL": environment["RECJOBS_PUBLISHER_URL"].replace("://", "//")},
    }.items():
        command = [sys.executable, "-W", "ignore", "-c", RUN, str(ROOT / "dags"), f"nightly_{machine.world.name}"]
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=900, check=False)
        machine.said[f"Airflow, {why}"] = done.stdout + done.stderr
        assert ("ended in" in done.stdout + done.stderr) == (why != "well"), machine.said[f"Airflow, {why}"][-3000:]


def _web_app(machine: Machine) -> None:
    """Every page that has no parameter and some that have, to anybody, a key and an operator, also while it fails."""
    cluster: Any = machine.cluster
    away = machine.settings["RECJOBS_WEB_URL"].split("?")[0].replace("@/", "@127.0.0.1:1/")
    for name, log, more in (("web", "text", {}), ("away", "json", {"RECJOBS_WEB_URL": away})):
        settings = machine.settings | more | {"WEBAPP_REQUEST_LOG": "true", "RECJOBS_LOG": log}
        replica = Replica(cluster, name, machine.folder, **settings)
        root = f"http://127.0.0.1:{replica.port}"
        try:
            wait_for(partial(_answers_or_ended, replica), 120)
            _ask(machine, root, must_answer=not more)
        finally:
            replica.stop()


def _answers_or_ended(replica: Replica) -> bool:
    return status(f"http://127.0.0.1:{replica.port}/healthz") == 200 or replica.process.poll() is not None


def _ask(machine: Machine, root: str, must_answer: bool) -> None:
    shop = machine.world.name
    pages = [f"/{page}?catalog={shop}" for page in ("", "runs", "rules", "changes")]
    probes = [
        "/",
        "/docs",
        "/info",
        "/metrics",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/sign-in",
        "/%00",
        "/" + "x" * 9000,
    ]
    lists = [f"/v1/{shop}/popular", f"/v1/{shop}/recommendations?user_id=user001", "/v1/nothing/popular"]
    for bearer in ("", KEY, OPERATOR, f"{KEY}x"):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        for path in (*pages, *probes, *lists, "/sign-in/callback?code=x&state=y"):
            request = urllib.request.Request(root + path, headers=headers)
            with contextlib.suppress(ConnectionError):
                machine.said[f"{path} {bearer[:12]} {root}"] = _answer(request)
    for secret in (OPERATOR, f"{OPERATOR}x"):
        form = urlencode({"name": "alice", "secret": secret}).encode()
        machine.said[f"sign-in {secret[-3:]} {root}"] = _answer(urllib.request.Request(f"{root}/sign-in", form))
    assert not must_answer or "items" in machine.said[f"/v1/{shop}/popular {KEY[:12]} {root}"]


def _answer(request: urllib.request.Request) -> str:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(request, timeout=60) as answer:
            return f"{answer.headers}{answer.read().decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode(errors='replace')}"
    except urllib.error.URLError as error:
        raise ConnectionError(str(error)) from None


def everywhere(machine: Machine, search: SecretSearch) -> set[str]:
    """Search all that the platform has left."""
    search.found = set()
    search.files(machine.folder, [machine.cluster.pgpass])  # where passwords belong
    for name, content in machine.store.objects.items():
        search.look(content, name)
        search.look(name, "names of objects")
    for database in ("recjobs", "mlflow", "airflow", "postgres"):
        search.tables(machine.cluster.url(database=database))
    for what, text in machine.said.items():
        search.look(text, what)
    return search.found


def test_no_secret_is_anywhere_after_nights_that_fail_in_every_way(machine: Machine, figure: Any):
    search = SecretSearch(machine.secrets)
    with search.process_arguments():
        _nights(machine)
        _airflow(machine)
        _web_app(machine)
    assert search.found == set(), "arguments of processes"
    assert everywhere(machine, search) == set()
    assert any("***" in text for text in machine.said.values()), "libraries do quote what they were given"
    figure(f"O, A3: {len(machine.secrets)} secrets in {search.places} places: none found")

    password = machine.secrets["password of recjobs_loader"]
    (machine.folder / "planted.log").write_text(f"login failed: {quote(password)}")
    machine.store.objects["bucket/artifacts/planted"] = canary("WEBAPP_SECRET_KEY").encode()
    machine.world.rows("insert into begin_records (state, reason) values ('failed', %s)", KEY, role="admin")
    with search.process_arguments():
        subprocess.run([sys.executable, "-c", "import time; time.sleep(2)", OPERATOR], check=True)
        planted = search.found
    assert {text.partition(" in ")[0] for text in planted} == {"the operator's"}
    found = {text.partition(" in ")[0] for text in everywhere(machine, search)}
    assert found == {"password of recjobs_loader", "WEBAPP_SECRET_KEY", "the API key"}
