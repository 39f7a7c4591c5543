"""What every page of a catalog begins with: which catalogs there are, which one it is about, and what is live in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from webapp.api.errors import NotFound
from webapp.postgres.connection_pool import Session, database

Frame = dict[str, Any]


def around_all() -> Frame:
    """What is around a page of no catalog in particular."""
    settings = database().settings
    return {"catalogs": database().catalogs(settings.page_timeout_ms), "airflow_url": settings.airflow_url}


@contextmanager
def opened(catalog: str | None, frame: Frame, here: str, *, whole: bool = False) -> Iterator[tuple[Session, Frame]]:
    """A session on a catalog, and the frame of a page of it; `here` names the page in the navigation.

    whole: it looks at a whole batch or at many nights, which may take longer than one list.
    Raises `NotFound` for a catalog there is not. The frame's batch is None while nothing is published.
    """
    if catalog is None or catalog not in frame["catalogs"]:
        raise NotFound("unknown_catalog", "There is no such catalog")
    with database().session(catalog, database().settings.page_timeout_ms, patiently=whole) as session:
        about = {"catalog": catalog, "description": frame["catalogs"][catalog], "here": here}
        yield session, frame | about | {"batch": live(session)}


def live(session: Session) -> dict[str, Any] | None:
    """The live batch, or None while nothing is published."""
    names = (
        "batch_id", "as_of", "computed_at", "model_version",
        "n_users", "n_items", "n_interactions", "top_n_served", "has_report",
    )  # fmt: skip
    row = session.row("live")
    return dict(zip(names, row, strict=True)) if row else None


def details(session: Session, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the live batch knows of items, by item_id."""
    rows = session.rows("details", sorted({item["item_id"] for item in items}))
    names = ("title", "categories", "price", "available", "n_users", "url")
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
