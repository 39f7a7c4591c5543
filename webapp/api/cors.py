"""CORS: scripts of the sites in `WEBAPP_CORS_ORIGINS`, byte for byte, may read the API; by default none may.

Cookies are not sent (there is no Allow-Credentials): a script sends a key of its own, which its visitors can read.
"""

from collections.abc import Collection

from flask import Flask, Response, request

from webapp.api.errors import PROBES, is_for_programs
from webapp.settings import Settings

REQUEST_HEADERS = "Authorization, Content-Type, If-None-Match"
EXPOSED_HEADERS = "ETag, Retry-After, X-Request-ID"


def for_origin(origins: Collection[str], origin: str | None) -> list[tuple[str, str]]:
    """The headers of a response to a script of this origin, if it may read it; without any origins none."""
    if not origins:
        return []
    vary = ("Vary", "Origin")
    if origin is None or origin not in origins:
        return [vary]
    return [vary, ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]


def install(app: Flask, settings: Settings) -> None:
    """Add the CORS headers, if any origin is set."""
    origins = settings.cors_origins
    if not origins:
        return

    @app.after_request
    def _add_headers(response: Response) -> Response:
        if not is_for_programs(request.path) or request.path in PROBES:
            return response
        (_, vary), *allowed = for_origin(origins, request.environ.get("HTTP_ORIGIN"))
        response.vary.add(vary)
        response.headers.update(allowed)
        if allowed and request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET")
            response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
        return response
