"""Request bodies: read when a view asks for them, by at most half of the threads, within a deadline.

The application server hands over a request when it has the headers, and a body only on demand: who may not ask is
refused before a byte of the body is read. A read from the server has no deadline of its own; four clients that sent
half a body each held all four threads. So other bodies are refused with 503 while half of the threads read, one of
these is kept for callers with a credential, and whoever has not sent all after `BODY_SECONDS` gets 408 and is hung up
on. A buffering proxy, as nginx is, passes on whole bodies only.
"""

import io
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any

from flask import Flask, g, request

from webapp.api.client_sockets import client_sockets, plain
from webapp.api.errors import ApiError, Unavailable
from webapp.settings import Settings

MAX_BYTES = 2 * 1024 * 1024
"""A thousand ids of 256 bytes fit however they are escaped: JSON writes a byte in at most six."""
MAX_FORM_BYTES = 64 * 1024
WAIT_SECONDS = 0.05
BODY_SECONDS = 5.0
LOOK_SECONDS = 0.25
TCP_INFO_LAST_DATA_SENT = 44
"""Where Linux says in TCP_INFO how many milliseconds ago it last sent data."""


def install(app: Flask, settings: Settings) -> None:
    """Read a body when it is asked for, or refuse it while too many are being read."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_BYTES
    readers = Readers(settings)

    @app.before_request
    def _wrap() -> None:
        environ = request.environ
        if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS") or request.url_rule is None:
            return
        length = request.content_length
        if length == 0 or (length or 0) > MAX_BYTES or (length is None and "HTTP_TRANSFER_ENCODING" not in environ):
            return  # no body, or one that Flask refuses for its length
        environ["wsgi.input"] = Body(readers, environ["wsgi.input"], length)
        environ["wsgi.input_terminated"] = True


class Readers:
    """The threads that read bodies, and when each of them began."""

    def __init__(self, settings: Settings) -> None:
        n = max(1, settings.threads // 2)
        self._all = threading.BoundedSemaphore(n)
        self._without_credential = threading.BoundedSemaphore(max(1, n - 1))
        self._has_credentials = settings.needs_credential or settings.people_sign_in
        self._port = settings.port
        self._reads: dict[object, Read] = {}
        self._reading = threading.Event()
        self._watcher: threading.Thread | None = None
        self._starting = threading.Lock()

    def read(self, source: IO[bytes], length: int | None) -> bytes:
        """Read a body whole; raises `Unavailable` while too many are being read, and 408 if it does not arrive."""
        with ExitStack() as held:
            if self._has_credentials and g.get("caller") is None:
                held.enter_context(_one_of(self._without_credential))
            held.enter_context(_one_of(self._all))
            read = held.enter_context(self._noted())
            body = source.read(MAX_BYTES + 1 if length is None else length)
        if read.is_overdue and len(body) != length:
            raise ApiError("body_timeout", f"The body did not arrive within {BODY_SECONDS:.0f} seconds", 408)
        return body

    @contextmanager
    def _noted(self) -> Iterator["Read"]:
        address = request.environ.get("werkzeug.proxy_fix.orig", request.environ).get("REMOTE_ADDR") or ""
        read = Read(address)
        self._reads[read] = read
        self._reading.set()
        if self._watcher is None:
            self._start_watcher()
        try:
            yield read
        finally:
            del self._reads[read]

    def _start_watcher(self) -> None:
        with self._starting:
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="request bodies", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while self._reading.wait():
            self._reading.clear()
            while reads := list(self._reads.values()):
                for read in reads:
                    if time.monotonic() - read.began > BODY_SECONDS:
                        for other in reads:  # which of the address's connections will end is not known
                            other.is_overdue = other.is_overdue or other.address == read.address
                        hang_up(self._port, read)
                time.sleep(LOOK_SECONDS)


class Read:
    """The reading of one body. address: the other end of its connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.began = time.monotonic()
        self.is_overdue = False


class Body(io.RawIOBase):
    """A body as a file, read whole from the application server at the first byte that is asked for."""

    def __init__(self, readers: Readers, source: IO[bytes], length: int | None) -> None:
        self._readers, self._source, self._length = readers, source, length
        self._whole: io.BytesIO | None = None

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        if self._whole is None:
            self._whole = io.BytesIO(self._readers.read(self._source, self._length))
        return self._whole.readinto(buffer)


@contextmanager
def _one_of(readers: threading.BoundedSemaphore) -> Iterator[None]:
    if not readers.acquire(timeout=WAIT_SECONDS):
        raise Unavailable("busy", "Too many request bodies are being read; try again in a moment")
    try:
        yield
    finally:
        readers.release()


def hang_up(port: int, read: Read) -> None:
    """Receive no more from the client of a body.

    The server does not say which of an address's connections it is: one on which nothing was sent since the read began.
    So may be others, which are idle, and which a client must expect to end. Elsewhere than on Linux, where the system
    does not say this, all connections of the address end.
    """
    for address, _, client in client_sockets(port):
        with suppress(OSError, ValueError):
            if address == plain(read.address) and seconds_since_sent(client) > time.monotonic() - read.began - 1:
                client.shutdown(socket.SHUT_RD)


def seconds_since_sent(client: socket.socket) -> float:
    """How long ago data were last sent; infinite where the system does not say it."""
    if sys.platform != "linux":
        return float("inf")
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_LAST_DATA_SENT + 4)
    return float(struct.unpack_from("=I", info, TCP_INFO_LAST_DATA_SENT)[0]) / 1000
