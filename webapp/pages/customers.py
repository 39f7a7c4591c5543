"""The start page: find a customer, see what they bought and what they would be shown; an item and its similar ones."""

import random
import re
from collections import Counter

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.access.operators import operator_name
from webapp.api.parameters import DEFAULT_N, query, read_id
from webapp.lists import lookup
from webapp.pages.changes import of_customer
from webapp.pages.page_context import Record, catalog_page, item_details, live_batch, records, site_context
from webapp.pages.wording import wording_of
from webapp.postgres import audit
from webapp.postgres.connection_pool import connection_pool
from webapp.postgres.read_session import ReadSession
from webapp.settings import current_settings

blueprint = Blueprint("page", __name__)

LAST_CHARACTER = "\U0010ffff"
N_SUGGESTIONS = 8
N_HISTORY = 30
N_SEGMENTS = 40
N_CATEGORIES = 12
N_FOUND = 40
N_SEARCHED = 300_000
"""So many titles are looked at, whatever the catalog's size: a search reads them all, and has to end in time."""
FOUND = ("item_id", "title", "categories", "n_users", "available")


@blueprint.get("/")
def index() -> Response | str:
    """One address for all of it, so that any id can be linked to."""
    parameters = query("catalog", "user_id", "item_id", "surprise", "category", "segment", "title")
    values = {name: value for name, value in parameters.items() if value}
    context = site_context()
    catalogs = context["catalogs"]
    if not catalogs:
        return render_template("no_catalog.html", **context)
    catalog = values.get("catalog") or (next(iter(catalogs)) if len(catalogs) == 1 else None)
    if catalog is None:
        return render_template("choose.html", live=_live_batches(catalogs), **context)

    with catalog_page(catalog, context, "customers", long="title" in values) as (session, context):
        if context["batch"] is None:
            return render_template("not_published.html", **context)
        if "surprise" in values:
            draw = random.Random()  # noqa: S311 - a surprise, no secret
            user_id = next(iter(_some_customers(session, context["batch"], 1, among=5_000, draw=draw)), None)
            return redirect(url_for("page.index", catalog=catalog, user_id=user_id), 303)
        if "title" in values:
            return _items(session, context, read_id("title", values["title"]))
        if "item_id" in values:
            return _item(session, context, read_id("item_id", values["item_id"]), values.get("user_id"))
        if "user_id" in values:
            return _customer(session, context, read_id("user_id", values["user_id"]), values.get("category"))
        return _landing(session, context, values)


@blueprint.get("/customers")
def customers() -> str:
    """Suggestions for what was typed so far, as a fragment of HTML."""
    values = query("catalog", "user_id")
    prefix = read_id("user_id", values.get("user_id"))
    catalog = values.get("catalog", "")
    with connection_pool().session(read_id("catalog", catalog)) as session:
        batch = live_batch(session)
        words = wording_of(batch["verb"] if batch else None)
        return render_template("_suggestions.html", catalog=catalog, matches=_matches(session, prefix), words=words)


def _landing(session: ReadSession, context: Record, values: dict[str, str]) -> str:
    # Seeded by the batch id: the same few customers for everyone until the next night.
    random_of_batch = random.Random(context["batch"]["batch_id"])  # noqa: S311 - no secret
    category, segment = (read_id(name, values[name]) if name in values else None for name in ("category", "segment"))
    n = min(12, context["batch"]["top_n_served"])
    answer = lookup.popular(session, context["catalog"], category, n, segment=segment).to_dict()
    return render_template(
        "landing.html",
        answer=answer,
        category=category,
        segment=segment,
        segments=[row[0].partition(":")[::2] for row in session.rows("segments", N_SEGMENTS)],
        details=item_details(session, answer["items"]),
        samples=_some_customers(session, context["batch"], 6, among=2_000, draw=random_of_batch),
        **context,
    )


def _customer(session: ReadSession, context: Record, user_id: str, category: str | None) -> str:
    # The whole served list, once: the page shows its first items, counts its categories, and compares all of it.
    served = context["batch"]["top_n_served"]
    answer = lookup.recommendations(session, context["catalog"], user_id, served).to_dict()
    history = records(session, ("item_id", "occurred_at"), "history", user_id, N_HISTORY)
    audit.history_read(context["catalog"], user_id, "page", operator_name())
    # The range from user_id up to user_id + U+0001 holds no other id.
    known = bool(session.rows("customers", user_id, user_id + "\x01", 1))
    details = item_details(session, answer["items"] + history)
    categories = Counter(
        name for item in answer["items"] for name in details.get(item["item_id"], {}).get("categories") or ()
    )
    shown = min(DEFAULT_N, served)
    if category is None:
        items = answer["items"][:shown]
    else:
        options = lookup.ListOptions(category=category)
        items = lookup.recommendations(session, context["catalog"], user_id, shown, options).to_dict()["items"]
        details |= item_details(session, items)
    changes = of_customer(session, user_id, answer["items"], shown) if known and category is None else None
    return render_template(
        "customer.html",
        user_id=user_id,
        answer=answer | {"items": items},
        history=history,
        known=known,
        matches=[] if known else _matches(session, user_id),
        details=details,
        category=category,
        categories=categories.most_common(N_CATEGORIES),
        changes=changes if changes and changes["live_batch_id"] == answer["batch_id"] else None,
        **context,
    )


def _item(session: ReadSession, context: Record, item_id: str, user_id: str | None) -> str:
    answer = lookup.similar(session, context["catalog"], item_id).to_dict()
    together = lookup.together(session, context["catalog"], item_id).to_dict()
    details = item_details(session, [answer, *answer["items"], *together["items"]])
    return render_template(
        "item.html",
        item_id=item_id,
        user_id=user_id,
        item=details[item_id],
        answer=answer,
        together=together,
        details=details,
        **context,
    )


def _items(session: ReadSession, context: Record, text: str) -> str:
    patterns = ["%" + re.sub(r"([\\%_])", r"\\\1", word) + "%" for word in text.split()]
    found = records(session, FOUND, "items_found", text, patterns, N_SEARCHED, N_FOUND)
    return render_template("items.html", title=text, found=found, at_most=N_FOUND, looked_at=N_SEARCHED, **context)


def _some_customers(session: ReadSession, batch: Record, count: int, among: int, draw: random.Random) -> list[str]:
    """A few random customers of the first `among`: to count further would take a large shop too long."""
    positions = range(1, min(batch["n_users"], among) + 1)
    drawn = draw.sample(positions, min(count, len(positions)))
    return [row[0] for row in session.rows("customers_at", drawn, max(drawn, default=0))]


def _matches(session: ReadSession, prefix: str) -> list[Record]:
    return records(session, ("user_id", "last_seen"), "customers", prefix, prefix + LAST_CHARACTER, N_SUGGESTIONS)


def _live_batches(catalogs: dict[str, str]) -> dict[str, Record | None]:
    batches = {}
    for catalog in catalogs:
        with connection_pool().session(catalog, current_settings().page_timeout_ms) as session:
            session.is_spare = True
            batches[catalog] = live_batch(session)
    return batches
