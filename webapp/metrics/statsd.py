"""The same numbers by StatsD, for who has no Prometheus: sums of a few seconds, sent by a thread of their own.

A request only counts. The thread resolves the name of the receiver once and sends by UDP without blocking, so that a
receiver that is away, slow or unknown delays nobody; what it misses is lost.

    webapp.requests.<route>.<status>     counter    requests since the last time
    webapp.lists.<catalog>.<source>      counter    lists of users since the last time
    webapp.duration.<route>              timing     milliseconds, a bucket's upper bound for each request in it, as
                                                    `<bound>|ms|@<1 / requests>`
    webapp.published.<catalog>           gauge      when the live lists were published, in seconds since 1970
    webapp.max_age.<catalog>             gauge      after how many seconds they are too old

In names `:` is `_`, as StatsD reserves it.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from webapp.metrics.counters import BOUNDS, Totals
from webapp.metrics.prometheus import Published

log = logging.getLogger("webapp.metrics")

SECONDS = 10.0
LOOK_SECONDS = 0.5
PACKET_BYTES = 1400
"""As much as fits a packet of Ethernet."""
BEYOND = 10 * BOUNDS[-1]
"""What is sent for a request that took longer than the last bound, in seconds."""


class Sender:
    """Sends what was counted since the last time, every few seconds."""

    def __init__(self, host: str, port: int, totals: Callable[[], Totals], published: Callable[[], Published]) -> None:
        self._host, self._port = host, port
        self._totals, self._published = totals, published
        self._sent = Totals({}, {}, {})
        self._address: tuple[socket.AddressFamily, tuple[object, ...]] | None = None

    def start(self) -> None:
        """Begin; it ends with the main thread, after what is left was sent."""
        # Not a daemon, as the log of requests: the last seconds of a replica that is replaced count.
        threading.Thread(target=self._run, name="statsd").start()

    def send(self) -> None:
        """Send once. Never raises, never waits but for the name of the receiver."""
        totals = self._totals()
        lines = list(_lines(totals, self._sent, self._published()))
        self._sent = totals
        with contextlib.suppress(OSError):
            family, address = self._address = self._address or self._resolved()
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                for packet in _packets(lines):
                    sender.sendto(packet, address)

    def _resolved(self) -> tuple[socket.AddressFamily, tuple[object, ...]]:
        try:
            family, _, _, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            log.warning("metrics are not sent: STATSD_HOST=%s is not known (%s)", self._host, error)
            raise
        return family, address

    def _run(self) -> None:
        while threading.main_thread().is_alive():
            due = time.monotonic() + SECONDS
            while threading.main_thread().is_alive() and time.monotonic() < due:
                time.sleep(LOOK_SECONDS)
            self.send()


def _lines(now: Totals, before: Totals, published: Published) -> Iterator[str]:
    for key, number in now.requests.items():
        if more := number - before.requests.get(key, 0):
            yield f"webapp.requests.{_name(key)}:{more}|c"
    for source, number in now.lists.items():
        if more := number - before.lists.get(source, 0):
            yield f"webapp.lists.{_name(source)}:{more}|c"
    for route, counts in now.durations.items():
        earlier = before.durations.get(route, [0] * len(counts))
        for bound, count, past in zip((*BOUNDS, BEYOND), counts, earlier, strict=False):
            if more := int(count - past):
                rate = f"|@{_rate(more)}" if more > 1 else ""
                yield f"webapp.duration.{_name((route,))}:{bound * 1000:g}|ms{rate}"
    for catalog, (instant, max_age) in published.items():
        yield f"webapp.published.{catalog}:{instant:.0f}|g"
        if max_age is not None:
            yield f"webapp.max_age.{catalog}:{max_age:.0f}|g"


def _rate(number: int) -> str:
    """The sampling rate by which one value stands for so many; receivers round 1 / rate down."""
    return f"{1 / (number + 1e-6 * number):.12f}"


def _name(parts: Iterable[object]) -> str:
    return ".".join(str(part).replace(":", "_") for part in parts)


def _packets(lines: Iterable[str]) -> Iterator[bytes]:
    packet = b""
    for line in lines:
        more = line.encode()
        if packet and len(packet) + 1 + len(more) > PACKET_BYTES:
            yield packet
            packet = b""
        packet = packet + b"\n" + more if packet else more
    if packet:
        yield packet
