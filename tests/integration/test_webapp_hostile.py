"""S1: whatever is sent, never a 5xx, a word of SQL or an echo that runs; and the next request is answered."""

import json
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.hostile_requests import CLASSES, GOOD, drawn, sent
from tests.replicas import Replica
from tests.webapp_credentials import OPERATORS, SECRET, bearer
from tests.webapp_world import World
from tests.worlds import soak
from webapp.api.operations import Operation

pytest_plugins = ["tests.webapp_fixtures"]
pytestmark = pytest.mark.soak

DRAWN = soak(5_000, share=50)
PAYLOADS = [
    "' or '1'='1", "'; drop table top_n; --", "1; select pg_sleep(9)", "x') union select rolpassword from pg_authid --",
    "\\'; select 1", "$1", "$$", "%s", "%(x)s", "{", "{}", "[]", "null", "NaN", "-1", "1e309", "9" * 400, "0x10", "٣",
    "{{7*'7'}}", "{% raw %}", "${7*7}", "<svg/onload=alert(7)>", "\"><script>alert(7)</script>", "'-alert(7)-'",
    "javascript:alert(7)", "../../../../etc/passwd", "/etc/passwd", "//evil.example",
    "\r\nX-Injected: 1", "\nX-Injected: 1",    "a\0b", "\udc80\udcff", "\udced\udca0\udc80",
    "\u202eabc", "\ufeff", "x" * 5000, "🙂" * 100, "`id`", "$(id)", "|id",
]  # fmt: skip
SQL_WORDS = re.compile(
    r"psycopg|sqlstate|syntax error|unterminated|relation \"|LINE 1|Traceback|rolpassword \||pg_catalog"
)
FIELDS = ("name", "secret", "back", "token", "catalog", "user_id", "item_id", "note", "kind", "batch_id", "reason")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
GOOD_VALUES = {"catalog": "shop", "user_id": "u0001", "item_id": "item5", "batch_id": "20240101T000000Z-1", "n": "3"}


def escaped(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def parameters_of(client: FlaskClient, path: str, method: str) -> list[str]:
    """What a route says it takes when it is asked for something else."""
    response = client.open(f"{path}?nonsense=1", method=method, headers=bearer(SECRET))
    named = re.search(r"allowed here: ([a-z_, ]+)", response.text)
    return [] if named is None or named[1] == "none" else named[1].split(", ")


def filled(rule: str, values: dict[str, str]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda name: values[name[1]], rule)


def attacks(client: FlaskClient) -> Iterator[tuple[str, str, dict]]:
    """Each payload in each place of each route: (method, address, what else is sent)."""
    app: Flask = client.application
    for rule in app.url_map.iter_rules():
        operation: Operation | None = getattr(app.view_functions[rule.endpoint], "operation", None)
        fine = {name: GOOD_VALUES.get(name, "1") for name in rule.arguments}
        path = filled(rule.rule, fine)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            takes = parameters_of(client, path, method)
            needed = {p.name for p in operation.query if p.required} if operation else {"catalog"} & set(takes)
            others = {name: GOOD_VALUES.get(name, "1") for name in needed}
            for payload in PAYLOADS:
                text = escaped(payload)
                for name in fine:
                    yield method, filled(rule.rule, fine | {name: text}), {}
                for name in takes:
                    given = {n: escaped(value) for n, value in (others | {name: payload}).items()}
                    yield method, f"{path}?" + "&".join(f"{n}={value}" for n, value in given.items()), {}
                yield method, f"{path}?{text}=1", {}
                if method != "GET":
                    query = "&".join(f"{name}={escaped(value)}" for name, value in others.items())
                    for body, kind in [
                        ("&".join(f"{field}={text}" for field in FIELDS), FORM),
                        (json.dumps(dict.fromkeys(FIELDS, payload)), JSON),
                        (json.dumps([payload]), JSON),
                        (payload.encode("utf-8", "surrogateescape"), JSON),
                    ]:
                        yield method, f"{path}?{query}", {"data": body, "content_type": kind}


def assert_harmless(response: TestResponse, what: object) -> None:
    text = response.get_data().decode("utf-8", "replace")
    assert response.status_code < 500 or response.json["error"]["code"] == "nothing_published", (what, text[:500])
    assert not SQL_WORDS.search(text), (what, SQL_WORDS.search(text))
    assert "X-Injected" not in response.headers, what
    if response.mimetype == "text/html":
        for mark in ("<svg/onload", "<script>alert(7)", "7777777", "'-alert(7)-'", 'href="javascript:', 'href="//evil'):
            assert mark not in text, (what, mark)
    assert "evil.example" not in response.headers.get("Location", ""), what


def test_no_payload_in_any_place_of_any_route_does_anything(world: World):
    client = world.client(operators=OPERATORS)
    asked = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), 0)
    before = world.sql("select (select count(*) from shop.top_n), (select count(*) from pg_roles)")
    for method, address, more in attacks(client):
        sender = client if method == "GET" else client.application.test_client()
        assert_harmless(sender.open(address, method=method, headers=bearer(SECRET), **more), (method, address, more))
        asked[method] += 1
    assert asked["GET"] > 1_000
    assert asked["POST"] > 100
    assert world.sql("select (select count(*) from shop.top_n), (select count(*) from pg_roles)") == before


def test_no_payload_in_a_header_does_anything(world: World):
    client = world.client(operators=OPERATORS, cors_origins="https://shop.example", request_log=True, proxies=1)
    headers = (
        "HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_IF_NONE_MATCH", "HTTP_X_REQUEST_ID", "HTTP_HOST",
        "HTTP_X_FORWARDED_FOR", "HTTP_ACCEPT", "HTTP_RANGE", "HTTP_SEC_FETCH_SITE", "CONTENT_TYPE", "HTTP_REFERER",
    )  # fmt: skip
    for payload in PAYLOADS:
        value = payload.encode("utf-8", "surrogateescape").decode("latin-1").replace("\r", "").replace("\n", "")
        for header in headers:
            for path in ("/v1/shop/recommendations?user_id=u0001", "/sign-in"):
                given = f"recjobs_operator={value}" if header == "HTTP_COOKIE" else value
                assert_harmless(client.get(path, environ_overrides={header: given}), (header, payload))


# over a real socket


@pytest.fixture(scope="module")
def server(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    replica = Replica(
        world, "hostile", tmp_path_factory.mktemp("hostile"), WEBAPP_OPERATORS=OPERATORS, WEBAPP_REQUEST_LOG="true",
        WEBAPP_STATEMENT_TIMEOUT_MS="4000", WEBAPP_REQUEST_TIMEOUT_MS="5000",
    )  # fmt: skip
    replica.wait_until_ready()
    yield replica
    assert replica.stop() == 0


def assert_answers(server: Replica, after: object) -> None:
    answer = sent(server.port, GOOD, 8)
    assert answer.startswith(b"HTTP/1.1 200 "), (after, answer[:300])
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["user_id"] == "u0001"


def assert_no_failure(answer: bytes, what: object) -> None:
    statuses = [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE)]
    assert not [status for status in statuses if status >= 500], (what, answer[:500])
    assert not SQL_WORDS.search(answer.decode("latin-1")), what


@pytest.mark.parametrize("name", CLASSES)
def test_the_server_survives_every_class_of_request_that_is_none(server: Replica, name: str):
    assert_no_failure(sent(server.port, CLASSES[name], 0.2), name)
    assert_answers(server, name)


def test_the_server_survives_requests_drawn_from_these(server: Replica):
    for seed in range(DRAWN):
        assert_no_failure(sent(server.port, drawn(seed), 0.05), (seed, drawn(seed)))
        if seed % 10 == 0:
            assert_answers(server, seed)


@pytest.mark.parametrize(
    ("n", "half"),
    [
        (100, b"GET /v1/shop/popular HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        (
            8,
            b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\na=",
        ),
        (8, b"POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nname=a\r\n"),
        (8, b"GET /v1/shop/popular HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\na="),
    ],
    ids=["half the headers", "half a form", "half the chunks", "half a body of a GET"],
)
def test_clients_that_send_slowly_keep_nobody_waiting(server: Replica, n: int, half: bytes):
    lines = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(n)]
    try:
        for line in lines:
            line.sendall(half)
        time.sleep(0.2)
        for _ in range(5):
            started = time.monotonic()
            assert_answers(server, half)
            assert time.monotonic() - started < 2
    finally:
        for line in lines:
            line.close()
    time.sleep(0.2)
    assert_answers(server, half)


def test_a_form_is_read_again_when_the_slow_ones_have_left(server: Replica):
    body = b"name=alice&secret=" + SECRET.encode()
    request = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %b\r\n" % FORM.encode()
    whole = sent(server.port, request + b"Content-Length: %d\r\n\r\n" % len(body) + body, 5)
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for answer in (whole, sent(server.port, request + chunks, 5)):
        assert answer.startswith(b"HTTP/1.1 303"), answer[:300]
    assert sent(server.port, request + b"Content-Length: 3000000\r\n\r\n", 5).startswith(b"HTTP/1.1 413")


def test_nothing_of_all_this_reached_the_log(server: Replica):
    log = re.sub(r'"id":"[0-9a-f]{16}"', "", server.log.read_text(errors="replace"))  # drawn: one may have aaaa in it
    assert '"route":"/v1/<catalog>/recommendations"' in log
    for word in ("u0001", "evil", "nonsense", "etc/passwd", "aaaa", "Traceback", "panicked", SECRET):
        assert word not in log, word
