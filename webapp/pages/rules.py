"""The page of rules: which items are blocked, pinned, boosted or capped by hand, on top of the finished lists."""

from datetime import datetime
from typing import Any

import orjson
from flask import Blueprint, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from webapp.access.operators import editor_required, operator_name
from webapp.api.errors import Refused
from webapp.api.parameters import query, read_id
from webapp.pages.page_context import catalog_page, item_details, records, site_context
from webapp.postgres import editor
from webapp.postgres.read_session import ReadSession

blueprint = Blueprint("rules", __name__)

HTML = "text/html; charset=utf-8"
N_RULES = 200
N_PREVIEW_LISTS, PREVIEW_TIMEOUT_MS = 200, 4_500
"""Applying rules to a list takes a millisecond, so 200 lists are what a person waits for; the command looks at more."""
RULE = (
    "rule_id", "kind", "item_id", "title", "category", "segment", "place", "factor", "at_most", "starts_at", "ends_at",
    "author", "note", "created_at", "removed_at", "removed_by", "active",
)  # fmt: skip
COMMON_FIELDS = ("kind", "segment", "starts_at", "ends_at", "note")
FIELDS_OF_KIND = {
    "block": ("item_id", "category"),
    "out_of_stock": ("item_id", "category"),
    "expire": ("item_id", "category"),
    "pin": ("item_id", "place"),
    "boost": ("item_id", "category", "factor"),
    "cap": ("category", "at_most"),
}
"""The other fields of the form, by the kind of rule; the form shows no others."""
WORDING = {
    "block": ("Block", "Block {}"),
    "out_of_stock": ("Out of stock", "Out of stock: {}"),
    "expire": ("Expire", "Expire {}"),
    "pin": ("Pin to a place", "Pin {} at place {place}"),
    "boost": ("Boost", "Boost {} {factor:g} times"),
    "cap": ("Cap a category", "At most {at_most} of {}"),
}
"""By the kind of rule: its name in the form, and the sentence about a rule, {} being what it is about."""
NUMBERS = {"place": int, "at_most": int, "factor": float}
TIMES = ("starts_at", "ends_at")


@blueprint.get("/rules")
@editor_required
def rules() -> str:
    """The rules of a catalog, and a form for a new one; the address may fill in kind, item, place or category."""
    values = query("catalog", "kind", "item_id", "category", "place")
    form = {"kind": "pin" if "item_id" in values else "block"} | values
    return _page(read_id("catalog", form.pop("catalog", None)), form)


@blueprint.post("/rules")
@editor_required
def add() -> Response | str:
    """Preview the rule of the form, or add it; an error is shown above the form, which keeps its content."""
    query()
    catalog, form = _catalog(), {name: value.strip() for name, value in request.form.items()}
    try:
        rule = _rule(form)
        if form.get("do") == "try":
            preview = editor.call(catalog, "try_rule", rule, N_PREVIEW_LISTS, timeout_ms=PREVIEW_TIMEOUT_MS)
            return _page(catalog, form, preview)
        editor.call(catalog, "add_rule", rule)
    except Refused as error:
        return Response(_page(catalog, form, error=error.message), error.status, content_type=HTML)
    return redirect(url_for("rules.rules", catalog=catalog), 303)


@blueprint.post("/rules/undo")
@editor_required
def undo() -> Response:
    """Remove a rule; it stays in the list and can be restored."""
    query()
    editor.call(_catalog(), "remove_rule", _number("rule_id"), operator_name())
    return redirect(url_for("rules.rules", catalog=_catalog()), 303)


@blueprint.post("/rules/restore")
@editor_required
def restore() -> Response:
    """Restore a removed rule."""
    query()
    editor.call(_catalog(), "restore_rule", _number("rule_id"), operator_name())
    return redirect(url_for("rules.rules", catalog=_catalog()), 303)


def _page(catalog: str, form: dict[str, str], preview: dict[str, Any] | None = None, error: str | None = None) -> str:
    with catalog_page(catalog, site_context(), "rules") as (session, context):
        every = records(session, RULE, "rules", N_RULES)
        return render_template(
            "rules.html",
            rules=[rule for rule in every if not rule["removed_at"]],
            removed=[rule for rule in every if rule["removed_at"]],
            form=form,
            preview=preview,
            titles=_titles(session, preview) if preview else {},
            error=error,
            can_edit=editor.can_edit(),
            kinds=[(kind, name) for kind, (name, _) in WORDING.items()],
            sentence=_sentence,
            **context,
        )


def _sentence(rule: dict[str, Any], about: Markup) -> Markup:
    wording = Markup(WORDING[rule["kind"]][1])  # noqa: S704 - a text of ours; `format` escapes what it is given
    return wording.format(about, **{name: rule[name] for name in NUMBERS})


def _titles(session: ReadSession, preview: dict[str, Any]) -> dict[str, str | None]:
    details = item_details(session, preview["winners"] + preview["losers"])
    return {item_id: item["title"] for item_id, item in details.items()}


def _catalog() -> str:
    return read_id("catalog", request.form.get("catalog"))


def _number(name: str) -> int:
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused("bad_number", f"{name} must be a whole number")
    return int(text)


def _rule(form: dict[str, str]) -> str:
    """The form as JSON for `add_rule`, which checks the rest. Raises `Refused` for a wrong kind, number or time."""
    kind = form.get("kind", "")
    if kind not in FIELDS_OF_KIND:
        raise Refused("bad_kind", f"kind must be one of {', '.join(FIELDS_OF_KIND)}")
    fields = (*COMMON_FIELDS, *FIELDS_OF_KIND[kind])
    values = {name: _value(name, text) for name in fields if (text := form.get(name))}
    unknown = {"allow_unknown": True} if form.get("allow_unknown") else {}
    return orjson.dumps({"author": operator_name(), **values, **unknown}).decode()


def _value(name: str, text: str) -> Any:
    try:
        if name in TIMES:
            return f"{datetime.fromisoformat(text).replace(tzinfo=None).isoformat()}Z"
        return NUMBERS[name](text) if name in NUMBERS else text
    except ValueError:
        expected = "a date and a time" if name in TIMES else "a number"
        raise Refused("bad_value", f"{name.replace('_', ' ')} must be {expected}, not {text[:40]}") from None
