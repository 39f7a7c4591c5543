"""The message about a night: what it says, where it goes, and that nothing is sent unless somebody asks for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recjobs.core.lists.popularity import title
from tests.commands import ROOT, environment_of
from tests.mail_server import MailServer
from tests.monitoring import Webhook
from tests.worlds import World

NOTIFY = """
import json, sys, types
sys.path.append(sys.argv[1])
from airflow.sdk.exceptions import AirflowSkipException
from night_message import NightMessage
from recjobs.errors import InputLate
for call in json.loads(sys.argv[2]):
    error = None
    if "error" in call:
        error = AirflowSkipException(call["error"])
        error.__cause__ = InputLate(call["error"]) if call["late"] else None
    arguments = {"catalog_name": call["catalog"], "batch_id": call.get("batch_id")}
    task = types.SimpleNamespace(task_id=call["task"], op_kwargs=arguments)
    ti = types.SimpleNamespace(task=task)
    NightMessage(call["state"]).notify({"ti": ti, "exception": error})
"""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    received = Webhook()
    yield received
    received.close()


def notify(world: World, home: Path, connection: dict[str, Any] | None, *calls: dict[str, Any]) -> str:
    """What Airflow's tasks do at their end; returns the log."""
    settings = world.settings | {"WEBAPP_URL": "https://lists.example.com", "AIRFLOW_HOME": str(home)}
    if connection:
        settings["AIRFLOW_CONN_RECJOBS_MESSAGES"] = json.dumps(connection)
    command = [sys.executable, "-W", "ignore", "-c", NOTIFY, str(ROOT / "dags"), json.dumps(calls)]
    environment = environment_of(settings) | {"PATH": os.environ["PATH"], "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_night_is_told_of_in_one_screen_to_whom_the_connection_names(
    published: World, tmp_path: Path, webhook: Webhook
):
    live = published.live()
    night = {"catalog": published.name, "batch_id": live, "task": "report", "state": "success"}
    late = {"catalog": published.name, "task": "begin", "state": "skipped", "error": "the file was late", "late": True}
    nothing = late | {"error": "nothing new", "late": False}
    by_another = {"catalog": published.name, "task": "train", "state": "skipped"}
    connection = {"conn_type": "http", "host": webhook.url, "password": "a token for a test"}
    log = notify(published, tmp_path, connection, night, late, nothing, by_another)
    assert len(webhook.bodies) == 2, log
    assert "no message about the night" not in log
    told, skipped = webhook.bodies
    assert told["title"] == f"{published.name}: the night published {live}"
    assert told["link"] == f"https://lists.example.com/reports/{published.name}/{live}"
    text = told["text"]
    verdict = published.rows("select * from promotions where batch_id = %s", live)[0]
    assert f"The candidate was {verdict['verdict']}: {verdict['reason']}." in text
    assert (
        f"NDCG@20 of the candidate {verdict['candidate']:.4f}, of the model in charge {verdict['champion']:.4f}" in text
    )
    assert f"of the list {title(verdict['baseline_name'])} {verdict['baseline']:.4f}" in text
    assert "of the first ten items are those of the night before" in text
    assert f"Data: {len(published.goods.sound):,} interactions (+" in text
    assert f", {len(published.goods.bad)} rows set aside" in text
    assert len(text.splitlines()) <= 10, "one screen"
    assert max(map(len, text.splitlines())) < 400
    assert {headers["Authorization"] for headers in webhook.headers} == {"Bearer a token for a test"}
    assert skipped["title"] == f"{published.name}: the night was skipped in begin"
    assert "the file was late" in skipped["text"]
    assert "a token for a test" not in log


def test_by_mail_it_is_the_same_text(published: World, tmp_path: Path):
    live, server = published.live(), MailServer()
    extra = {"to": "nights@example.com", "from_email": "recjobs@example.com", "disable_ssl": True, "disable_tls": True}
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, "extra": extra}
    finished = {"catalog": published.name, "batch_id": live, "task": "report", "state": "success"}
    failed = {"catalog": published.name, "batch_id": live, "task": "gate", "state": "failed"}
    try:
        log = notify(published, tmp_path, connection, finished, failed)
    finally:
        server.close()
    assert len(server.mails) == 2, log
    assert server.recipients == ["nights@example.com"] * 2
    told, stopped = server.mails
    assert told["Subject"] == f"{published.name}: the night published {live}"
    assert told["From"] == "recjobs@example.com"
    body = told.get_body()
    assert body is not None
    text = body.get_content()
    assert "NDCG@20 of the candidate" in text
    assert f"https://lists.example.com/reports/{published.name}/{live}" in text
    assert "gate" in stopped["Subject"]


def test_without_the_connection_nothing_is_sent_and_where_nobody_listens_no_task_fails(
    published: World, tmp_path: Path
):
    night = {"catalog": published.name, "batch_id": published.live(), "task": "report", "state": "success"}
    assert "no message" not in notify(published, tmp_path, None, night)
    away = {"conn_type": "http", "host": "http://127.0.0.1:1/"}
    assert "no message about the night was sent: URLError" in notify(published, tmp_path, away, night)
