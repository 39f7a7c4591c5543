"""The HTML page about a night, without script: data, metrics, verdict and lists."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.lists.bands import BANDS
from recjobs.core.lists.choice import OWN_FREQUENCY
from recjobs.core.lists.popularity import WINDOWS, title
from recjobs.night.decision import awaits_approval, final_verdict, kept_batch, recipe_changes
from recjobs.night.night import Night
from recjobs.night.stored import stored_rows
from recjobs.reports import comparison, plots, worth
from recjobs.reports.page import page

N_EXAMPLES = 12
N_FEATURES = 15
"""Features of the second stage in its plot."""
NAMES = {"neighbours": "item neighbours", OWN_FREQUENCY: "own items, by frequency"}
NAMES |= {window: title(window) for window in WINDOWS}
"""Names of models on the page, if they differ from those in the tables."""
VIEWS = {
    "discovery": "Discovery: items a user has interacted with are neither shown nor counted",
    "repeats": "With repeats: nothing is filtered",
    "after_days": "As served: items a user has recently interacted with are neither shown nor counted",
}


def night_page(night: Night, trend: Iterable[dict[str, Any]] = ()) -> str:
    """Return the page of a night that has passed the gate.

    trend: what the live lists were worth in earlier nights, see `worth.section`.
    """
    evaluation = night.evaluation()
    names = NAMES if night.catalog.has_times else NAMES | dict.fromkeys(WINDOWS, title("popularity_all"))
    verdict, kept = final_verdict(night), kept_batch(night, "report") if night.request.publish else None
    published = night.is_done("inspect") and not kept
    chosen = night.chosen_model() if night.is_done("refit") else None
    second = night.training().get("second_stage")
    importance = dict(islice(second["importance"].items(), N_FEATURES)) if second else {}
    return page(
        "report.html.jinja",
        night=night,
        cutoff=night.cutoff(),
        train=night.training(),
        second=second,
        importance=plots.shares(list(importance), list(importance.values()), "share (%)") if importance else "",
        data=night.input_account(),
        verdict=verdict,
        chosen=chosen,
        kept=kept,
        asks=awaits_approval(night) and not chosen and not kept,
        unlike=recipe_changes(night),
        holdout_users=evaluation.users,
        metrics=comparison.tables(evaluation.metrics),
        headings=comparison.PARTS,
        checks=comparison.CHECKS,
        views=VIEWS,
        beside=comparison.side_by_side(night),
        names=names,
        percent=_percent,
        number=_number,
        bands=BANDS,
        inspection=night.inspection() if published else None,
        examples=_examples(night) if published else [],
        weeks=_weeks(night),
        drift=_drift(night),
        worth=worth.section(night, trend),
        goods=_goods(night.goods()),
        prices=night.prices(),
        bars={view: _bars(evaluation.metrics, view, names) for view, users in evaluation.users.items() if users},
    )


GOODS = {
    ("similar", "ndcg_at_20"): "which new items a user takes next, within 30 days after an item: NDCG@20",
    ("together", "ndcg_at_20"): "which other items stand on an order, asked of one of its items: NDCG@20",
    ("basket", "ndcg_at_20"): "which item of an order is missing, asked of the others: NDCG@20",
    ("basket", "hit_rate_at_20"): "the same: share of orders whose missing item is among the first 20",
}
"""The questions about lists of items, by view and metric."""


def _goods(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each question: its text, the number of times it was asked, and each list's values."""
    return [
        {"question": text, "n": lists[0]["n"], "lists": {row["model"]: row for row in lists}}
        for (view, metric), text in GOODS.items()
        if (lists := [row for row in rows if (row["view"], row["metric"]) == (view, metric)])
    ]


def _percent(share: float | None) -> str:
    """A relative difference; without bound if the baseline is 0."""
    return "no bound" if share is None else f"{100 * share:+.1f}%"


def _number(value: float | None) -> str:
    """A number of a check; empty if there is none."""
    return "" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")


def _drift(night: Night) -> dict[str, Any]:
    drift = night.drift()
    allowed = night.catalog.limits.drift
    features = [
        {
            **moved,
            "allowed": getattr(allowed, moved["feature"]),
            "plot": plots.before_and_now(moved["bins"], moved["feature"].replace("_", " ")) if moved["bins"] else "",
        }
        for moved in drift["features"]
    ]
    return {"compared_with": drift["compared_with"], "features": features}


def _weeks(night: Night) -> str:
    if not night.catalog.has_times:
        return ""
    counts = Counter[int]()
    for block in stored_rows(night, "validate", "interactions.parquet").blocks():
        days = block.occurred_at.view("datetime64[us]").astype("datetime64[D]").astype(np.int64)
        weeks, n = np.unique(days - (days + 3) % 7, return_counts=True)  # by Monday: 1970-01-01 was a Thursday
        counts.update(dict(zip(weeks.tolist(), n.tolist(), strict=True)))
    mondays = np.array(sorted(counts), np.int64)
    in_order = np.array([counts[monday] for monday in mondays.tolist()], np.int64)
    return plots.interactions_by_week(mondays.astype("datetime64[D]"), in_order, night.cutoff().at)


def _bars(rows: list[dict[str, Any]], view: str, names: dict[str, str]) -> str:
    shown = [r for r in rows if (r["view"], r["segment"], r["metric"]) == (view, "all", "ndcg_at_20")]
    return plots.metric_bars(
        [names.get(r["model"], r["model"]) for r in shown],
        [r["value"] for r in shown],
        [r["low"] for r in shown],
        [r["high"] for r in shown],
        "NDCG@20, with its 95% interval",
    )


def _examples(night: Night) -> list[dict[str, Any]]:
    """Latest interactions and lists of some users, drawn by the night's seed."""
    items = night.scored("items").read(["item_id", "title"]).to_pydict()
    title = {i: t or i for i, t in zip(items["item_id"], items["title"], strict=True)}
    lists = next(night.list_chunks()).read(["user_id", "item_ids", "source"])
    rng = np.random.default_rng(night.request.seed)
    rows = np.sort(rng.choice(lists.num_rows, min(N_EXAMPLES, lists.num_rows), replace=False))
    took = _histories(night, lists["user_id"].take(pa.array(rows)).combine_chunks())
    return [
        {
            "user_id": row["user_id"],
            "source": row["source"],
            "took": [title[i] for i in took[row["user_id"]][:8]],
            "shown": [title[i] for i in row["item_ids"][:8]],
        }
        for row in lists.take(pa.array(rows)).to_pylist()
    ]


def _histories(night: Night, users: pa.Array) -> dict[str, list[str]]:
    """The items that some users took last."""
    found: dict[str, list[str]] = {}
    for batch in night.scored("history").iter_batches(columns=["user_id", "item_ids"]):
        if len(found) == len(users):
            break
        asked = batch.filter(pc.is_in(batch["user_id"], users)).to_pydict()
        found |= dict(zip(asked["user_id"], asked["item_ids"], strict=True))
    return found
