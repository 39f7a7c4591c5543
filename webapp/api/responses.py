"""How an answer becomes a response: JSON, its age, and a tag by which a client asks whether it changed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson
from flask import Response, request
from werkzeug.datastructures import Headers
from werkzeug.http import parse_etags

from webapp.lists.rendering import Answer, Members

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Anybody may keep what is nobody's own, but asks before using it again: a rule must hold in the next answer, a client
# must not go back to an older batch, and where API keys are set each request must show its own. A 304 costs little.
SHARED = "public, no-cache"
PERSONAL = "private, no-cache"


class JsonResponse(Response):
    """A body that is there, whole, with headers that are ours.

    What werkzeug does to any response as it goes out (a copy of the headers, absolute addresses, an iterator that
    closes) took 8 us of the 64 that a request costs above the database.
    """

    def __init__(self, body: bytes, *headers: tuple[str, str]) -> None:
        super().__init__(body, headers=Headers([("Content-Type", "application/json"), *headers]))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Send it; Content-Length was set with the body."""
        start_response(self.status, list(self.headers))
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def as_json(members: Members) -> Response:
    """An answer as JSON; times in UTC with a Z."""
    return JsonResponse(orjson.dumps(members, option=orjson.OPT_UTC_Z))


def as_list(answer: Answer, lifetime: str) -> Response:
    """A list as JSON with its age, or 304 for a client that has this very list already.

    lifetime: the Cache-Control header.
    """
    headers = tags(answer, lifetime)
    if not is_had(answer, request.environ.get("HTTP_IF_NONE_MATCH")):
        return JsonResponse(answer.body(), *headers)
    response = Response(status=304, headers=headers)
    del response.headers["Content-Type"]
    return response


def tags(answer: Answer, lifetime: str) -> list[tuple[str, str]]:
    """The headers by which a client may keep a list."""
    return [("ETag", f'"{answer.tag}"'), ("Cache-Control", lifetime)]


def is_had(answer: Answer, if_none_match: str | None) -> bool:
    """Whether the client says that it has this very list."""
    return if_none_match is not None and parse_etags(if_none_match).contains_weak(answer.tag)
