"""Bodies are read whole by at most half of the threads: whoever sends one slowly keeps no lookup waiting.

The application server hands a request over when its headers are there. Four clients that then sent half a body held all
four threads for as long as they liked (a lookup waited 8 s, until they hung up). Now they hold two; other bodies are
refused with 503 meanwhile, and lookups go on. A read from the server has no deadline, and one in a thread of its own
that is given up stalls granian's event loop; against a crowd of slow senders a proxy that buffers helps, as nginx does.
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
    """Read a body before its view asks for it, or refuse it if too many are on their way."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_BYTES
    places = threading.BoundedSemaphore(max(1, settings.threads // 2))

    @app.before_request
    def _read() -> None:
        environ = request.environ
        if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS") or request.url_rule is None:
            return
        length = request.content_length
        if length == 0 or (length or 0) > MAX_BYTES or (length is None and "HTTP_TRANSFER_ENCODING" not in environ):
            return  # there is none, or it is refused by its length
        if not places.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("busy", "Too many bodies are on their way; try again in a moment")
        try:
            body = environ["wsgi.input"].read(MAX_BYTES + 1 if length is None else length)
        finally:
            places.release()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
