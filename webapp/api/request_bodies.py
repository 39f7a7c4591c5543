"""Request bodies are read whole by at most half of the threads, so that a slow sender delays no lookup.

The application server hands over a request when it has the headers. Four clients that then sent half a body held all
four threads (a lookup waited 8 s, until they hung up). Now they hold two; other bodies are refused with 503 meanwhile,
and lookups go on. A read from the server has no deadline, and abandoning one in a thread of its own stalls granian's
event loop; against many slow senders a buffering proxy helps, as nginx is.
"""

import io
import threading

from flask import Flask, request

from webapp.api.errors import Unavailable
from webapp.settings import Settings

MAX_BYTES = 2 * 1024 * 1024
"""A thousand ids of 256 bytes fit however they are escaped: JSON writes a byte in at most six."""
MAX_FORM_BYTES = 64 * 1024
WAIT_SECONDS = 0.05


def install(app: Flask, settings: Settings) -> None:
    """Read a body before its view runs, or refuse it while too many are being read."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_BYTES
    readers = threading.BoundedSemaphore(max(1, settings.threads // 2))

    @app.before_request
    def _read() -> None:
        environ = request.environ
        if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS") or request.url_rule is None:
            return
        length = request.content_length
        if length == 0 or (length or 0) > MAX_BYTES or (length is None and "HTTP_TRANSFER_ENCODING" not in environ):
            return  # no body, or one that Flask refuses for its length
        if not readers.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("busy", "Too many request bodies are being read; try again in a moment")
        try:
            body = environ["wsgi.input"].read(MAX_BYTES + 1 if length is None else length)
        finally:
            readers.release()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
