"""One line of JSON per request: the route, never the address, so that no user id reaches a log.

`id` is what the caller sent as `X-Request-ID` where that is hexadecimal, as proxies make them (a free text might be a
user's id), else drawn here; the answer has it too. `key` is the name of the credential. `bytes` is the body's length.
"""

import logging
import os
import re
import time
from datetime import UTC, datetime

import orjson
from flask import Flask, Response, g, request

log = logging.getLogger("webapp.requests")

REQUEST_ID = re.compile(r"[0-9a-fA-F-]{16,64}")


def install(app: Flask) -> None:
    """Log each request when it is answered."""

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def _finish(response: Response) -> Response:
        given = request.environ.get("HTTP_X_REQUEST_ID")
        request_id = given if given and REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        response.headers["X-Request-ID"] = request_id
        rule = request.url_rule
        caller = g.get("caller")
        line = {
            "time": datetime.now(UTC),
            "id": request_id,
            "method": request.method if rule else None,
            "route": rule.rule if rule else None,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.started) * 1000, 2),
            "bytes": response.content_length,
            "key": caller.name if caller else None,
        }
        log.info(orjson.dumps(line, option=orjson.OPT_UTC_Z).decode())
        return response
