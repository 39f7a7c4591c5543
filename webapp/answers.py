"""How an answer becomes a response: JSON, its age, and a tag by which a client asks whether it changed."""

from datetime import UTC, datetime
from hashlib import blake2b

import orjson
from flask import Response, request

from webapp.lists import Answer

# Anybody may keep what is nobody's own, but asks before using it again: a rule must hold in the next answer, a client
# must not go back to an older batch, and where API keys are set each request must show its own. A 304 costs little.
SHARED = "public, no-cache"
PERSONAL = "private, no-cache"


def as_json(answer: Answer) -> Response:
    """The answer as JSON; times in UTC with a Z."""
    return Response(_dumped(answer), content_type="application/json")


def as_list(answer: Answer, lifetime: str) -> Response:
    """A list as JSON with its age, or 304 for a client that has this very list already.

    The tag is made from everything but the age, so it changes with the batch, with a rule that touches the list, and
    with nothing else. lifetime: the Cache-Control header.
    """
    body = _dumped(answer)
    tag = blake2b(body, digest_size=12).hexdigest()
    headers = {"ETag": f'"{tag}"', "Cache-Control": lifetime}
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag):
        response = Response(status=304, headers=headers)
        del response.headers["Content-Type"]
        return response
    return Response(b'%b,"age_seconds":%d}' % (body[:-1], age_seconds(answer)), 200, headers, "application/json")


def age_seconds(answer: Answer) -> int:
    """How long ago the batch of an answer was computed; 0 where this machine's clock is behind."""
    return max(0, int((datetime.now(UTC) - answer["computed_at"]).total_seconds()))


def _dumped(answer: Answer) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)
