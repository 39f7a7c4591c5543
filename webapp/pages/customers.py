"""The page: find a customer, see what they bought lately and what we would show them.

Everything works by plain links and one form; `static/page.js` only adds suggestions while one types.
"""

import random
from collections import Counter
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.api.parameters import DEFAULT_N, an_id, query
from webapp.lists import lookup
from webapp.pages.changes import of_customer
from webapp.pages.page_context import around_all, details, opened
from webapp.pages.page_context import live as live_batch
from webapp.postgres.connection_pool import Session, database

blueprint = Blueprint("page", __name__)

LAST_CHARACTER = "\U0010ffff"
N_SUGGESTIONS = 8
N_HISTORY = 30
N_SEGMENTS = 40
N_CATEGORIES = 12


@blueprint.get("/")
def index() -> Response | str:
    """One address for the page, so that any id can be linked to."""
    asked = query("catalog", "user_id", "item_id", "surprise", "category", "segment")
    values = {name: value for name, value in asked.items() if value}
    frame = around_all()
    catalogs = frame["catalogs"]
    if not catalogs:
        return render_template("no_catalog.html", **frame)
    catalog = values.get("catalog") or (next(iter(catalogs)) if len(catalogs) == 1 else None)
    if catalog is None:
        return render_template("choose.html", live=_live_batches(catalogs), **frame)

    with opened(catalog, frame, "customers") as (session, frame):
        if frame["batch"] is None:
            return render_template("not_published.html", **frame)
        if "surprise" in values:
            return _surprise(session, catalog, frame["batch"])
        if "item_id" in values:
            return _item(session, frame, an_id("item_id", values["item_id"]), values.get("user_id"))
        if "user_id" in values:
            return _customer(session, frame, an_id("user_id", values["user_id"]), values.get("category"))
        return _landing(session, frame, values)


@blueprint.get("/customers")
def customers() -> str:
    """The suggestions for what was typed so far, as a fragment of the page."""
    values = query("catalog", "user_id")
    prefix = an_id("user_id", values.get("user_id"))
    catalog = values.get("catalog", "")
    with database().session(an_id("catalog", catalog)) as session:
        return render_template("_suggestions.html", catalog=catalog, matches=_matches(session, prefix))


def _landing(session: Session, frame: dict[str, Any], values: dict[str, str]) -> str:
    # Drawn by the batch id: the same few customers for everyone until the next night.
    samples = _some_customers(session, frame["batch"], 6, among=2_000, draw=random.Random(frame["batch"]["batch_id"]))
    category, segment = (an_id(name, values[name]) if name in values else None for name in ("category", "segment"))
    n = min(12, frame["batch"]["top_n_served"])
    answer = lookup.popular(session, frame["catalog"], category, n, segment=segment).read()
    return render_template(
        "landing.html",
        answer=answer,
        category=category,
        segment=segment,
        segments=[row[0].partition(":")[::2] for row in session.rows("segments", N_SEGMENTS)],
        details=details(session, answer["items"]),
        samples=samples,
        **frame,
    )


def _customer(session: Session, frame: dict[str, Any], user_id: str, category: str | None) -> str:
    # All that is served, once: the page shows the first of it, counts its categories, and compares the whole of it.
    served = frame["batch"]["top_n_served"]
    answer = lookup.recommendations(session, frame["catalog"], user_id, served).read()
    history = [{"item_id": row[0], "occurred_at": row[1]} for row in session.rows("history", user_id, N_HISTORY)]
    # The id itself is the only one from user_id on and before user_id + U+0001.
    known = bool(session.rows("customers", user_id, user_id + "\x01", 1))
    about = details(session, answer["items"] + history)
    categories = Counter(
        one for item in answer["items"] for one in about.get(item["item_id"], {}).get("categories") or ()
    )
    shown = min(DEFAULT_N, served)
    if category is None:
        items = answer["items"][:shown]
    else:
        only = lookup.recommendations(session, frame["catalog"], user_id, shown, lookup.Wish(category=category))
        items = only.read()["items"]
        about |= details(session, items)
    changes = of_customer(session, user_id, answer["items"], shown) if known and category is None else None
    return render_template(
        "customer.html",
        user_id=user_id,
        answer=answer | {"items": items},
        history=history,
        known=known,
        matches=[] if known else _matches(session, user_id),
        details=about,
        category=category,
        categories=categories.most_common(N_CATEGORIES),
        changes=changes if changes and changes["live_batch_id"] == answer["batch_id"] else None,
        **frame,
    )


def _item(session: Session, frame: dict[str, Any], item_id: str, user_id: str | None) -> str:
    answer = lookup.similar(session, frame["catalog"], item_id).read()
    about = details(session, [answer, *answer["items"]])
    return render_template(
        "item.html", item_id=item_id, user_id=user_id, item=about[item_id], answer=answer, details=about, **frame
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


def _live_batches(catalogs: dict[str, str]) -> dict[str, dict[str, Any] | None]:
    found = {}
    for catalog in catalogs:
        with database().session(catalog, database().settings.page_timeout_ms) as session:
            found[catalog] = live_batch(session)
    return found
