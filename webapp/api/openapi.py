"""The HTTP contract as OpenAPI 3.1, made from the operations of the views, and a page to read it."""

import re
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template
from werkzeug.routing import Rule

from webapp.api.errors import UNLIMITED, is_for_programs
from webapp.api.operations import HTML, JSON, OPEN, Operation
from webapp.api.parameters import PATH_PARAMETERS, Parameter, Part, query
from webapp.api.responses import as_json
from webapp.api.schemas import SCHEMAS, schema

blueprint = Blueprint("openapi", __name__)

ABOUT = "Finished recommendation lists, one per user, recomputed every night and served as they are."
ERRORS = {
    400: "The request is invalid",
    401: "No credential, or an invalid or expired one",
    403: "The credential is not enough, or a setting switches this off; the message names it",
    404: "There is no such catalog, item, category, batch or report",
    408: "The body did not arrive in time",
    409: "The batch that `batch_id` names is not live; `error.batch_id` is the one that is",
    413: "The body is too large",
    429: "Too many wrong credentials, or too many requests; try again after `Retry-After`",
    503: "The database is away or nothing is published yet; try again after `Retry-After`",
}
SECURITY = {
    "key": {"type": "http", "scheme": "bearer", "description": "From `recjobs api-key new NAME`"},
    "operator": {"type": "http", "scheme": "bearer", "description": "From `recjobs operator new NAME`"},
}


def document(app: Flask) -> Part:
    """The description of every route that has an `operation`, under the settings of this app."""
    paths: dict[str, Part] = {}
    # what applications come for first, then what is about the web app itself
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (not rule.rule.startswith("/v1"), rule.rule)):
        described: Operation | None = getattr(app.view_functions[rule.endpoint], "operation", None)
        if described is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
                paths.setdefault(path, {})[method.lower()] = _operation(app, rule, described)
    licence = {"name": "MIT", "identifier": "MIT"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "recjobs", "version": "1", "description": ABOUT, "license": licence},
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY},
    }


def _operation(app: Flask, rule: Rule, described: Operation) -> Part:
    credentials = _credentials(app, rule)
    names = re.findall(r"<(?:\w+:)?(\w+)>", rule.rule)
    part: Part = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": described.summary,
        "parameters": [_parameter(PATH_PARAMETERS[name], "path") for name in names]
        + [_parameter(parameter, "query") for parameter in described.query],
        "responses": _responses(described, rule, credentials),
    }
    if described.body is not None:
        content = {JSON: {"schema": described.body.schema}}
        part["requestBody"] = {"description": described.body.description, "required": True, "content": content}
    if credentials:
        part["security"] = [{name: []} for name in credentials]
    return part


def _credentials(app: Flask, rule: Rule) -> list[str]:
    """Which of `SECURITY` a request needs one of; none: it needs no credential."""
    if getattr(app.view_functions[rule.endpoint], "for_operators", False):
        return ["operator"]
    settings = app.extensions["settings"]
    if not settings.needs_credential or rule.endpoint in OPEN:
        return []
    return ["key", "operator"] if is_for_programs(rule.rule) else ["operator"]


def _parameter(parameter: Parameter, place: str) -> Part:
    content = {"type": "array", "items": parameter.schema, "maxItems": parameter.many}
    return {
        "name": parameter.name,
        "in": place,
        "required": parameter.required or place == "path",
        "description": parameter.description,
        "schema": content if parameter.many else parameter.schema,
    }


def _responses(described: Operation, rule: Rule, credentials: list[str]) -> Part:
    answer = (
        schema(described.answers) if described.answers else {"type": "object" if described.media == JSON else "string"}
    )
    responses: Part = {"200": {"description": "The answer", "content": {described.media: {"schema": answer}}}}
    if described.tagged:
        tag = {"ETag": {"description": "Changes with the list, not with its age", "schema": {"type": "string"}}}
        responses["200"]["headers"] = tag
        responses["304"] = {"description": "The list is the one that `If-None-Match` names", "headers": tag}
    if credentials and described.media == HTML:
        responses["303"] = {"description": "To the sign-in page"}
    refused = {HTML: {"schema": {"type": "string"}}} if described.media == HTML else {JSON: {"schema": schema("Error")}}
    statuses = {*described.errors, *((401, 403) if credentials else ())}
    if is_for_programs(rule.rule) and rule.endpoint not in OPEN:
        statuses.add(401)  # a client must be ready for keys, whether or not this web app asks for one
    if not rule.rule.startswith(UNLIMITED):
        statuses.add(429)
    for status in sorted(statuses):
        responses[str(status)] = {"description": ERRORS[status], "content": refused}
        if status in (429, 503):
            wait = {"description": "Seconds", "schema": {"type": "integer"}}
            responses[str(status)]["headers"] = {"Retry-After": wait}
    return responses


@blueprint.get("/openapi.json")
@Operation("This description", errors=(400,))
def openapi() -> Response:
    """The description as JSON."""
    return as_json(_document())


@blueprint.get("/docs")
def docs() -> str:
    """The description as a page."""
    query()
    return render_template("docs.html", document=_document(), resolve=_resolve)


def _document() -> Part:
    if "openapi" not in current_app.extensions:
        current_app.extensions["openapi"] = document(current_app)
    part: Part = current_app.extensions["openapi"]
    return part


def _resolve(part: Part) -> tuple[str, Any]:
    """The name of a referenced schema, and the schema; no name for an inline one."""
    name = part.get("$ref", "").rpartition("/")[2]
    return name, SCHEMAS[name] if name else part
