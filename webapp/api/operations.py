"""Operations: what a route takes, answers and refuses; checked on each request, and shown in `/openapi.json`.

    @blueprint.get("/v1/<catalog>/similar")
    @Operation("The items that resemble an item", query=(ITEM_ID, N), answers="Similar", tagged=True)
    def by_query(catalog: str, item_id: str, n: int | None) -> Response: ...

The view is called with the values of its path, its query (None, or an empty list, for a missing one) and its body.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from typing import Any

import orjson
from flask import request

from webapp.api.errors import Refused
from webapp.api.parameters import PATH_PARAMETERS, Parameter, Part, check_path, read_query

View = Callable[..., Any]
JSON, HTML = "application/json", "text/html"
OPEN = {
    "health.alive", "health.ready", "metrics.metrics", "openapi.openapi", "openapi.docs", "operators.sign_in",
    "operators.enter", "operators.to_provider", "operators.callback", "static",
}  # fmt: skip
"""Endpoints that never need a credential: probes, the API's description, signing in, and static files."""


@dataclass(frozen=True)
class Body:
    """A JSON body: its schema, and a function that reads it or raises `Refused`."""

    description: str
    schema: Part
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Operation:
    """The operation of a view, as a decorator: it checks each request before the view runs.

    answers: a name in `webapp.api.schemas`; None: any text of the media type. tagged: the response has an ETag, so that
    `If-None-Match` may get 304.
    """

    summary: str
    _: KW_ONLY
    query: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: str | None = None
    errors: tuple[int, ...] = (400, 404, 503)
    media: str = JSON
    tagged: bool = False

    def __call__(self, view: View) -> View:
        """Decorate a view; the decorated one has this as its attribute `operation`."""

        @wraps(view)
        def checked(**path: str) -> Any:
            values = read_query(self.query, request.environ.get("QUERY_STRING", ""))
            for name, text in path.items():
                if name == "catalog":  # checked by the session
                    continue
                check_path()
                path[name] = PATH_PARAMETERS[name].read(name, text)
            if self.body is not None:
                values["body"] = self.body.read(_json())
            return view(**path, **values)

        checked.operation = self  # type: ignore[attr-defined]
        return checked


def _json() -> Any:
    if request.mimetype != JSON:
        raise Refused("bad_body", f"The body must be JSON, sent as Content-Type: {JSON}")
    try:
        return orjson.loads(request.get_data(cache=False))
    except orjson.JSONDecodeError:
        raise Refused("bad_body", "The body is not JSON") from None
