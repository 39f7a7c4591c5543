"""Bodies that do not arrive: who may not ask is not waited for, who may is for a while, and others are answered."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.hostile_requests import CLASSES, get, sent
from tests.replicas import Nginx, Replica, wait_for
from tests.webapp_credentials import KEY, KEYS, OPERATORS, SECRET, bearer
from tests.webapp_world import World

pytest_plugins = ["tests.webapp_fixtures"]

FORM, JSON = b"Content-Type: application/x-www-form-urlencoded", b"Content-Type: application/json"
BATCH, RULES, ROLL_BACK, SIGN_IN = b"/v1/shop/recommendations:batch", b"/rules", b"/runs/roll-back", b"/sign-in"
USERS = json.dumps({"user_ids": ["u0001"]}).encode()


@pytest.fixture(scope="module")
def server(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    replica = Replica(
        world, "bodies", tmp_path_factory.mktemp("bodies"), WEBAPP_OPERATORS=OPERATORS, RECJOBS_API_KEYS=KEYS,
        WEBAPP_THREADS="8",
        WEBAPP_STATEMENT_TIMEOUT_MS="4000", WEBAPP_REQUEST_TIMEOUT_MS="5000", WEBAPP_PAGE_TIMEOUT_MS="8000",
    )  # fmt: skip
    replica.wait_until_ready()
    yield replica
    assert replica.stop() == 0


@pytest.fixture
def send_half(server: Replica) -> Iterator[Callable[..., socket.socket]]:
    """Sends the head of a POST and half of its body; all connections are closed at the end."""
    with ExitStack() as stack:

        def send(target: bytes, *headers: bytes, body: bytes = b'{"us') -> socket.socket:
            if not any(header.startswith(b"Transfer") for header in headers):
                headers += (b"Content-Length: 60",)
            line = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 30))
            line.sendall(b"\r\n".join([b"POST %b HTTP/1.1" % target, b"Host: x", *headers]) + b"\r\n\r\n" + body)
            return line

        yield send


def authorization(secret: str) -> bytes:
    return b"Authorization: " + bearer(secret)["Authorization"].encode()


def status_of(answer: bytes) -> int:
    return int(answer[9:12] or 0)


def post(server: Replica, target: bytes, body: bytes, *headers: bytes) -> int:
    request = get(target, *headers, b"Content-Length: %d" % len(body), method=b"POST") + body
    return status_of(sent(server.port, request, 20))


def test_half_a_body_without_a_credential_keeps_nobody_with_one_waiting(server: Replica, send_half: Callable):
    refused = [send_half(target, FORM) for target in (BATCH, RULES, ROLL_BACK) for _ in range(4)]
    refused += [send_half(BATCH, JSON, authorization("rk_wrong")) for _ in range(4)]
    assert {status_of(line.recv(4096)) for line in refused} <= {401, 429}, "before the body has arrived"
    for _ in range(8):
        send_half(SIGN_IN, FORM, body=b"name=")
    assert post(server, BATCH, USERS, JSON, authorization(KEY)) == 200
    assert post(server, ROLL_BACK, b"catalog=shop", FORM, authorization(SECRET)) == 400, "it says what is missing"
    who = b"name=alice&secret=" + SECRET.encode()
    wait_for(lambda: post(server, SIGN_IN, who, FORM) == 303)


def test_a_body_that_does_not_arrive_is_408_and_its_place_is_free_again(server: Replica, send_half: Callable):
    key, other = authorization(KEY), socket.create_connection(("127.0.0.1", server.port), 30)
    silent = [send_half(BATCH, JSON, key), send_half(BATCH, JSON, key, b"Expect: 100-continue")]
    dripping = {
        send_half(BATCH, JSON, key, body=b"{"): b" ",
        send_half(BATCH, JSON, key, b"Transfer-Encoding: chunked", body=b"1\r\n{\r\n"): b"1\r\n \r\n",
    }
    answers, ended = dict.fromkeys([*silent, *dripping], b""), set()

    def has_ended(line: socket.socket) -> bool:
        line.setblocking(False)
        with suppress(BlockingIOError, ConnectionError):
            while piece := line.recv(4096):
                answers[line] += piece
            return True
        return False

    def have_ended() -> bool:
        for line, piece in dripping.items():
            with suppress(OSError):
                line.sendall(piece)
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(other.recv(1 << 16)) == 200, "a connection that is used stays"
        ended.update(line for line in answers if line not in ended and has_ended(line))
        return len(ended) == len(answers)

    wait_for(have_ended)
    other.close()
    assert b" 408 " in answers[silent[0]]
    assert b'"code":"body_timeout"' in answers[silent[0]]
    assert post(server, BATCH, USERS, JSON, key) == 200


def test_behind_the_proxy_what_never_reaches_the_web_app_is_an_error_in_its_format(
    server: Replica, tmp_path_factory: pytest.TempPathFactory
):
    nginx = Nginx([server.port] * 3, tmp_path_factory.mktemp("front") / "nginx")
    long = {
        "long address": get(b"/v1/shop/popular?n=" + b"1" * 70_000),
        "long header": get(b"/", b"X: " + b"1" * 70_000),
    }
    try:
        for name, request in (CLASSES | long).items():
            answer = sent(nginx.port, request, 5 if name in long or name == "huge URL" else 0.3)
            head, _, body = answer.partition(b"\r\n\r\n")
            if answer.startswith(b"HTTP/") and b"text/html" in head:
                assert b"nginx" not in body, (name, answer)
        for name, status in (("long address", 414), ("long header", 431)):
            answer = sent(nginx.port, long[name], 20)
            assert status_of(answer) == status
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
    finally:
        nginx.stop()
