"""The answers as JSON Schema, by name, for /openapi.json and for the tests."""

from typing import Any

from webapp.api.parameters import Part


def text(description: str, **more: Any) -> Part:
    """A string."""
    return {"type": "string", "description": description, **more}


def structure(properties: Part, optional: tuple[str, ...] = ()) -> Part:
    """An object with these keys and no other."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def schema(name: str) -> Part:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


VERDICTS = ["promoted", "refused", None]
CATALOG = text("The catalog asked")
BATCH = {
    "catalog": CATALOG,
    "batch_id": text("The batch the whole answer is from"),
    "model_version": {"type": ["string", "null"], "description": "The model that made the batch"},
    "computed_at": text("When the batch was computed", format="date-time"),
    "age_seconds": {"type": "integer", "minimum": 0, "description": "How long ago that was"},
}
TIME: Part = {"type": ["string", "null"], "format": "date-time"}
COUNT: Part = {"type": ["integer", "null"], "minimum": 0}
NUMBER: Part = {"type": ["number", "null"]}
NAME: Part = {"type": ["string", "null"]}
YES_OR_NO: Part = {"type": ["boolean", "null"]}
CHECK: Part = {
    "name": text("Of the check"),
    "passed": YES_OR_NO,
    "value": NUMBER | {"description": "Measured; null in a yes-or-no check"},
    "bound": NUMBER | {"description": "Allowed"},
    "sentence": NAME | {"description": "Both in words"},
}
METRIC: Part = {
    "model": text("`candidate`, `champion`, or a baseline"),
    "segment": text("`all`, or the users it is measured on"),
    "view": text("`discovery`, `repeats` or `after_days`: which items the user has seen may count"),
    "metric": text("Such as `ndcg_at_20`"),
    "value": NUMBER,
    "low": NUMBER | {"description": "Of the 95% interval; null if the metric has none"},
    "high": NUMBER | {"description": "Of the 95% interval; null if the metric has none"},
}
SUMMARY: Part = {
    "batch_id": text("Identifies the night"),
    "is_live": {"type": "boolean", "description": "Whether it is what everybody is served"},
    "as_of": text("The instant up to which interactions count, exclusive", format="date-time"),
    "model_version": NAME | {"description": "The model that made the lists; null: the night made none"},
    "computed_at": TIME,
    "published_at": TIME | {"description": "When it was published first; null: never"},
    "rolled_back_at": TIME | {"description": "When it was rolled back; null: it was not"},
    "pruned_at": TIME | {"description": "When its lists were dropped; null: they are there"},
    "n_users": COUNT | {"description": "Users with a list"},
    "n_items": COUNT,
    "n_interactions": COUNT,
    "top_n_served": COUNT | {"description": "The most items of a list that are served"},
    "verdict": NAME | {"description": "`promoted` or `refused`; null: the gate has not decided", "enum": VERDICTS},
    "reason": NAME | {"description": "Why; null where a person decided, whose reason is for operators"},
    "approval": NAME | {"description": "`approved`, `refused` or `timed_out` where a person was asked"},
    "kept_batch": NAME | {"description": "The batch that a refused night left live in place of lists of its own"},
}
BATCH_COLUMNS: dict[str, Part] = {
    "BatchSummary": SUMMARY,
    "Batch": SUMMARY
    | {
        "code_version": NAME | {"description": "The release that computed it"},
        "cutoff": TIME | {"description": "Where the holdout begins"},
        "n_holdout_users": COUNT | {"description": "Users of the holdout"},
        "metric": NAME | {"description": "What decided, as `candidate`, `champion` and `baseline` measure it"},
        "candidate": NUMBER,
        "champion": NUMBER,
        "diff": NUMBER | {"description": "Relative difference of candidate and champion"},
        "diff_low": NUMBER | {"description": "Of its 95% interval"},
        "diff_high": NUMBER | {"description": "Of its 95% interval"},
        "baseline_name": NAME | {"description": "The strongest popular list"},
        "baseline": NUMBER,
        "lift": NUMBER | {"description": "Relative difference of candidate and baseline"},
        "lift_low": NUMBER | {"description": "Of its 95% interval"},
        "lift_high": NUMBER | {"description": "Of its 95% interval"},
        "inconclusive": YES_OR_NO | {"description": "Whether it was refused only for an interval with 0 inside"},
        "checks": {"type": ["array", "null"], "items": structure(CHECK), "description": "What was asked, in order"},
    },
}
"""The columns of the statements `batches` and `batch`, in their order, by the names of the views that they are from."""
LADDER = ["als", "foldin", "neighbours", "again", "category", "popular"]
"""Sources of items."""
EXHAUSTED = "exhausted"
"""The source of a list of no items: nothing is left to show, as the user has every item or rules hide the rest."""
LIST_SOURCES = [*LADDER, EXHAUSTED]
PLACED = ["pinned", "boosted"]
"""Sources of items that a rule placed."""
TRACE_ANSWERS = ["listed", "unknown_item", "seen", "blocked", "ineligible", "below"]
TRACE_DETAILS = (
    "rank", "score", "source", "because", "because_ids", "seen_at", "seen_before", "rule_id", "rule_kind", "note",
    "reason",
)  # fmt: skip
"""Members of a trace that only some answers have."""


def ranked_list(head: Part, source: Part) -> Part:
    """A list: what it is for, its batch, its source and its items."""
    return structure({**head, **BATCH, "source": source, "items": {"type": "array", "items": schema("Item")}})


def pages(head: Part, member: str, rows: Part) -> Part:
    """A part of a longer list: what it is of, its whole length, and its rows."""
    total = {"type": "integer", "minimum": 0, "description": "How many there are in all"}
    return structure({"catalog": CATALOG, **head, "total": total, member: {"type": "array", "items": rows}})


LIVE_BATCH = {"batch_id": BATCH["batch_id"]}
N_ITEMS = {"type": "integer", "minimum": 0, "description": "The length of its popular list"}

SCHEMAS: Part = {
    "Error": structure(
        {
            "error": structure(
                {
                    "code": text("What went wrong, for programs"),
                    "message": text("For people"),
                    "batch_id": text("409: the batch that is live now"),
                },
                optional=("batch_id",),
            )
        }
    ),
    "Item": structure(
        {
            "rank": {"type": "integer", "minimum": 1},
            "item_id": text("The external id, byte for byte"),
            "title": {"type": ["string", "null"]},
            "score": {"type": "number", "description": "Comparable within one source of one list"},
            "source": text("Where this item comes from", enum=[*LADDER, "similar", "together", *PLACED]),
            "because": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 3,
                "description": "Titles (or else ids) of the user's items that led to this one; may be empty",
            },
            "because_ids": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 3,
                "description": "The ids of the items that `because` names, in the same order",
            },
            "url": text("Left out if unknown"),
            "image": text("Left out if unknown"),
            "price": {"type": "number", "description": "Left out if unknown"},
        },
        optional=("url", "image", "price"),
    ),
    "Recommendations": ranked_list(
        {"user_id": text("The user asked for")},
        text("`popular`, among others, for a user the batch does not know", enum=LIST_SOURCES),
    ),
    "RecommendationsOfMany": structure(
        {"answers": {"type": "array", "items": schema("Recommendations"), "description": "In the order of the ids"}}
    ),
    "Basket": ranked_list(
        {"item_ids": {"type": "array", "items": {"type": "string"}, "description": "The basket asked for"}},
        text("`popular` if nothing goes with the basket", enum=["similar", "popular", EXHAUSTED]),
    ),
    "Similar": ranked_list(
        {"item_id": text("The item asked for"), "title": {"type": ["string", "null"]}}, {"const": "similar"}
    ),
    "Again": ranked_list({"user_id": text("The user asked for")}, {"const": "again"}),
    "Together": ranked_list(
        {"item_id": text("The item asked for"), "title": {"type": ["string", "null"]}}, {"const": "together"}
    ),
    "Popular": ranked_list(
        {"category": {"type": ["string", "null"]}}, text("Where the list comes from", enum=["popular", EXHAUSTED])
    ),
    "Trace": structure(
        {
            "user_id": text("The user asked for"),
            "item_id": text("The item asked for"),
            "title": {"type": ["string", "null"]},
            **{name: part for name, part in BATCH.items() if name != "age_seconds"},
            "is_known_user": {"type": "boolean", "description": "false: the list is the popular one"},
            "list_length": {"type": "integer", "minimum": 0, "description": "How long the stored list is"},
            "answer": text("The first that holds", enum=TRACE_ANSWERS),
            "rank": {"type": "integer", "minimum": 1, "description": "listed; below, in the stored list"},
            "score": {"type": "number", "description": "listed, below"},
            "source": text("listed: where the item comes from"),
            "because": {"type": "array", "items": {"type": "string"}, "description": "listed: titles, or ids"},
            "because_ids": {"type": "array", "items": {"type": "string"}, "description": "listed: their ids"},
            "seen_at": text("seen: when", format="date-time"),
            "seen_before": text("seen: earlier than this, if the day is unknown", format="date-time"),
            "rule_id": {"type": "integer", "description": "blocked: by which rule"},
            "rule_kind": text("blocked: of which kind"),
            "note": text("blocked: the rule's note"),
            "reason": text("ineligible: why"),
        },
        optional=TRACE_DETAILS,
    ),
    "Catalogs": structure({"catalogs": {"type": "array", "items": schema("Catalog"), "description": "By name"}}),
    "Catalog": structure({"catalog": text("Its name in every address"), "description": text("Empty if it has none")}),
    "Categories": pages(LIVE_BATCH, "categories", schema("Category")),
    "Category": structure({"category": text("As the parameter `category` takes it"), "n_items": N_ITEMS}),
    "Segments": pages(LIVE_BATCH, "segments", schema("Segment")),
    "Segment": structure(
        {"segment": text("`all`, `category:<name>`, or `segment:<name>` of the users' own"), "n_items": N_ITEMS}
    ),
    "Batches": pages({}, "batches", schema("BatchSummary")),
    "BatchSummary": structure(BATCH_COLUMNS["BatchSummary"]),
    "Batch": structure(
        {
            "catalog": CATALOG,
            **BATCH_COLUMNS["Batch"],
            "metrics": {"type": "array", "items": schema("Metric"), "description": "All that the night measured"},
        }
    ),
    "Metric": structure(METRIC),
    "Info": structure(
        {
            "version": text("Of the package; empty if unknown"),
            "commit": text("That it was built from; empty if unknown"),
            "live": {
                "type": "object",
                "additionalProperties": {"type": ["string", "null"]},
                "description": "Catalog to batch; null: nothing is published, or it is not migrated for this release",
            },
        }
    ),
    "Alive": structure({"status": {"const": "alive"}}),
    "Ready": structure(
        {
            "status": {"const": "ready"},
            "live": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Catalog to batch"},
        }
    ),
}
