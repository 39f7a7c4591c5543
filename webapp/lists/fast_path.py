"""The one request that comes thousands of times a second, answered before Flask begins.

Of `GET /v1/<catalog>/recommendations` Flask takes more time for itself than all the rest does, the lookup included
(decision 13 has the figures). So it is recognised here by its address and answered by the very function that its view
calls. Whatever else arrives, odd addresses included, goes on to Flask, and so does this request where keys, a rate
limit or other sites' scripts are set up, which Flask's hooks look after.
"""

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from webapp.api import errors, headers, request_log
from webapp.api.operations import JSON
from webapp.api.responses import PERSONAL, is_had, tags
from webapp.lists import recommendations
from webapp.postgres.connection_pool import Database
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ADDRESS = re.compile(r"/v1/([a-z][a-z0-9_]{0,47})/recommendations")


def install(app: Flask, settings: Settings) -> None:
    """Answer before Flask does, unless a setting wants every request looked at."""
    if settings.api_keys or settings.rate_limit is not None or settings.cors_origins:
        return
    inner: WSGIApplication = app.wsgi_app
    database: Database = app.extensions["database"]

    def directly(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        address = ADDRESS.fullmatch(environ["PATH_INFO"])
        if address is None or environ["REQUEST_METHOD"] != "GET":
            return inner(environ, start_response)
        status = "200 OK"
        try:
            answer = recommendations.answer(database, address[1], environ.get("QUERY_STRING", ""))
            body, own = answer.body(), tags(answer, PERSONAL)
            if is_had(answer, environ.get("HTTP_IF_NONE_MATCH")):
                status, body = "304 NOT MODIFIED", b""
        except errors.ApiError as error:
            status, body, own = errors.for_programs(error)
            own.append(headers.LIFETIME)
        except Exception:
            return inner(environ, start_response)  # where it goes wrong once more, and is logged
        own += headers.ALWAYS
        own.append(headers.POLICY)
        if body:
            own += [("Content-Type", JSON), ("Content-Length", str(len(body)))]
        if settings.request_log:
            request_id = request_log.id_of(environ)
            request_log.add(request_id, started, "GET", recommendations.ROUTE, int(status[:3]), len(body), None)
            own.append(("X-Request-ID", request_id))
        start_response(status, own)
        return (body,)

    app.wsgi_app = directly  # type: ignore[method-assign]
