"""With RECJOBS_LOG=json every line of a night, of requests and of a failed task is an object with its ids, and no line
has a secret."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg2
import pytest

from recjobs import NIGHT
from recjobs.config import ROOT
from tests.commands import Command
from tests.replicas import Replica, status, wait_for
from tests.secret_settings import FOUND, with_canaries
from tests.webapp_world import World as WebWorld
from tests.worlds import EARLIER, MakeWorld, World
from webapp.settings import SECRETS as WEB_SECRETS

pytest_plugins = ["tests.webapp_fixtures"]

JSON = {"RECJOBS_LOG": "json"}
MEMBERS = {"time", "level", "logger", "message", "catalog", "batch_id", "step", "request_id"}


def lines_of(text: str) -> list[dict[str, Any]]:
    """The lines of a log; each must be an object with all members."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line for line in lines if not line.keys() >= MEMBERS] == []
    return lines


def test_each_line_of_a_night_names_its_catalog_batch_and_step(make_world: MakeWorld):
    world = make_world()
    done = world.night("--as-of", EARLIER, **JSON)
    assert done.code == 0, done.err
    lines = lines_of(done.err)
    batch_id = done.json["batch_id"]
    assert {line["catalog"] for line in lines} == {world.name}
    named = [line for line in lines if line["batch_id"]]
    assert {line["batch_id"] for line in named} == {batch_id}
    assert [line["step"] for line in lines if " is done" in line["message"]] == list(NIGHT)
    assert lines[0]["step"] == "begin"
    validated = next(line for line in lines if line["message"] == "step validate is done")
    assert validated["numbers"] == done.json["steps"]["validate"]

    refused = world.night("--set", "limits.min_interactions=1000000", **JSON)
    assert refused.code == 65
    last = lines_of(refused.err)[-1]
    assert (last["level"], last["catalog"], last["step"], last["exit_code"]) == ("error", world.name, "validate", 65)
    assert last["batch_id"] != batch_id
    assert "Traceback" not in refused.err
    assert world.night("--as-of", "nonsense", **JSON).code == 64


def test_each_line_of_the_web_app_is_an_object_and_a_requests_lines_have_its_id(world: WebWorld, tmp_path: Path):
    replica = Replica(world, "json", tmp_path, WEBAPP_REQUEST_LOG="true", WEBAPP_STATEMENT_TIMEOUT_MS="300",
                      WEBAPP_REQUEST_TIMEOUT_MS="9000", **JSON)  # fmt: skip
    try:
        replica.wait_until_ready()
        root = f"http://127.0.0.1:{replica.port}"
        ask = Request(f"{root}/v1/shop/recommendations?user_id=u0001", headers={"X-Request-ID": "0123456789abcdef"})
        assert urlopen(ask, timeout=30).status == 200
        assert status(f"{root}/v1/shop/similar?item_id=item5") == 200
        assert status(f"{root}/v1/u0001/recommendations?user_id=u0001") == 404
        blocker = psycopg2.connect(world.url())
        with blocker, blocker.cursor() as cursor:
            cursor.execute("lock table shop.batch_records in access exclusive mode")
            slow = Request(
                f"{root}/v1/shop/recommendations?user_id=u0002", headers={"X-Request-ID": "fedcba9876543210"}
            )
            with pytest.raises(OSError, match="503"):
                urlopen(slow, timeout=30)
        blocker.close()
        wait_for(lambda: '"status":503' in replica.log.read_text())
    finally:
        assert replica.stop() == 0
    text = replica.log.read_text()
    lines = lines_of(text)
    requests = [
        line for line in lines if line["logger"] == "webapp.requests" and line["route"] and "v1" in line["route"]
    ]
    assert [(line["status"], line["catalog"]) for line in requests] == [
        (200, "shop"),
        (200, "shop"),
        (404, None),
        (503, None),
    ]
    assert requests[0]["request_id"] == requests[0]["id"] == "0123456789abcdef"
    of_slow = [line for line in lines if line["request_id"] == "fedcba9876543210"]
    assert {line["logger"] for line in of_slow} == {"webapp.postgres", "webapp.requests"}
    assert "u0001" not in text
    assert "u0002" not in text


def test_sigterm_loses_no_line_not_even_that_of_the_request_that_is_being_answered(world: WebWorld, tmp_path: Path):
    replica = Replica(world, "last", tmp_path, WEBAPP_REQUEST_LOG="true", WEBAPP_STATEMENT_TIMEOUT_MS="20000",
                      WEBAPP_REQUEST_TIMEOUT_MS="25000", WEBAPP_KEEP_MB="0", **JSON)  # fmt: skip
    address = f"http://127.0.0.1:{replica.port}/v1/shop/recommendations?user_id=u0001"
    ids = [f"{k:016x}" for k in range(1, 42)]
    answered: list[int] = []

    def ask(request_id: str) -> None:
        try:
            answered.append(urlopen(Request(address, headers={"X-Request-ID": request_id}), timeout=60).status)
        except HTTPError as error:  # of the last one, should a busy machine let it wait for too long
            answered.append(error.code)

    replica.wait_until_ready()
    for request_id in ids[:-1]:
        ask(request_id)
    with contextlib.closing(psycopg2.connect(world.url())) as blocker, blocker.cursor() as cursor:
        cursor.execute("lock table shop.batch_records, shop.live_batch in access exclusive mode")
        last = threading.Thread(target=ask, args=(ids[-1],))
        last.start()
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'last'"
        wait_for(lambda: world.sql(waits) == [(1,)])
        replica.process.terminate()
        time.sleep(0.5)
        blocker.rollback()
    last.join()
    assert replica.wait() == 0, replica.log.read_text()
    assert answered[:-1] == [200] * 40
    assert len(answered) == 41
    lines = lines_of(replica.log.read_text())
    assert [line["request_id"] for line in lines if line["message"] == "request" and line["request_id"] in ids] == ids


def test_no_line_has_a_secret_whatever_fails(empty: World, tmp_path: Path):
    from tests.webapp_world import free_port

    world = empty
    port = free_port()
    source = {"connection": "shop", "sql": "select 1", "columns": world.catalog["sources"][0]["columns"]}
    settings = world.settings | with_canaries(port)
    texts = []
    for kind in ("text", "json"):
        for verb, more in (
            ("night", ()), ("begin", ()), ("publish", ("--batch-id", "20250101T000000Z-1")), ("prune", ()),
        ):  # fmt: skip
            done = Command((verb, "--catalog", world.name, *more), settings | {"RECJOBS_LOG": kind}).wait()
            assert done.code != 0
            texts.append(done.out + done.err)
        for verb in ("status", "migrate"):
            done = Command((verb,), settings | {"RECJOBS_LOG": kind}).wait()
            texts.append(done.out + done.err)
    world.write_catalog(world.catalog | {"sources": [source]})
    away = world.night(**with_canaries(port, "RECJOBS_CONNECTION_SHOP"), **JSON)
    noted = world.value("select reason from begin_records", role="admin")
    for text in (away.err, noted):
        assert re.search(rf"port {port} failed.*RECJOBS_CONNECTION_SHOP", text), "it stops at its source"
    texts += [away.err, noted]
    ask = "; c = w.app.test_client(); c.get('/v1/shop/popular'); c.get('/?catalog=shop')"
    for name in (*WEB_SECRETS, "", "traced"):
        others = {key for key in settings if key.startswith("WEBAPP_") or key == "RECJOBS_API_KEYS"} - {name}
        away = {key: value for key, value in settings.items() if key not in others}
        more = {"OTEL_TRACES_EXPORTER": "otlp"} if name == "traced" else JSON
        environment = {**os.environ, **away, "WEBAPP_PORT": str(free_port()), **more}
        code = f"import webapp.wsgi as w{'' if name == 'traced' else ask}"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
        texts.append(done.stdout + done.stderr)
    assert all(texts)
    assert "127.0.0.1" in "".join(texts), "what failed is said"
    assert "Header format invalid" in texts[-1], "what OpenTelemetry quotes"
    assert FOUND.findall("".join(texts)) == []


def test_a_secret_in_a_message_is_hidden():
    code = (
        "import logging; from recjobs import logs; from recjobs.config import load_settings, secrets_of; "
        "logs.configure(secrets_of(load_settings())); "
        "logging.getLogger('recjobs').error('password %s', 'p\"w/1'); "
        "logging.getLogger('other').warning('key %s', 'aws-key-1234')"
    )
    environment = {
        **os.environ,
        "RECJOBS_OWNER_URL": "postgresql://o:p%22w%2F1@h/d",
        "AWS_SECRET_ACCESS_KEY": "aws-key-1234",
    }
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert [line["message"] for line in lines_of(done.stderr)] == ["password ***", "key ***"]


@pytest.mark.parametrize("call", ["recjobs.logs.hide_in_records", "webapp.api.logs.hide"])
def test_a_secret_in_a_line_of_any_library_is_hidden(call: str):
    module, _, function = call.rpartition(".")
    code = (
        f"import logging; from {module} import {function} as hide; logging.basicConfig(format='%(message)s'); "
        "hide(['the-key', '']); log = logging.getLogger('library'); "
        "log.warning('%s%%', 'the-key'); log.warning('the-key %d%%'); log.warning('%s is %s', 'x', 'known'); "
        "logging.getLogger('library').warning({'a': 1})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.splitlines() == ["***%", "*** %d%%", "x is known", "{'a': 1}"]


RUN = """
import sys
from airflow.dag_processing.dagbag import BundleDagBag
from pathlib import Path
folder = Path(sys.argv[1])
BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder").dags[sys.argv[2]].test()
"""


def test_the_log_of_a_failed_airflow_task_ends_with_the_cause_in_one_line(make_world: MakeWorld, tmp_path: Path):
    world = make_world()
    (world.data / "rows").rename(world.data / "away")
    environment = world.settings | {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__JSON_LOGS": "True",
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(ROOT / "dags"), f"nightly_{world.name}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    text = done.stdout + done.stderr
    ends = [line for line in text.splitlines() if "ended in begin" in line]
    assert len(ends) == 1, text[-3000:]
    assert "DataRefused (exit code 65)" in ends[0]
    assert world.name in ends[0]
