"""What the live lists were worth, on the page of a night."""

from collections.abc import Iterable
from typing import Any

from recjobs.core.evaluation.worth import KS
from recjobs.night.night import Night
from recjobs.reports import plots

LISTS = {"live": "live list", "popular": "popular list", "own_items": "own items"}
"""Names of the lists on the page."""


def section(night: Night, trend: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return tables by view and the plot of the last nights; empty if nothing was measured.

    trend: as_of, list, share, low and high of the earlier nights, oldest first.
    """
    worth = night.worth()
    if not worth:
        return {}
    view = night.catalog.view
    tonight = [
        {
            "as_of": night.request.as_of,
            "list": row["model"],
            "share": row["value"],
            "low": row["low"],
            "high": row["high"],
        }
        for row in worth["rows"]
        if (row["view"], row["segment"], row["metric"]) == (view, "all", "hit_share_at_20") and row["model"] in LISTS
    ]
    nights = [row for row in (*trend, *tonight) if row["list"] in ("live", "popular")]
    lines = {
        LISTS[name]: [(row["as_of"], row["share"], row["low"], row["high"]) for row in nights if row["list"] == name]
        for name in ("live", "popular")
    }
    views = dict.fromkeys((view, *(row["view"] for row in worth["rows"])))
    return {
        "live_batch": worth["live_batch"],
        "since": worth["since"],
        "ks": KS,
        "tables": [{"view": name, "rows": _rows(worth["rows"], name)} for name in views],
        "trend": plots.trend(lines, "share of items taken (%)") if len({row["as_of"] for row in nights}) > 1 else "",
    }


def _rows(rows: list[dict[str, Any]], view: str) -> list[dict[str, Any]]:
    cells = {(row["segment"], row["model"], row["metric"]): row for row in rows if row["view"] == view}
    keys = dict.fromkeys((segment, name) for name in LISTS for segment, model, _ in cells if model == name)
    order = sorted(keys, key=lambda key: (key[0] != "all", key[0]))
    return [
        {
            "segment": segment.replace("source:", "list by ").replace("segment:", "segment "),
            "list": LISTS[name],
            "n_pairs": int(cells[segment, name, "n_pairs"]["value"]),
            "cells": [cells[segment, name, f"hit_share_at_{k}"] for k in KS],
        }
        for segment, name in order
    ]
