"""The HTTP contract as OpenAPI 3.1, kept by hand and held against the routes by a test."""

from typing import Any

import orjson
from flask import Blueprint, Response

from webapp.parameters import DEFAULT_N, MAX_ID_BYTES, query

blueprint = Blueprint("openapi", __name__)

Part = dict[str, Any]


def _text(description: str, **more: Any) -> Part:
    return {"type": "string", "description": description, **more}


def _object(properties: Part, optional: tuple[str, ...] = ()) -> Part:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(name: str) -> Part:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, place: str, description: str, schema: Part, required: bool = True) -> Part:
    return {"name": name, "in": place, "required": required, "description": description, "schema": schema}


ID: Part = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES}
CATALOG = _parameter("catalog", "path", "Which catalog", {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,47}$"})
BATCH_ID = _parameter("batch_id", "path", "Which night", ID)
N = _parameter(
    "n",
    "query",
    "How many items; at most what the catalog serves (`top_n.served`)",
    {"type": "integer", "minimum": 1, "default": DEFAULT_N},
    required=False,
)
CATEGORY = _parameter("category", "query", "Only this category", ID, required=False)


def _id(name: str, place: str) -> Part:
    note = "byte for byte, 1 to 256 bytes of UTF-8" + (", without `/` and dot segments" if place == "path" else "")
    return _parameter(name, place, f"The external id, {note}", ID)


BATCH = {
    "catalog": _text("The catalog asked"),
    "batch_id": _text("The batch the whole answer is from"),
    "model_version": {"type": ["string", "null"], "description": "The model that made the batch"},
    "computed_at": _text("When the batch was computed", format="date-time"),
    "age_seconds": {"type": "integer", "minimum": 0, "description": "How long ago that was"},
}
ITEMS: Part = {"type": "array", "items": _schema("Item")}
LADDER = ["als", "foldin", "category", "popular"]
SCHEMAS: Part = {
    "Error": _object(
        {"error": _object({"code": _text("What went wrong, for programs"), "message": _text("For people")})}
    ),
    "Item": _object(
        {
            "rank": {"type": "integer", "minimum": 1},
            "item_id": _text("The external id, byte for byte"),
            "title": {"type": ["string", "null"]},
            "score": {"type": "number", "description": "Comparable within one source of one list"},
            "source": _text("Where this item comes from", enum=[*LADDER, "similar"]),
            "because": {"type": "array", "items": {"type": "string"}, "description": "Why it is here; may be empty"},
        }
    ),
    "Recommendations": _object(
        {
            "user_id": _text("The user asked for"),
            **BATCH,
            "source": _text("`popular`, among others, for a user the batch does not know", enum=LADDER),
            "items": ITEMS,
        }
    ),
    "Similar": _object(
        {
            "item_id": _text("The item asked for"),
            "title": {"type": ["string", "null"]},
            **BATCH,
            "source": {"const": "similar"},
            "items": ITEMS,
        }
    ),
    "Popular": _object(
        {"category": {"type": ["string", "null"]}, **BATCH, "source": {"const": "popular"}, "items": ITEMS}
    ),
    "Alive": _object({"status": {"const": "alive"}}),
    "Ready": _object(
        {
            "status": {"const": "ready"},
            "live": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Catalog to batch"},
        }
    ),
}

LISTS = ("Recommendations", "Similar", "Popular")
WRONG = {
    400: "The request makes no sense as it is",
    404: "There is no such catalog, item, category or report",
    503: "The database is away or nothing is published yet; try again after `Retry-After`",
}


def _get(summary: str, answer: str | None, parameters: list[Part], errors: tuple[int, ...], kind: str = "json") -> Part:
    schema: Part = {"schema": _schema(answer) if answer else {"type": "string" if kind == "html" else "object"}}
    media = "text/html" if kind == "html" else "application/json"
    responses: Part = {"200": {"description": "The answer", "content": {media: schema}}}
    if answer in LISTS:
        tag = {"ETag": {"description": "Changes with the list, not with its age", "schema": {"type": "string"}}}
        responses["200"]["headers"] = tag
        responses["304"] = {"description": "The list is the one that `If-None-Match` names", "headers": tag}
    for status in errors:
        error_media = {media: schema} if kind == "html" else {media: {"schema": _schema("Error")}}
        responses[str(status)] = {"description": WRONG[status], "content": error_media}
        if status == 503:
            responses["503"]["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return {"get": {"summary": summary, "parameters": parameters, "responses": responses}}


ANY = (400, 404, 503)
PATHS: Part = {
    "/v1/{catalog}/recommendations": _get(
        "A user's list; the popular one for a user the batch does not know",
        "Recommendations",
        [CATALOG, _id("user_id", "query"), N],
        ANY,
    ),
    "/v1/{catalog}/users/{user_id}/recommendations": _get(
        "The same, for plain ids", "Recommendations", [CATALOG, _id("user_id", "path"), N], ANY
    ),
    "/v1/{catalog}/similar": _get(
        "The items that resemble an item", "Similar", [CATALOG, _id("item_id", "query"), N], ANY
    ),
    "/v1/{catalog}/items/{item_id}/similar": _get(
        "The same, for plain ids", "Similar", [CATALOG, _id("item_id", "path"), N], ANY
    ),
    "/v1/{catalog}/popular": _get("What is popular, overall or in a category", "Popular", [CATALOG, CATEGORY, N], ANY),
    "/healthz": _get("Is the process alive?", "Alive", [], (400,)),
    "/readyz": _get("Can it answer?", "Ready", [], (400, 503)),
    "/openapi.json": _get("This description", None, [], (400,)),
    "/reports/{catalog}/{batch_id}": _get("The report of a night", None, [CATALOG, BATCH_ID], ANY, "html"),
}

DOCUMENT: Part = {
    "openapi": "3.1.0",
    "info": {
        "title": "recjobs",
        "version": "1",
        "description": "Finished recommendation lists, one per user, recomputed every night and served as they are.",
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "paths": PATHS,
    "components": {"schemas": SCHEMAS},
}


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The description as JSON."""
    query()
    return Response(orjson.dumps(DOCUMENT), content_type="application/json")
