"""Everything that can go wrong, each with its status, in one shape.

    ApiError
    ├── Refused      400  the request makes no sense; sending it again will not help
    ├── Unauthorized 401  no credential, or a wrong one
    ├── Forbidden    403  a credential that may not do this, or something that is switched off
    ├── NotFound     404  no such catalog, item, category or report
    ├── TooMany      429  too often, or too many wrong credentials; try again after Retry-After
    └── Unavailable  503  the database is away or nothing is published; try again after Retry-After

Programs get `{"error": {"code": ..., "message": ...}}`, people a page. No view needs a `try`.
"""

import logging
import traceback

import orjson
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

log = logging.getLogger("webapp.errors")

PROGRAM_PATHS = ("/v1/", "/healthz", "/readyz", "/openapi.json")


class ApiError(Exception):
    """An answer that is not the one asked for."""

    status = 500
    retry_after: int | None = None

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Refused(ApiError):
    """The request cannot be answered as it was sent."""

    status = 400


class Unauthorized(ApiError):
    """Who asks is not known."""

    status = 401


class Forbidden(ApiError):
    """Who asks may not do this; or nobody may, as this is set up."""

    status = 403


class NotFound(ApiError):
    """What was named does not exist."""

    status = 404


class TooMany(ApiError):
    """This client was told to wait, and for how many seconds."""

    status = 429

    def __init__(self, code: str, message: str, seconds: int) -> None:
        super().__init__(code, message)
        self.retry_after = seconds


class Unavailable(ApiError):
    """There is no answer right now; a later try may get one."""

    status = 503
    retry_after = 1


def is_for_programs(path: str) -> bool:
    """Whether programs ask here: they get JSON, people get pages."""
    return path.startswith(PROGRAM_PATHS)


def error_response(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
    """The one error shape: JSON for programs, a page for people."""
    if is_for_programs(request.path):
        body = orjson.dumps({"error": {"code": code, "message": message}})
        response = Response(body, status=status, content_type="application/json")
    else:
        response = Response(render_template("error.html", status=status, message=message), status=status)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="recjobs"'
    return response


def install(app: Flask) -> None:
    """Turn every exception into the one error shape."""

    @app.errorhandler(ApiError)
    def _ours(error: ApiError) -> Response:
        return error_response(error.status, error.code, error.message, error.retry_after)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        code = (error.name or "error").lower().replace(" ", "_")
        message = error.description or error.name
        if status == 404:
            message = "There is nothing at this address"
        response = error_response(status, code, message)
        ours = ("content-type", "content-length")
        response.headers.extend((name, value) for name, value in error.get_headers() if name.lower() not in ours)
        return response

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        # The place, not the message: a message may quote the request, and no user id belongs in a log.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s in %s\n%s", type(error).__name__, request.url_rule, frames)
        return error_response(500, "internal_error", "This is our mistake; it was logged")
