"""The context of a page's template: the catalogs, the catalog of the page, and its live batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import g

from webapp.api.errors import NotFound
from webapp.pages.wording import wording_of
from webapp.postgres.connection_pool import connection_pool
from webapp.postgres.read_session import ReadSession
from webapp.settings import current_settings

Record = dict[str, Any]

BATCH = (
    "batch_id", "as_of", "computed_at", "model_version",
    "n_users", "n_items", "n_interactions", "top_n_served", "has_report", "published_at", "too_old", "verb",
)  # fmt: skip
ITEM = ("item_id", "title", "categories", "price", "available", "n_users", "url")


def site_context() -> Record:
    """The context of a page that belongs to no catalog."""
    settings, asking = current_settings(), g.get("caller")
    catalogs = connection_pool().catalogs(settings.page_timeout_ms)
    allowed = {name: about for name, about in catalogs.items() if asking is None or asking.may_ask(name)}
    return {"catalogs": allowed, "airflow_url": settings.airflow_url}


@contextmanager
def catalog_page(
    catalog: str | None, context: Record, page: str, *, long: bool = False
) -> Iterator[tuple[ReadSession, Record]]:
    """A session on a catalog, and the context of a page of it; `page` is its name in the navigation.

    long: a statement looks at a whole batch or at many nights, and may take longer than one for a list.
    Raises `NotFound` for an unknown catalog, `Forbidden` for one that the caller may not see. The context's batch is
    None while nothing is published.
    """
    if catalog is not None and (asking := g.get("caller")) is not None:
        asking.check(catalog, g.get("role"))
    if catalog is None or catalog not in context["catalogs"]:
        raise NotFound("unknown_catalog", "There is no such catalog")
    with connection_pool().session(catalog, current_settings().page_timeout_ms, long=long) as session:
        of_catalog = {"catalog": catalog, "description": context["catalogs"][catalog], "page": page}
        batch = live_batch(session)
        words = wording_of(batch["verb"] if batch else None)
        yield session, context | of_catalog | {"batch": batch, "words": words}


def records(session: ReadSession, columns: tuple[str, ...], statement: str, *parameters: object) -> list[Record]:
    """The rows of a statement as dictionaries."""
    return [dict(zip(columns, row, strict=True)) for row in session.rows(statement, *parameters)]


def live_batch(session: ReadSession) -> Record | None:
    """The live batch, or None while nothing is published."""
    return next(iter(records(session, BATCH, "live")), None)


def item_details(session: ReadSession, items: list[Record]) -> dict[str, Record]:
    """What the live batch knows of items, by item_id."""
    item_ids = sorted({item["item_id"] for item in items})
    return {item["item_id"]: item for item in records(session, ITEM, "details", item_ids)}
