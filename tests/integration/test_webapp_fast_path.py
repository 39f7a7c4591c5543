"""The request that is answered before Flask begins gets what Flask would have answered, to the byte."""

import json
import re
import subprocess
import sys

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.commands import ROOT
from tests.webapp_world import ODD_IDS, World, shop_batch
from webapp.api import request_log
from webapp.lists import fast_path

pytest_plugins = ["tests.webapp_fixtures"]

PATH = "/v1/shop/recommendations"
QUERIES = [
    "user_id=u0001", "user_id=u0001&n=5", "n=5&user_id=u0001", "user_id=u0001&n=5&offset=3", "user_id=u0001&offset=29",
    "user_id=u0001&offset=30", "user_id=u0001&n=31", "user_id=u0001&n=0", "user_id=u0001&n=x", "user_id=u0001&n=",
    "user_id=nobody", "user_id=nobody&n=3&offset=2", "user_id=nobody&n=31", "user_id=nobody&offset=11",
    "user_id=u0001&exclude=item1&exclude=item2", "user_id=u0001&category=kind+1", "user_id=u0001&category=none",
    "user_id=nobody&prefer=kind+1", "", "user_id=", "user_id", "user=u0001", "user_id=u0001&user_id=u0002",
    "&&user_id=u0001&",
    "user_id=%FF", "user_id=%00", "user_id=\xff", "user_id=a%2Fb", "user_id=" + "x" * 257, "user_id=" + "é" * 128,
    "user_id=<script>", "user_id=u0001;n=5", "user_id=u0001\n", "USER_ID=u0001",
]  # fmt: skip
PATHS = [
    "/v1/nowhere/recommendations", "/v1/Shop/recommendations", "/v1/shop/recommendations/", "/v1//recommendations",
    "/v1/shop/recommendations\n", "/v1/empty/recommendations", "/v1/sh%6Fp/recommendations",
]  # fmt: skip


@pytest.fixture
def flask(world: World) -> FlaskClient:
    """A client of an app all of whose requests Flask sees; no answer depends on other sites' origins without one."""
    return world.client(cors_origins="https://shop.example")


def said(response: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [one for one in response.headers if one[0] not in ("Vary", "X-Request-ID")]
    body = response.data
    if response.status_code == 200:
        answer = json.loads(body)
        assert answer.pop("age_seconds") > 0
        headers.remove(("Content-Length", str(len(body))))
        body = json.dumps(answer).encode()
    return response.status_code, sorted(headers), body


def asked(client: FlaskClient, query: str, path: str = PATH, method: str = "GET", **headers: str) -> TestResponse:
    overrides = {"QUERY_STRING": query}
    return client.open(path, method=method, headers=headers, environ_overrides=overrides)


@pytest.mark.parametrize("query", [*QUERIES, *(f"user_id={user}" for user in ODD_IDS if user.isascii())])
def test_any_query_has_one_answer(client: FlaskClient, flask: FlaskClient, query: str):
    for _ in range(2):  # the second time from memory
        assert said(asked(client, query)) == said(asked(flask, query))


@pytest.mark.parametrize("path", PATHS)
def test_any_address_has_one_answer(client: FlaskClient, flask: FlaskClient, path: str):
    assert said(asked(client, "user_id=u0001", path)) == said(asked(flask, "user_id=u0001", path))


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE", "get"])
def test_any_method_has_one_answer(client: FlaskClient, flask: FlaskClient, method: str):
    one, other = asked(client, "user_id=u0001", method=method), asked(flask, "user_id=u0001", method=method)
    bodies = [re.sub(rb'"age_seconds":\d+', b"", response.data) for response in (one, other)]
    assert (one.status_code, bodies[0]) == (other.status_code, bodies[1])


def test_who_has_it_already_gets_the_same_304(client: FlaskClient, flask: FlaskClient):
    tag = asked(client, "user_id=u0001").headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*", '"x"', "nonsense", ""):
        one, other = (asked(each, "user_id=u0001", **{"If-None-Match": known}) for each in (client, flask))
        assert said(one) == said(other)


def test_what_goes_wrong_unforeseen_is_told_by_flask(client: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fast_path.recommendations, "respond", lambda *_: 1 / 0)
    assert asked(client, "user_id=u0001").status_code == 200  # Flask's way is not broken
    monkeypatch.setattr(fast_path.recommendations, "_respond", lambda *_, **__: 1 / 0)
    response = asked(client, "user_id=u0001")
    assert (response.status_code, response.json["error"]["code"]) == (500, "internal_error")


def test_what_is_remembered_of_guests_ends_with_the_rules_and_with_the_batch(world: World):
    world.make_catalog("guests")
    client = world.client()

    def listed(user_id: str) -> list[str]:
        answer = client.get(f"/v1/guests/recommendations?user_id={user_id}").json
        assert answer["user_id"] == user_id
        return [item["item_id"] for item in answer["items"]]

    def rule(statement: str, *parameters: str) -> int:
        return world.sql(statement, *parameters, role="recjobs_editor", catalog="guests")[0][0]

    world.publish("guests", shop_batch("20240101T000000Z-1", seed=1))
    before = listed("somebody")
    assert listed("somebody else") == listed("somebody") == before
    number = rule("select add_rule(jsonb_build_object('kind', 'block', 'item_id', %s, 'author', 'alice'))", before[0])
    assert listed("somebody") == listed("a third") == [*before[1:], listed("somebody")[-1]]
    rule(f"select remove_rule({number}, 'alice')")
    assert listed("somebody") == before
    world.publish("guests", shop_batch("20240102T000000Z-1", seed=2))
    answer = client.get("/v1/guests/recommendations?user_id=somebody").json
    assert answer["batch_id"] == "20240102T000000Z-1"


def test_a_line_of_the_log_is_written_though_the_process_ends_at_once():
    program = "from webapp import request_log as log; log.add('0' * 16, 0.0, 'GET', '/x', 200, 3, None)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True)
    assert json.loads(done.stderr)["route"] == "/x"


def test_many_lines_at_once_are_all_written_whole(capfd: pytest.CaptureFixture):
    for k in range(1000):
        request_log.add(f"{k:016x}", 0.0, "GET", "/many", 200, k, None)
    request_log.flush()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "/many" in line]
    assert [line["bytes"] for line in lines] == list(range(1000))


def test_requests_go_on_while_nobody_reads_the_log():
    program = """if True:
        import os, threading, time
        from webapp import request_log as log
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        began = time.monotonic()
        for k in range(200_000):
            log.add("0" * 16, 0.0, "GET", "/x", 200, 3, None)
        assert len(log._queue) <= 100_000
        print(time.monotonic() - began < 30, flush=True)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "True\n")
