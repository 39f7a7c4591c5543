"""A lean HTTP client: raw sockets, one process, no parsing beyond status and length. Prints latencies as JSON.

Closed loop: each of `--connections` sends its next request when the last is answered. Open loop (`--rate`): requests
arrive by a Poisson process whatever the server does, and a latency counts from when its request should have been sent.
"""

import argparse
import gc
import json
import random
import select
import socket
import time
from collections import deque
from pathlib import Path

LENGTH = b"\r\ncontent-length: "


class Connection:
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.began = 0.0
        self.failed = 0

    def send(self, request: bytes, began: float) -> None:
        """Send a request; what is small goes out at once."""
        self.began = began
        self._received = b""
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Receive once; whether the answer is there, whole."""
        self._received += self.socket.recv(65536)
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._received[:end].lower() + b"\r\n"
        start = head.index(LENGTH) + len(LENGTH)
        if len(self._received) - end - 4 < int(head[start : head.index(b"\r", start)]):
            return False
        self.failed += not head.startswith(b"http/1.1 200")
        return True


def one(connection: Connection, requests: deque[bytes], seconds: float) -> list[float]:
    """One request after the other on one connection."""
    latencies = []
    now = time.perf_counter()
    until = now + seconds
    while now < until:
        connection.send(requests[0], now)
        requests.rotate(-1)
        while not connection.is_answered():
            pass
        now = time.perf_counter()
        latencies.append(now - connection.began)
    return latencies


def many(connections: list[Connection], requests: deque[bytes], seconds: float) -> list[float]:
    """All connections busy all the time."""
    latencies = []
    epoll = select.epoll()
    of = {connection.socket.fileno(): connection for connection in connections}
    until = time.perf_counter() + seconds
    for connection in connections:
        epoll.register(connection.socket, select.EPOLLIN)
        connection.send(requests[0], time.perf_counter())
        requests.rotate(-1)
    while of:
        for number, _ in epoll.poll():
            connection = of[number]
            if connection.is_answered():
                now = time.perf_counter()
                latencies.append(now - connection.began)
                if now > until:
                    epoll.unregister(number)
                    del of[number]
                else:
                    connection.send(requests[0], now)
                    requests.rotate(-1)
    return latencies


def at_rate(connections: list[Connection], requests: deque[bytes], seconds: float, rate: float) -> list[float]:
    """Arrivals as drawn; one that finds every connection busy waits, and its waiting counts."""
    draw = random.Random(7)
    idle = list(connections)
    busy: dict[socket.socket, Connection] = {}
    waiting: deque[float] = deque()
    latencies = []
    arrival = time.perf_counter()
    until = arrival + seconds
    while arrival < until or busy or waiting:
        now = time.perf_counter()
        while arrival <= now and arrival < until:
            waiting.append(arrival)
            arrival += draw.expovariate(rate)
        while waiting and idle:
            connection = idle.pop()
            connection.send(requests[0], waiting.popleft())
            requests.rotate(-1)
            busy[connection.socket] = connection
        # The last 0.2 ms before an arrival are spun away: a sleep ends later than it was told to.
        left = max(0.0, arrival - time.perf_counter() - 2e-4) if arrival < until else 1.0
        for ready in select.select(busy, (), (), left)[0]:
            if busy[ready].is_answered():
                latencies.append(time.perf_counter() - busy[ready].began)
                idle.append(busy.pop(ready))
    return latencies


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="what comes before the id")
    parser.add_argument("--ids", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--key", help="an API key to send")
    arguments = parser.parse_args()
    ids = arguments.ids.read_text().split()
    random.Random(time.time_ns()).shuffle(ids)
    headers = "Host: 127.0.0.1\r\n" + (f"Authorization: Bearer {arguments.key}\r\n" if arguments.key else "")
    requests = deque(f"GET {arguments.path}{i} HTTP/1.1\r\n{headers}\r\n".encode() for i in ids)
    connections = [Connection(arguments.port) for _ in range(arguments.connections)]
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    if arguments.rate:
        latencies = at_rate(connections, requests, arguments.seconds, arguments.rate)
    elif arguments.connections == 1:
        latencies = one(connections[0], requests, arguments.seconds)
    else:
        latencies = many(connections, requests, arguments.seconds)
    took = time.perf_counter() - began
    print(
        json.dumps(
            {
                "rate": len(latencies) / took,
                "failed": sum(c.failed for c in connections),
                "latencies": sorted(latencies),
            }
        )
    )


if __name__ == "__main__":
    main()
