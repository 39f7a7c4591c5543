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


BATCH = {
    "catalog": text("The catalog asked"),
    "batch_id": text("The batch the whole answer is from"),
    "model_version": {"type": ["string", "null"], "description": "The model that made the batch"},
    "computed_at": text("When the batch was computed", format="date-time"),
    "age_seconds": {"type": "integer", "minimum": 0, "description": "How long ago that was"},
}
LADDER = ["als", "foldin", "category", "popular"]
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
            "source": text("Where this item comes from", enum=[*LADDER, "similar", *PLACED]),
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
    "Alive": structure({"status": {"const": "alive"}}),
    "Ready": structure(
        {
            "status": {"const": "ready"},
            "live": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Catalog to batch"},
        }
    ),
}
