"""The page: find a customer, see what they bought lately and what we would show them.

Everything works by plain links and one form; `static/page.js` only adds suggestions while one types.
"""

import random
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp import lists
from webapp.db import Session, database
from webapp.errors import NotFound
from webapp.parameters import an_id, query

blueprint = Blueprint("page", __name__)

LAST_CHARACTER = "\U0010ffff"
N_SUGGESTIONS = 8
N_HISTORY = 30


@blueprint.get("/")
def index() -> Response | str:
    """One address for the page, so that any id can be linked to."""
    values = {name: value for name, value in query("catalog", "user_id", "item_id", "surprise").items() if value}
    settings = database().settings
    catalogs = database().catalogs(settings.page_timeout_ms)
    frame: dict[str, Any] = {"catalogs": catalogs, "airflow_url": settings.airflow_url}
    if not catalogs:
        return render_template("no_catalog.html", **frame)
    catalog = values.get("catalog") or (next(iter(catalogs)) if len(catalogs) == 1 else None)
    if catalog is None:
        return render_template("choose.html", live=_live_batches(catalogs), **frame)
    if catalog not in catalogs:
        raise NotFound("unknown_catalog", "There is no such catalog")

    with database().session(catalog, settings.page_timeout_ms) as session:
        batch = _live(session)
        frame.update(catalog=catalog, description=catalogs[catalog], batch=batch)
        if batch is None:
            return render_template("not_published.html", **frame)
        if "surprise" in values:
            return _surprise(session, catalog, batch)
        if "item_id" in values:
            return _item(session, frame, an_id("item_id", values["item_id"]), values.get("user_id"))
        if "user_id" in values:
            return _customer(session, frame, an_id("user_id", values["user_id"]))
        return _landing(session, frame)


@blueprint.get("/customers")
def customers() -> str:
    """The suggestions for what was typed so far, as a fragment of the page."""
    values = query("catalog", "user_id")
    prefix = an_id("user_id", values.get("user_id"))
    catalog = values.get("catalog", "")
    with database().session(an_id("catalog", catalog)) as session:
        return render_template("_suggestions.html", catalog=catalog, matches=_matches(session, prefix))


def _landing(session: Session, frame: dict[str, Any]) -> str:
    # Drawn by the batch id: the same few customers for everyone until the next night.
    samples = _some_customers(session, frame["batch"], 6, among=2_000, draw=random.Random(frame["batch"]["batch_id"]))
    answer = lists.popular(session, frame["catalog"], n=min(12, frame["batch"]["top_n_served"]))
    details = _details(session, answer["items"])
    return render_template("landing.html", answer=answer, details=details, samples=samples, **frame)


def _customer(session: Session, frame: dict[str, Any], user_id: str) -> str:
    answer = lists.recommendations(session, frame["catalog"], user_id)
    history = [{"item_id": row[0], "occurred_at": row[1]} for row in session.rows("history", user_id, N_HISTORY)]
    # The id itself is the only one from user_id on and before user_id + U+0001.
    known = bool(session.rows("customers", user_id, user_id + "\x01", 1))
    return render_template(
        "customer.html",
        user_id=user_id,
        answer=answer,
        history=history,
        known=known,
        matches=[] if known else _matches(session, user_id),
        details=_details(session, answer["items"] + history),
        **frame,
    )


def _item(session: Session, frame: dict[str, Any], item_id: str, user_id: str | None) -> str:
    answer = lists.similar(session, frame["catalog"], item_id)
    details = _details(session, [answer, *answer["items"]])
    return render_template(
        "item.html", item_id=item_id, user_id=user_id, item=details[item_id], answer=answer, details=details, **frame
    )


def _surprise(session: Session, catalog: str, batch: dict[str, Any]) -> Response:
    found = _some_customers(session, batch, 1, among=5_000, draw=random.Random())
    return redirect(url_for("page.index", catalog=catalog, user_id=found[0] if found else None), 303)


def _some_customers(session: Session, batch: dict[str, Any], count: int, among: int, draw: random.Random) -> list[str]:
    """A few customers drawn from the first ones: counting further would cost a large shop more than it surprises."""
    places = range(1, min(batch["n_users"], among) + 1)
    drawn = draw.sample(places, min(count, len(places)))
    return [row[0] for row in session.rows("customers_at", drawn, max(drawn, default=0))]


def _matches(session: Session, prefix: str) -> list[dict[str, Any]]:
    rows = session.rows("customers", prefix, prefix + LAST_CHARACTER, N_SUGGESTIONS)
    return [{"user_id": row[0], "last_seen": row[1]} for row in rows]


def _details(session: Session, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    rows = session.rows("details", sorted({item["item_id"] for item in items}))
    names = ("title", "categories", "price", "available", "n_users")
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


def _live(session: Session) -> dict[str, Any] | None:
    row = session.row("live")
    names = (
        "batch_id", "as_of", "computed_at", "model_version",
        "n_users", "n_items", "n_interactions", "top_n_served", "has_report",
    )  # fmt: skip
    return dict(zip(names, row, strict=True)) if row else None


def _live_batches(catalogs: dict[str, str]) -> dict[str, dict[str, Any] | None]:
    live = {}
    for catalog in catalogs:
        with database().session(catalog, database().settings.page_timeout_ms) as session:
            live[catalog] = _live(session)
    return live
