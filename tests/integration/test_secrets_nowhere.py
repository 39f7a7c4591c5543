"""After nights that succeed and nights that are made to fail, no secret of any setting is anywhere: not in logs,
artifacts, MLflow, tables, Airflow's logs and records, answers of the web app or arguments of a process."""

import contextlib
import hashlib
import os
import re
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
import yaml

from local import ports
from local.postgres import Cluster
from tests import oidc_provider
from tests.commands import Command, Done
from tests.platforms import Platform, eventually
from tests.replicas import Replica, status, wait_for
from tests.s3_server import Server, running
from tests.secret_search import SecretSearch
from tests.secret_settings import CANARY, canary, secret_settings, with_canaries
from tests.worlds import COLUMNS, Postgres, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="a whole platform, whose nights fail"),
]
KEY, OPERATOR = (CANARY.format(name) for name in ("api-key-itself", "operator-itself"))
WAIT_SECONDS = 600
ROLES = ("OWNER", "LOADER", "PUBLISHER", "READER", "EDITOR", "WEB")
URLS = ("RECJOBS_DATABASE_URL", *(f"RECJOBS_{role}_URL" for role in ROLES))
BROKEN = {
    "user": lambda url: re.sub(r"://\w+:", "://nobody:", url),
    "scheme": lambda url: url.replace("://", "//", 1),
    "server": lambda url: url.split("?")[0].replace("@/", "@127.0.0.1:1/"),
    "port": lambda url: url.split("?")[0].replace("@/", "@127.0.0.1:port/"),
}
"""What is wrong with a URL: each makes another library quote it."""


@dataclass
class Deployment:
    """A platform, all of whose settings that can hold a secret hold one; `said` is what it printed and answered."""

    folder: Path
    cluster: Cluster
    store: Server
    world: World
    platform: Platform
    secrets: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def recjobs(self, *arguments: str, **settings: str) -> Done:
        done = Command(arguments, self.platform.settings | settings).wait()
        self.said[f"{len(self.said)} {' '.join(arguments)}"] = done.out + done.err
        return done


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    cluster = Cluster(tmp_path / "server", ports.any_free())
    cluster.start()
    try:
        with running() as store, oidc_provider.running() as provider:
            made = _deployment(tmp_path, cluster, store, provider.url)
            try:
                yield made
            finally:
                made.platform.run("down")
    finally:
        cluster.stop()


def _deployment(folder: Path, cluster: Cluster, store: Server, issuer: str) -> Deployment:
    airflow, state = cluster.url("airflow", "airflow", "postgresql+psycopg2"), folder / "state"
    world = World(folder / "world", "shop", Postgres(cluster), "").write(shop(60))
    settings = with_canaries(ports.any_free()) | world.settings | cluster.urls() | {
        "RECJOBS_STATE": str(state),
        "RECJOBS_ARTIFACTS": "s3://bucket/artifacts",
        "RECJOBS_BACKUPS": str(folder / "back-ups"),
        "RECJOBS_BACKUP_KEY": _sha256("back-ups"),
        "RECJOBS_AIRFLOW_DATABASE_URL": airflow,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow,
        "AIRFLOW__CORE__FERNET_KEY": "Zm9yLWEtdGVzdC1vbmx5LTMyLWJ5dGVzLWluLWFsbCE=",
        "RECJOBS_API_KEYS": f"shop:{_sha256(KEY)}",
        "WEBAPP_OPERATORS": f"alice:{_sha256(OPERATOR)}",
        "WEBAPP_OIDC_ISSUER": issuer,
        "WEBAPP_OIDC_CLIENT_ID": oidc_provider.CLIENT_ID,
        "WEBAPP_ROLES": "everybody=viewer",
        "OTEL_TRACES_EXPORTER": "otlp",
        **store.settings,
        "AWS_SECRET_ACCESS_KEY": canary("AWS_SECRET_ACCESS_KEY"),
    }  # fmt: skip
    for name, change in BROKEN.items():  # a catalog each, whose source cannot be reached
        settings[f"RECJOBS_CONNECTION_{name.upper()}"] = change(cluster.url())
        source = {"connection": name, "sql": "select nothing from nowhere", "columns": COLUMNS}
        text = yaml.safe_dump(world.catalog | {"sources": [source]})
        (world.catalogs / f"no_{name}.yaml").write_text(text, encoding="utf-8")
    secrets = {name: canary(name) for name in secret_settings()}
    secrets |= {f"password of {role}": password for role, password in cluster._passwords().items()}
    secrets |= {name: settings[name] for name in ("AIRFLOW__CORE__FERNET_KEY", "RECJOBS_BACKUP_KEY")}
    secrets |= {name: settings[name].partition(":")[2] for name in ("RECJOBS_API_KEYS", "WEBAPP_OPERATORS")}
    secrets |= {"the API key": KEY, "the operator's secret": OPERATOR}
    return Deployment(folder, cluster, store, world, Platform.of(state, **settings), secrets)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def nights(deployment: Deployment) -> None:
    """A night by Airflow that succeeds, and a night for each way in which a source cannot be reached."""
    up = deployment.platform.run("up")
    deployment.said["up"] = up.stdout + up.stderr
    assert up.returncode == 0, deployment.said["up"]
    airflow = deployment.platform.airflow()
    runs: dict[str, str] = {}
    for name in ("shop", *(f"no_{name}" for name in BROKEN)):
        dag = f"nightly_{name}"
        airflow.wait_for_dag(dag, WAIT_SECONDS)
        airflow.unpause(dag)
        runs[dag] = airflow.trigger(dag, {})

    def has_ended(dag: str, run_id: str) -> bool:
        states = {task["state"] for task in airflow.tasks(dag, run_id).values()}
        return bool(states & {"failed", "up_for_retry"}) or airflow.state(dag, run_id) in {"success", "failed"}

    for dag, run_id in runs.items():
        eventually(partial(has_ended, dag, run_id), WAIT_SECONDS)
        assert (airflow.state(dag, run_id) == "success") == (dag == "nightly_shop"), dag


def commands(deployment: Deployment) -> None:
    """What people type, while each system that a secret leads to is away or refuses."""
    urls = deployment.platform.settings
    of_shop = ("--catalog", "shop")
    batch_id = str(deployment.world.live())
    for n, (why, change) in enumerate(BROKEN.items()):
        log = {"RECJOBS_LOG": ("text", "json")[n % 2]}
        ours = {name: change(urls[name]) for name in URLS}
        for verb in ("night", "status"):
            failed = deployment.recjobs(verb, *(of_shop if verb == "night" else ()), **ours, **log)
            assert failed.code != 0 or verb == "status"
        if why != "scheme":  # else MLflow tries again for minutes
            continue
        others = {name: change(urls[name]) for name in ("MLFLOW_TRACKING_URI", "RECJOBS_AIRFLOW_DATABASE_URL")}
        deployment.recjobs("report", *of_shop, "--batch-id", batch_id, **others, **log)
        deployment.recjobs("back-up", "--to", str(deployment.folder / f"back-ups {n}"), **others, **log)
    assert deployment.recjobs("night", *of_shop, AWS_ACCESS_KEY_ID="another").code != 0
    assert deployment.recjobs("back-up", "--to", urls["RECJOBS_BACKUPS"]).code == 0
    for command in (("status",), ("status", "--json"), ("audit",)):
        assert deployment.recjobs(*command).code == 0


def web_app(deployment: Deployment) -> None:
    """Pages, lists and what watches the web app, asked by anybody and by who has a key; also without a database."""
    _ask(deployment, f"http://127.0.0.1:{deployment.platform.settings['WEBAPP_PORT']}")
    settings = {name: value for name, value in deployment.platform.settings.items() if name != "WEBAPP_PORT"}
    cluster: Any = deployment.cluster
    refused = Replica(cluster, "refused", deployment.folder, **settings | with_canaries(1, "WEBAPP_OIDC_ISSUER"))
    assert refused.process.wait(WAIT_SECONDS) == 78, refused.log.read_text()
    settings |= {name: BROKEN["server"](settings[name]) for name in URLS}
    settings |= {"WEBAPP_OIDC_ISSUER": "http://127.0.0.1:1", "WEBAPP_REQUEST_LOG": "true", "RECJOBS_LOG": "json"}
    replica = Replica(cluster, "away", deployment.folder, **settings)
    try:
        root = f"http://127.0.0.1:{replica.port}"
        wait_for(lambda: status(f"{root}/healthz") == 200 or replica.process.poll() is not None, WAIT_SECONDS)
        assert replica.process.poll() is None, replica.log.read_text()
        _ask(deployment, root)
    finally:
        replica.stop()


def _ask(deployment: Deployment, root: str) -> None:
    pages = [f"/{page}?catalog=shop" for page in ("", "runs", "rules", "changes")]
    probes = ["/docs", "/info", "/metrics", "/healthz", "/readyz", "/openapi.json", "/sign-in", "/sign-in/provider"]
    lists = ["/v1/shop/popular", "/v1/shop/recommendations?user_id=user001", "/v1/nothing/popular", "/%00"]
    for bearer in ("", KEY, OPERATOR):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        for path in (*pages, *probes, *lists, "/sign-in/callback?code=x&state=y"):
            request = urllib.request.Request(root + path, headers=headers)
            deployment.said[f"{root} {path} {len(deployment.said)}"] = _answer(request)
    for secret in (OPERATOR, f"{OPERATOR}x"):
        form = urlencode({"name": "alice", "secret": secret}).encode()
        deployment.said[f"{root} sign-in {secret[-2:]}"] = _answer(urllib.request.Request(f"{root}/sign-in", form))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(request: urllib.request.Request) -> str:
    try:
        answer: Any = urllib.request.build_opener(_NoRedirect).open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with contextlib.closing(answer):
        return f"{answer.status} {answer.headers}{answer.read().decode(errors='replace')}"


def everywhere(deployment: Deployment, search: SecretSearch) -> set[str]:
    """Search all that the platform has left."""
    search.found = set()
    state = deployment.platform.state
    belong = [deployment.cluster.pgpass, state / "env", state / "airflow" / "secrets.json", state / "password.json"]
    search.files(deployment.folder, belong)
    for name, content in deployment.store.objects.items():
        search.look(content, name)
        search.look(name, "names of objects")
    for database in ("recjobs", "mlflow", "airflow", "postgres"):
        search.tables(deployment.cluster.url(database=database))
    for what, text in deployment.said.items():
        search.look(text, what)
    return search.found


def test_no_secret_is_anywhere_after_nights_that_fail(deployment: Deployment, figure: Any):
    search = SecretSearch(deployment.secrets)
    with search.process_arguments():
        nights(deployment)
        commands(deployment)
        web_app(deployment)
    assert search.found == set(), "arguments of processes"
    assert everywhere(deployment, search) == set()
    assert any("***" in text for text in deployment.said.values()), "libraries do quote what they were given"
    figure(f"O, A3: {len(deployment.secrets)} secrets in {search.places} places: none found")

    # planted in a file, an object, a table and the arguments of a process, they are found there
    password = deployment.secrets["password of recjobs_loader"]
    (deployment.folder / "planted.log").write_text(f"login failed: {quote(password)}")
    deployment.store.objects["bucket/artifacts/planted"] = canary("WEBAPP_SECRET_KEY").encode()
    deployment.world.rows("create table planted as select %s as secret", KEY, role="admin")
    with search.process_arguments():
        subprocess.run([sys.executable, "-c", "import time; time.sleep(5)", OPERATOR], check=True)
    assert {text.partition(" in ")[0] for text in search.found} == {"the operator's secret"}
    found = {text.partition(" in ")[0] for text in everywhere(deployment, search)}
    assert found == {"password of recjobs_loader", "WEBAPP_SECRET_KEY", "the API key"}
