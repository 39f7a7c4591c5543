"""The errors of the web app, each with its status, in one shape.

    ApiError
    ├── Refused      400  the request is invalid; sending it again will not help
    ├── Unauthorized 401  no credential, or a wrong one
    ├── Forbidden    403  a credential that may not do this, or a setting that switches this off
    ├── NotFound     404  no such catalog, item, category, batch or report
    ├── BatchMoved   409  the batch that the request names is no longer live; begin again with the new one
    ├── TooMany      429  too many requests, or too many wrong credentials; try again after Retry-After
    └── Unavailable  503  the database is away or nothing is published; try again after Retry-After

Programs get `{"error": {"code": ..., "message": ...}}`, people a page. No view needs a `try`.
"""

import logging
import traceback
from http import HTTPStatus

import orjson
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

log = logging.getLogger("webapp.errors")

PROGRAM_PATHS = ("/v1/", "/healthz", "/readyz", "/metrics", "/info", "/openapi.json")
PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked by a platform that knows an address and no name, as often as it likes."""
UNLIMITED = (*PROBES, "/static/")
"""Paths that no rate limit counts: probes, and the static files of a page."""


class ApiError(Exception):
    """An error with its code for programs and its message for people."""

    status = 500
    retry_after: int | None = None

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members: dict[str, str] = {}
        """What else the error tells programs."""
        if status is not None:
            self.status = status


class Refused(ApiError):
    """The request is invalid; sending it again will not help."""

    status = 400


class Unauthorized(ApiError):
    """There is no credential, or a wrong one."""

    status = 401


class NotSignedIn(ApiError):
    """Whoever else signs people in did not vouch for anybody."""

    status = 401


class Forbidden(ApiError):
    """The credential is not enough, or a setting switches this off."""

    status = 403


class NotFound(ApiError):
    """The named thing does not exist."""

    status = 404


class BatchMoved(ApiError):
    """The batch that the request names is not live. batch_id: the one that is."""

    status = 409

    def __init__(self, batch_id: str) -> None:
        super().__init__("batch_moved", f"This batch is not live; begin again with {batch_id}, which is")
        self.members = {"batch_id": batch_id}


class TooMany(ApiError):
    """The client must wait before it asks again. seconds: how long."""

    status = 429

    def __init__(self, code: str, message: str, seconds: int) -> None:
        super().__init__(code, message)
        self.retry_after = seconds


class Unavailable(ApiError):
    """There is no answer now; a later request may get one."""

    status = 503
    retry_after = 1


def is_for_programs(path: str) -> bool:
    """Whether a path belongs to the API: its errors are JSON, those of pages are HTML."""
    return path == "/v1" or path.startswith(PROGRAM_PATHS)


def as_json_error(error: ApiError) -> tuple[str, bytes, list[tuple[str, str]]]:
    """The status line, body and headers of an error as JSON."""
    body = orjson.dumps({"error": {"code": error.code, "message": error.message, **error.members}})
    headers = [] if error.retry_after is None else [("Retry-After", str(error.retry_after))]
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="recjobs"'))
    return f"{error.status} {HTTPStatus(error.status).phrase.upper()}", body, headers


def error_response(error: ApiError) -> Response:
    """An error as a response: JSON from the API, a page elsewhere."""
    status, body, headers = as_json_error(error)
    if is_for_programs(request.path):
        return Response(body, status, headers, content_type="application/json")
    return Response(render_template("error.html", status=error.status, message=error.message), status, headers)


def install(app: Flask) -> None:
    """Turn every exception into the one error shape."""

    app.register_error_handler(ApiError, error_response)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        code = (error.name or "error").lower().replace(" ", "_")
        message = error.description or error.name
        if status == 404:
            message = "There is nothing at this address"
        response = error_response(ApiError(code, message, status))
        replaced = ("content-type", "content-length")
        response.headers.extend((name, value) for name, value in error.get_headers() if name.lower() not in replaced)
        return response

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        # The traceback, not the message: a message may quote the request, and no user id belongs in a log.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s in %s\n%s", type(error).__name__, request.url_rule, frames)
        return error_response(ApiError("internal_error", "This is our mistake; it was logged"))
