"""Connections that ask for nothing: they end, they keep nobody out, and an address has only so many."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.hostile_requests import GOOD, sent
from tests.replicas import Replica, status, wait_for
from tests.webapp_world import World
from tests.worlds import soak

KEEP_ALIVE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
pytest_plugins = ["tests.webapp_fixtures"]
pytestmark = pytest.mark.soak

IDLE = soak(1000, share=3)
"""More than 256, at which another connection had to wait once."""
LIMIT, TOO_MANY = IDLE + 50, 30


@pytest.fixture(scope="module")
def server(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    replica = Replica(
        world, "idle", tmp_path_factory.mktemp("idle"), WEBAPP_IDLE_SECONDS="3",
        WEBAPP_CONNECTIONS_PER_ADDRESS=str(LIMIT), WEBAPP_STATEMENT_TIMEOUT_MS="4000",
        WEBAPP_REQUEST_TIMEOUT_MS="5000",
    )  # fmt: skip
    replica.wait_until_ready()
    yield replica
    assert replica.stop() == 0


@pytest.fixture
def connect(server: Replica) -> Iterator[Callable[[str], socket.socket]]:
    """Connects from an address; all connections are closed at the end."""
    with ExitStack() as stack:

        def from_address(address: str) -> socket.socket:
            line = socket.create_connection(("127.0.0.1", server.port), 30, source_address=(address, 0))
            return stack.enter_context(line)

        yield from_address


def is_closed(line: socket.socket) -> bool:
    """Whether the server has hung up."""
    line.setblocking(False)
    try:
        return line.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def assert_answers(server: Replica) -> None:
    assert status(f"http://127.0.0.1:{server.port}/healthz") == 200
    assert sent(server.port, GOOD, 8).startswith(b"HTTP/1.1 200 ")


def test_idle_connections_keep_nobody_out_and_end_by_themselves(server: Replica, connect: Callable):
    lines = []
    for k in range(IDLE):
        lines.append(connect("127.0.0.1"))
        if k % 3 == 0:
            lines[k].sendall(KEEP_ALIVE)
            assert lines[k].recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        elif k % 3 == 1:
            lines[k].sendall(KEEP_ALIVE[:20])
    for _ in range(5):
        assert_answers(server)
    wait_for(lambda: all(is_closed(line) for line in lines))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a machine has one loopback address")
def test_an_address_with_too_many_connections_loses_the_newest_and_another_address_none(
    server: Replica, connect: Callable
):
    other = connect("127.0.0.1")
    greedy = [connect("127.0.0.2") for _ in range(LIMIT + TOO_MANY)]
    closed: set[socket.socket] = set()

    def has_lost_some() -> bool:
        closed.update(line for line in greedy if line not in closed and is_closed(line))
        for line in {other, *greedy} - closed:  # so that none ends for being idle
            with suppress(OSError):
                line.sendall(KEEP_ALIVE)
        return len(closed) >= TOO_MANY

    wait_for(has_lost_some)
    assert len(closed) == TOO_MANY
    assert not is_closed(other)
    assert_answers(server)
