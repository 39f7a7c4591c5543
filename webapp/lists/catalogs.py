"""The routes that tell what there is: catalogs, categories and segments with a popular list, batches with verdicts."""

from typing import Any

from flask import Blueprint, Response, g

from webapp.api.errors import NotFound
from webapp.api.operations import Operation
from webapp.api.parameters import DEFAULT_N, N_ROWS, OFFSET_ROWS
from webapp.api.responses import as_shared_json
from webapp.api.schemas import BATCH_COLUMNS, CHECK, METRIC
from webapp.lists.lookup import check_published, nothing_published
from webapp.postgres.connection import Row
from webapp.postgres.connection_pool import connection_pool
from webapp.postgres.read_session import ReadSession
from webapp.settings import current_settings

blueprint = Blueprint("catalogs", __name__)

PAGE = (N_ROWS, OFFSET_ROWS)
SUMMARY = tuple(BATCH_COLUMNS["BatchSummary"])
WHOLE = tuple(BATCH_COLUMNS["Batch"])


@blueprint.get("/v1")
@Operation("All catalogs, published or not", answers="Catalogs", errors=(400, 503), tagged=True)
def catalogs() -> Response:
    """Name and description of each that the caller may ask for."""
    known = connection_pool().catalogs(current_settings().page_timeout_ms)
    asking = g.get("caller")
    named = [
        {"catalog": name, "description": description}
        for name, description in known.items()
        if asking is None or asking.may_ask(name)
    ]
    return as_shared_json({"catalogs": named})


@blueprint.get("/v1/<catalog>/categories")
@Operation("The categories of the live batch that have a popular list", query=PAGE, answers="Categories", tagged=True)
def categories(catalog: str, n: int | None, offset: int | None) -> Response:
    """By name, in pages."""
    return _segments(catalog, "category:", ("categories", "category"), n, offset)


@blueprint.get("/v1/<catalog>/segments")
@Operation("All popular lists of the live batch, by their segments", query=PAGE, answers="Segments", tagged=True)
def segments(catalog: str, n: int | None, offset: int | None) -> Response:
    """By name, in pages, as the view `segments` has them."""
    return _segments(catalog, "", ("segments", "segment"), n, offset)


@blueprint.get("/v1/<catalog>/batches")
@Operation(
    "All nights that made a batch or have a verdict, the newest first", query=PAGE, answers="Batches", tagged=True
)
def batches(catalog: str, n: int | None, offset: int | None) -> Response:
    """The newest first, in pages."""
    with _session(catalog) as session:
        rows = session.rows("batches", n or DEFAULT_N, offset or 0)
    total = rows[0][0]
    if not total:
        raise nothing_published(catalog)
    summaries = [dict(zip(SUMMARY, row, strict=True)) for _, *row in rows if row[0] is not None]
    return as_shared_json({"catalog": catalog, "total": total, "batches": summaries})


@blueprint.get("/v1/<catalog>/batches/<batch_id>")
@Operation("One night: its verdict, its checks, and its metrics with their intervals", answers="Batch", tagged=True)
def batch(catalog: str, batch_id: str) -> Response:
    """Everything that the list of batches says, and what decided."""
    with _session(catalog) as session:
        row = session.row("batch", batch_id)
        if row is None:
            check_published(session, catalog)
            raise NotFound("unknown_batch", "There is no such batch")
        metrics = [dict(zip(METRIC, metric, strict=True)) for metric in session.rows("evaluations", batch_id)]
    members = dict(zip(WHOLE, row, strict=True))
    if members["checks"] is not None:
        members["checks"] = [{name: check.get(name) for name in CHECK} for check in members["checks"]]
    return as_shared_json({"catalog": catalog, **members, "metrics": metrics})


def _segments(catalog: str, prefix: str, names: tuple[str, str], n: int | None, offset: int | None) -> Response:
    with _session(catalog) as session:
        rows: list[Row] = session.rows("popular_segments", prefix, n or DEFAULT_N, offset or 0)
    if not rows:
        raise nothing_published(catalog)
    several, one = names
    listed: list[dict[str, Any]] = [
        {one: segment, "n_items": n_items} for _, _, segment, n_items in rows if segment is not None
    ]
    return as_shared_json({"catalog": catalog, "batch_id": rows[0][0], "total": rows[0][1], several: listed})


def _session(catalog: str) -> ReadSession:
    return connection_pool().session(catalog, current_settings().page_timeout_ms, long=True)
