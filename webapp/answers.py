"""How an answer becomes a response."""

import orjson
from flask import Response

from webapp.lists import Answer


def as_json(answer: Answer) -> Response:
    """The answer as JSON; times in UTC with a Z."""
    return Response(orjson.dumps(answer, option=orjson.OPT_UTC_Z), content_type="application/json")
