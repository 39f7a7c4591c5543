"""The page of rules: what is blocked, pinned, boosted or capped by hand, on top of the finished lists."""

from datetime import datetime
from typing import Any

import orjson
from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.operators import operator_name, operator_required
from webapp.api.errors import Refused
from webapp.api.parameters import an_id, query
from webapp.pages.page_context import around_all, details, opened
from webapp.postgres.connection_pool import Session
from webapp.postgres.editor import change, offered

blueprint = Blueprint("rules", __name__)

HTML = "text/html; charset=utf-8"
N_RULES = 200
N_TRIED, TRY_TIMEOUT_MS = 200, 4_500
RULE = (
    "rule_id", "kind", "item_id", "title", "category", "segment", "place", "factor", "at_most", "starts_at", "ends_at",
    "author", "note", "created_at", "removed_at", "removed_by", "in_force",
)  # fmt: skip
FOR_ALL = ("kind", "segment", "starts_at", "ends_at", "note")
OF_KIND = {
    "block": ("item_id", "category"),
    "out_of_stock": ("item_id", "category"),
    "expire": ("item_id", "category"),
    "pin": ("item_id", "place"),
    "boost": ("item_id", "category", "factor"),
    "cap": ("category", "at_most"),
}
"""The fields of the form that count for a kind; the form shows no others."""
NUMBERS = {"place": int, "at_most": int, "factor": float}
TIMES = ("starts_at", "ends_at")


@blueprint.get("/rules")
@operator_required
def rules() -> str:
    """The rules of a catalog, and a form for one more; it may be about an item already."""
    values = query("catalog", "item_id", "category")
    given = {"kind": "pin" if "item_id" in values else "block"} | values
    return _page(an_id("catalog", given.pop("catalog", None)), given)


@blueprint.post("/rules")
@operator_required
def add() -> Response | str:
    """Try what was filled in, or add it; what cannot be is said above the form, which keeps its content."""
    query()
    catalog, given = _asked(), {name: value.strip() for name, value in request.form.items()}
    try:
        rule = _rule(given)
        if given.get("do") == "try":
            return _page(catalog, given, tried=_tried(catalog, rule))
        change(catalog, "add_rule", rule)
    except Refused as error:
        return Response(_page(catalog, given, wrong=error.message), error.status, content_type=HTML)
    return redirect(url_for("rules.rules", catalog=catalog), 303)


@blueprint.post("/rules/undo")
@operator_required
def undo() -> Response:
    """Remove a rule; it stays in the list and can be put back."""
    query()
    change(_asked(), "remove_rule", _number("rule_id"), operator_name())
    return redirect(url_for("rules.rules", catalog=_asked()), 303)


@blueprint.post("/rules/restore")
@operator_required
def restore() -> Response:
    """Put a removed rule back."""
    query()
    change(_asked(), "restore_rule", _number("rule_id"), operator_name())
    return redirect(url_for("rules.rules", catalog=_asked()), 303)


def _page(catalog: str, given: dict[str, str], tried: dict[str, Any] | None = None, wrong: str | None = None) -> str:
    with opened(catalog, around_all(), "rules") as (session, frame):
        found = [dict(zip(RULE, row, strict=True)) for row in session.rows("rules", N_RULES)]
        return render_template(
            "rules.html",
            rules=[rule for rule in found if not rule["removed_at"]],
            removed=[rule for rule in found if rule["removed_at"]],
            given=given,
            tried=tried,
            titles=_titles(session, tried) if tried else {},
            wrong=wrong,
            offered=offered(),
            **frame,
        )


def _tried(catalog: str, rule: str) -> dict[str, Any]:
    # Applying rules to a list takes a millisecond, so 200 lists are what a person waits for; the command looks at more.
    found: dict[str, Any] = change(catalog, "try_rule", rule, N_TRIED, timeout_ms=TRY_TIMEOUT_MS)[0][0]
    return found


def _titles(session: Session, tried: dict[str, Any]) -> dict[str, str | None]:
    found = details(session, tried["winners"] + tried["losers"])
    return {item_id: about["title"] for item_id, about in found.items()}


def _asked() -> str:
    return an_id("catalog", request.form.get("catalog"))


def _number(name: str) -> int:
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused("bad_number", f"{name} must be a whole number")
    return int(text)


def _rule(given: dict[str, str]) -> str:
    """The form as `add_rule` takes it; `Refused` for a number or a time that is none, the rest it says itself."""
    kind = given.get("kind", "")
    if kind not in OF_KIND:
        raise Refused("bad_kind", f"kind must be one of {', '.join(OF_KIND)}")
    rule: dict[str, Any] = {"author": operator_name()}
    for name in (*FOR_ALL, *OF_KIND[kind]):
        text = given.get(name)
        if text:
            rule[name] = _value(name, text)
    return orjson.dumps(rule).decode()


def _value(name: str, text: str) -> Any:
    try:
        if name in TIMES:
            return f"{datetime.fromisoformat(text).replace(tzinfo=None).isoformat()}Z"
        return NUMBERS[name](text) if name in NUMBERS else text
    except ValueError:
        what = "a date and a time" if name in TIMES else "a number"
        raise Refused("bad_value", f"{name.replace('_', ' ')} must be {what}, not {text[:40]}") from None
