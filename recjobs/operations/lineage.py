"""The lineage of inputs: list them, describe one, compare two. It reads artifacts only, also those of nights that were
refused or not published."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.catalog.names import Named
from recjobs.core.rows.instants import NO_TIME
from recjobs.night.handovers import Handovers
from recjobs.night.night import validated_night, validated_nights


def list_inputs(catalog: Named) -> list[dict[str, Any]]:
    """Return every validated night, newest first."""
    return [_head(night) for night in validated_nights(catalog)]


def describe(catalog: Named, batch_id: str | None) -> dict[str, Any]:
    """Return one night's input: files, counts, findings, and a summary of each column."""
    night = validated_night(catalog, batch_id)
    request = night.stored_request()
    return {
        **_head(night),
        "files": request["input"]["files"],
        "base": request.get("base"),
        "findings": night.input_account().findings,
        "columns": _columns(night),
    }


def diff(catalog: Named, before: str, after: str) -> dict[str, Any]:
    """Return what changed between two nights: rows, users and items added and removed, and the columns that differ."""
    nights = [validated_night(catalog, batch_id) for batch_id in (before, after)]
    old, new = (np.sort(pd.util.hash_pandas_object(_with_ids(night).to_pandas(), index=False)) for night in nights)
    unchanged = int(np.isin(new, old, assume_unique=True).sum())
    heads, columns = [_head(night) for night in nights], [_columns(night) for night in nights]
    return {
        "before": heads[0],
        "after": heads[1],
        "same_input": heads[0]["input_hash"] == heads[1]["input_hash"],
        "rows": {"added": int(new.size - unchanged), "removed": int(old.size - unchanged), "unchanged": unchanged},
        "users": _changes(*(night.users()["user_id"].combine_chunks() for night in nights)),
        "items": _changes(*(night.items()["item_id"].combine_chunks() for night in nights)),
        "columns": {
            name: {"before": columns[0][name], "after": summary}
            for name, summary in columns[1].items()
            if columns[0][name] != summary
        },
    }


def _head(night: Handovers) -> dict[str, Any]:
    account = night.input_account()
    stopped = [f for f in account.findings if f["action"] in ("refused", "skipped")]
    return {
        "batch_id": night.batch_id,
        "input_hash": night.stored_request()["input"]["hash"],
        "state": stopped[0]["action"] if stopped else "accepted",
        "reason": ", ".join(f["reason"] for f in stopped) or None,
        **account.counts,
    }


def _changes(old: pa.Array, new: pa.Array) -> dict[str, Any]:
    added = new.filter(pc.invert(pc.is_in(new, old)))
    removed = old.filter(pc.invert(pc.is_in(old, new)))
    return {
        "added": len(added),
        "removed": len(removed),
        "added_such_as": added.slice(0, 5).to_pylist(),
        "removed_such_as": removed.slice(0, 5).to_pylist(),
    }


def _with_ids(night: Handovers) -> pa.Table:
    """The accepted interactions by id: indexes differ between nights."""
    rows = night.interactions()
    columns = {
        "user": pa.DictionaryArray.from_arrays(rows.user_idx, night.users()["user_id"].combine_chunks()),
        "item": pa.DictionaryArray.from_arrays(rows.item_idx, night.items()["item_id"].combine_chunks()),
    }
    kinds = pa.array(rows.kinds, pa.string())
    kind = pa.DictionaryArray.from_arrays(pa.array(rows.kind.astype(np.int32), mask=rows.kind < 0), kinds)
    return pa.table({**columns, "at": rows.occurred_at, "weight": rows.weight, "kind": kind})


def _columns(night: Handovers) -> dict[str, Any]:
    """A summary of each column of interactions and items."""
    rows = night.interactions()
    items = night.items()
    at = pa.array(rows.occurred_at).cast(pa.timestamp("us", "UTC"))
    result: dict[str, Any] = {}
    if not len(rows) or (rows.occurred_at != NO_TIME).any():
        result["occurred_at"] = {"oldest": _text(pc.min(at)), "newest": _text(pc.max(at))}
    if len(rows):
        weight = rows.weight
        quartiles = np.quantile(weight, [0.25, 0.5, 0.75]).round(4).tolist()
        result["weight"] = {"min": float(weight.min()), "quartiles": quartiles, "max": float(weight.max())}
    counts = np.bincount(rows.kind + 1, minlength=len(rows.kinds) + 1)[1:].tolist()
    if rows.kinds:
        result["kind"] = dict(zip(rows.kinds, counts, strict=True))
    for name in items.column_names[1:]:
        values = items[name]
        empty = pc.list_value_length(values).to_numpy() == 0 if pa.types.is_list(values.type) else values.is_null()
        result[f"items.{name}"] = {"empty": int(np.asarray(empty).sum())}
    price = items["price"]
    if price.null_count < len(price):
        result["items.price"] |= {"min": pc.min(price).as_py(), "max": pc.max(price).as_py()}
    return result


def _text(value: pa.Scalar) -> str | None:
    return value.as_py().isoformat() if value.is_valid else None
