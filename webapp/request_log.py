"""One line of JSON per request: the route, never the address, so that no user id reaches a log."""

import logging
import time

import orjson
from flask import Flask, Response, g, request

log = logging.getLogger("webapp.requests")


def install(app: Flask) -> None:
    """Log each request when it is answered."""

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def _finish(response: Response) -> Response:
        rule = request.url_rule
        line = {
            "method": request.method if rule else None,
            "route": rule.rule if rule else None,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.started) * 1000, 2),
        }
        log.info(orjson.dumps(line).decode())
        return response
