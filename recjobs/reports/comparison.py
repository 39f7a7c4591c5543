"""The comparison of the candidate with the champion on the page."""

from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.core.evaluation.side_by_side import PlacesChange, drawn, movers, places, places_of_categories
from recjobs.core.lists.popularity import DEFAULT_WINDOW
from recjobs.night.night import Night

CHECKS = {
    "sound": "factors",
    "holdout": "holdout",
    "answers": "users the model answers",
    "popularity": "popular lists",
    "neighbours": "item neighbours",
    "own_frequency": "own items, by frequency",
    "coverage": "coverage",
    "gini": "Gini",
    "better": "better than the champion",
    "not_worse": "not worse than the champion",
    "drop": "size of the drop",
    "segment_light": "light users",
    "segment_medium": "medium users",
    "segment_heavy": "heavy users",
    "coverage_drop": "coverage against the champion",
    "novelty_drop": "novelty against the champion",
    "gini_rise": "Gini against the champion",
}
"""Names of the gate's checks on the page."""

PARTS = {
    "Accuracy": {"ndcg_at_20": "NDCG@20", "recall_at_20": "recall@20", "map_at_20": "MAP@20", "hit_at_20": "hit rate"},
    "By segment (NDCG@20)": {
        "model": "list of the model",
        "ladder": "popular list",
        "unknown": "unknown users",
        "light": "light users",
        "medium": "medium users",
        "heavy": "heavy users",
    },
    "Beyond accuracy": {
        "coverage": "coverage",
        "gini": "Gini",
        "novelty": "novelty (bits)",
        "fallback_share": "by fallback",
    },
}
"""Tables of metrics, with the names of their columns."""


def tables(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return view -> table of PARTS -> model -> cells in order; a cell is a row of evaluations, or None."""
    cells = {(r["view"], r["model"], r["segment"], r["metric"]): r for r in rows}
    views = dict.fromkeys(r["view"] for r in rows)
    return {
        view: {
            part: {
                model: [
                    cells.get((view, model, *(("all", key) if part != "By segment (NDCG@20)" else (key, "ndcg_at_20"))))
                    for key in columns
                ]
                for model in dict.fromkeys(r["model"] for r in rows if r["view"] == view)
            }
            for part, columns in PARTS.items()
        }
        for view in views
    }


def side_by_side(night: Night) -> dict[str, Any] | None:
    """Return the items and categories that gained and lost places, and example lists; None without holdout users.

    The candidate is compared with the champion; on a first night with the popular list.
    """
    lists = night.holdout_lists().combine_chunks()
    if not lists.num_rows:
        return None
    other = "champion" if "champion" in lists.column_names else DEFAULT_WINDOW
    items = night.items(["item_id", "title", "categories"]).combine_chunks()
    titles = [
        title or item_id for item_id, title in zip(*(items[c].to_pylist() for c in ("item_id", "title")), strict=True)
    ]
    before, after = (places(_column(lists, name), items.num_rows) for name in (other, "candidate"))
    categories = [places_of_categories(counts, _column(items, "categories")) for counts in (before, after)]
    of_items = np.flatnonzero(before != after)
    both = (lists[name].to_pylist() for name in (other, "candidate"))
    return {
        "other": other,
        "users": lists.num_rows,
        "same": float(np.mean([one == two for one, two in zip(*both, strict=True)])),
        "shown": {"before": int((before > 0).sum()), "after": int((after > 0).sum())},
        "items": movers([PlacesChange(titles[i], int(before[i]), int(after[i])) for i in of_items]),
        "categories": movers([PlacesChange(name, categories[0][name], categories[1][name]) for name in categories[0]]),
        "examples": _examples(night, lists, other, titles),
    }


def _examples(night: Night, lists: pa.Table, other: str, titles: list[str]) -> list[dict[str, Any]]:
    user_ids = night.ids("users")
    examples = []
    for row in drawn(lists.num_rows, night.request.seed):
        one = {name: lists[name][row].as_py() for name in ("user_idx", "taken", other, "candidate")}
        taken = set(one["taken"])
        both = set(one[other]) & set(one["candidate"])
        examples.append(
            {
                "user_id": user_ids[one["user_idx"]],
                "took": [titles[i] for i in one["taken"]],
                "lists": {
                    side: [{"title": titles[i], "hit": i in taken, "shared": i in both} for i in one[name]]
                    for side, name in (("before", other), ("after", "candidate"))
                },
            }
        )
    return examples


def _column(table: pa.Table, name: str) -> pa.ListArray:
    return table[name].combine_chunks()
