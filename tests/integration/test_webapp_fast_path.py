"""The request that is answered before Flask begins gets what Flask would have answered, to the byte."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.commands import ROOT
from tests.webapp_credentials import KEY, KEYS, OLD_KEY, OPERATORS, OTHER_KEY, SECRET, sign_in
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


SHOP = "https://shop.example"
SECRET_KEY = "k" * 32
SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "keys": {"api_keys": KEYS},
    "keys and operators": {"api_keys": KEYS, "operators": OPERATORS},
    "operators": {"operators": OPERATORS},
    "limit": {"rate_limit": "7/hour"},
    "sites": {"cors_origins": f"{SHOP} http://localhost:3000"},
    "hosts": {"url": "https://lists.example:8443/", "hosts": "webapp.internal"},
    "open": {"open": True, "proxies": 1, "rate_limit": "7/hour"},
    "proxies": {"proxies": 1, "api_keys": KEYS, "rate_limit": "7/hour"},
    "all": {
        "api_keys": KEYS, "operators": OPERATORS, "rate_limit": "40/hour", "cors_origins": SHOP, "proxies": 1,
        "hosts": "webapp.internal",
    },
}  # fmt: skip
"""What may be set of all that decides whether and how this request is answered."""
REQUESTS: list[dict[str, str]] = [
    {},
    *({"HTTP_AUTHORIZATION": text} for text in (
        f"Bearer {KEY}", f"Bearer {OTHER_KEY}", f"Bearer {SECRET}", f"Bearer {OLD_KEY}", f"bearer  {KEY} ",
        f"BEARER {KEY}", f"Basic {KEY}", KEY, "Bearer", "Bearer ", "", "Bearer \xff",
        f"Bearer {KEY}, Bearer {KEY}", f"Bearer\t{KEY}",
    )),
    *({"HTTP_COOKIE": f"recjobs_operator={text}"} for text in ("SIGNED_IN", "nonsense", "", '"SIGNED_IN"')),
    {"HTTP_COOKIE": "other=1; __Host-recjobs_operator=SIGNED_IN; recjobs_operator=x; recjobs_operator=SIGNED_IN"},
    {"HTTP_COOKIE": "recjobs_operator=SIGNED_IN", "HTTP_AUTHORIZATION": "Bearer wrong"},
    *({"HTTP_ORIGIN": text, "HTTP_AUTHORIZATION": f"Bearer {KEY}"} for text in (
        SHOP, "http://localhost:3000", "https://evil.example", "null", "", SHOP.upper(), f"{SHOP}/",
    )),
    {"HTTP_ORIGIN": SHOP},
    {"HTTP_ORIGIN": SHOP, "HTTP_AUTHORIZATION": f"Bearer {KEY}", "HTTP_IF_NONE_MATCH": "*"},
    *({"HTTP_HOST": text, "HTTP_AUTHORIZATION": f"Bearer {KEY}"} for text in (
        "localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:1", "[::1]:8000", "lists.example", "lists.example:8443",
        "webapp.internal:80", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example",
        "evil.example#localhost", "localhost, evil.example", "0.0.0.0", "[::]", "10.0.0.7", "", " localhost",
        "localhost\n", "localhost:8000:8000", "localhost:", "l\xf6calhost", "lists.example.evil.example",
        "xlists.example",
    )),
    *({"REMOTE_ADDR": text} for text in ("192.0.2.7", "::ffff:127.0.0.1", "::1", "127.8.8.8", "2001:db8::1", "")),
    *({"HTTP_X_FORWARDED_FOR": text} for text in ("192.0.2.7", "127.0.0.1", "192.0.2.7, 198.51.100.1", "2001:db8::7")),
    {"HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_FORWARDED": "host=evil.example"},
    {"HTTP_AUTHORIZATION": f"Bearer {KEY}", "HTTP_X_REQUEST_ID": "0123456789abcdef"},
]  # fmt: skip


@pytest.fixture
def flask(world: World) -> FlaskClient:
    """A client of an app all of whose requests Flask sees."""
    return without_fast_path(world)


def without_fast_path(world: World, **settings: Any) -> FlaskClient:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_path, "install", lambda *_: None)
        return world.client(**settings)


def said(response: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [one for one in response.headers if one[0] != "X-Request-ID"]
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


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_under_any_settings_a_request_is_admitted_and_answered_alike(
    world: World, settings: dict[str, Any], capfd: pytest.CaptureFixture
):
    settings = settings | {"secret_key": SECRET_KEY, "request_log": True}
    one, other = world.client(**settings), without_fast_path(world, **settings)
    cookie = ""
    if "operators" in settings:
        visitor = world.client(**settings)
        assert sign_in(visitor) == 303
        cookie = visitor.get_cookie("recjobs_operator").value
    request_log.flush()
    capfd.readouterr()
    statuses = set()
    for given in [*REQUESTS, *REQUESTS[:16]]:  # until the limits refuse
        environ = {name: text.replace("SIGNED_IN", cookie) for name, text in given.items()}
        answers = []
        for client in (one, other):
            response = client.get(f"{PATH}?user_id=u0001", environ_overrides=environ)
            assert response.headers["X-Request-ID"] == environ.get(
                "HTTP_X_REQUEST_ID", response.headers["X-Request-ID"]
            )
            status, headers, body = said(response)
            waits = [int(value) for name, value in headers if name == "Retry-After"]
            assert all(0 < wait <= 3600 for wait in waits)
            headers = [header for header in headers if header[0] != "Retry-After"]
            request_log.flush()
            line = json.loads(capfd.readouterr().err)
            assert line["status"] == status
            answers.append((status, headers, body, [line[name] for name in ("method", "route", "bytes", "key")]))
        assert answers[0] == answers[1], given
        statuses.add(answers[0][0])
    assert {200, 400} <= statuses, "a list, and a name that is not the web app's"
    assert (401 in statuses) is ("api_keys" in settings)
    assert (429 in statuses) is ("api_keys" in settings or "rate_limit" in settings)
    assert (403 in statuses) is not ("api_keys" in settings or "open" in settings), "another machine, without keys"


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_no_setting_sends_the_request_to_flask(world: World, settings: dict[str, Any]):
    client = world.client(**settings)
    client.application.full_dispatch_request = lambda *_: pytest.fail("Flask was asked")
    headers = {"Authorization": f"Bearer {KEY}", "Origin": SHOP}
    assert client.get(f"{PATH}?user_id=u0001", headers=headers).status_code == 200
    assert client.get(f"{PATH}?user_id=u0001").status_code == (401 if "api_keys" in settings else 200)
    assert client.get(f"{PATH}?user_id=u0001", headers={"Host": "evil.example"}).status_code == 400


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
