"""`GET /v1/<catalog>/recommendations`, which arrives thousands of times a second, answered without Flask.

For this request Flask takes longer than all else, the lookup included (docs/decisions/0013 has the figures). It is
recognised by its path, and admitted and answered by the functions that Flask calls for it: `Admission.admit` (host, API
key, rate limit), its view's, and those of CORS, the counters and the request log. Any other request goes to Flask.
"""

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from webapp.access.admission import Admission
from webapp.api import cors, errors, headers, logs, request_log
from webapp.api.operations import JSON
from webapp.api.responses import PERSONAL, cache_headers, matches
from webapp.lists import recommendations
from webapp.metrics.counters import Counters, route_of
from webapp.postgres.connection_pool import ConnectionPool
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = re.compile(r"/v1/([a-z][a-z0-9_]{0,47})/recommendations")
ROUTE = route_of(recommendations.ROUTE)


def install(app: Flask, settings: Settings) -> None:
    """Put the fast path in front of Flask."""
    inner: WSGIApplication = app.wsgi_app
    pool: ConnectionPool = app.extensions["connection_pool"]
    admission: Admission = app.extensions["admission"]
    counters: Counters = app.extensions["counters"]

    def fast_path(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        path = PATH.fullmatch(environ["PATH_INFO"])
        if path is None or environ["REQUEST_METHOD"] != "GET":
            return inner(environ, start_response)
        status, caller = "200 OK", None
        catalog = source = None
        if settings.request_log:
            request_id = request_log.id_of(environ)
            logs.REQUEST_ID.set(request_id)
        try:
            caller = admission.admit(environ)
            if caller is not None:
                caller.check(path[1])
            response = recommendations.respond(pool, path[1], environ.get("QUERY_STRING", ""))
            catalog, source = path[1], response.source
            body, sent = response.body(), cache_headers(response.tag, PERSONAL)
            if matches(response.tag, environ.get("HTTP_IF_NONE_MATCH")):
                status, body = "304 NOT MODIFIED", b""
        except errors.ApiError as error:
            status, body, sent = errors.as_json_error(error)
            sent.append(headers.LIFETIME)
        except Exception:
            return inner(environ, start_response)  # fails again there, and is logged
        sent += cors.for_origin(settings.cors_origins, environ.get("HTTP_ORIGIN"))
        sent += headers.ALWAYS
        sent.append(headers.POLICY)
        if body:
            sent += [("Content-Type", JSON), ("Content-Length", str(len(body)))]
        if settings.request_log:
            key = caller.name if caller else None
            request_log.add(request_id, started, "GET", recommendations.ROUTE, int(status[:3]), len(body), key, catalog)
            sent.append(("X-Request-ID", request_id))
        counters.request(ROUTE, status, time.perf_counter() - started, catalog, source)
        start_response(status, sent)
        return (body,)

    app.wsgi_app = fast_path  # type: ignore[method-assign]
