"""How an answer becomes a response: JSON, its age, and a tag by which a client asks whether it changed."""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson
from flask import Response, request
from werkzeug.datastructures import Headers

from webapp.listed import Answer

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


def as_json(answer: Answer) -> Response:
    """The answer as JSON; times in UTC with a Z."""
    return JsonResponse(_dumped(answer))


def as_list(answer: Answer, lifetime: str) -> Response:
    """A list as JSON with its age, or 304 for a client that has this very list already.

    The tag is made from everything but the age, so it changes with the batch, with a rule that touches the list, and
    with nothing else. lifetime: the Cache-Control header.
    """
    body = _dumped(answer)
    tag = blake2b(body, digest_size=12).hexdigest()
    etag = f'"{tag}"'
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag):
        response = Response(status=304, headers={"ETag": etag, "Cache-Control": lifetime})
        del response.headers["Content-Type"]
        return response
    whole = b'%b,"age_seconds":%d}' % (body[:-1], age_seconds(answer))
    return JsonResponse(whole, ("ETag", etag), ("Cache-Control", lifetime))


def with_age(answer: Answer) -> Answer:
    """The answer as it would be said alone."""
    return {**answer, "age_seconds": age_seconds(answer)}


def age_seconds(answer: Answer) -> int:
    """How long ago the batch of an answer was computed; 0 where this machine's clock is behind."""
    return max(0, int((datetime.now(UTC) - answer["computed_at"]).total_seconds()))


def _dumped(answer: Answer) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)
