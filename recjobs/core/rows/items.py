"""Item attributes, from the rows of interactions or from the items' own source."""

import ast
import json
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows import attribute_values
from recjobs.core.rows.reason_codes import MAX_ID_BYTES
from recjobs.core.rows.validation import as_ids

ATTRIBUTES = {
    "title": pa.string(),
    "categories": pa.list_(pa.string()),
    "price": pa.float64(),
    "url": pa.string(),
    "image": pa.string(),
    "available": pa.bool_(),
    "product_id": pa.string(),
}
OPTIONAL = ("product_id",)
"""Attributes that a night's table has only where its items have them."""


def of_file(items: pa.Table) -> pd.DataFrame:
    """A file's attributes by item_id; of several rows for one item the last counts."""
    ids = as_ids(items["item_id"].combine_chunks(), "item_id").to_pylist()
    frame = pd.DataFrame(
        {name: items[name].to_pylist() for name in items.column_names if name != "item_id"}, dtype=object
    )
    frame.index = pd.Index(ids, dtype=object)
    return frame[~frame.index.duplicated(keep="last") & frame.index.notna()]


def table(item_ids: pa.Array, attributes: pd.DataFrame, separator: str = "|", tree: str | None = None) -> pa.Table:
    """The items of a night, one row an id, in the order of item_ids.

    separator: between categories in one text. tree: between the levels of a category."""
    known = attributes.reindex(pd.Index(item_ids.to_pylist(), dtype=object))
    columns: dict[str, pa.Array] = {"item_id": item_ids}
    for name, kind in ATTRIBUTES.items():
        if name in OPTIONAL and name not in known:
            continue
        values = known[name].tolist() if name in known else [None] * len(item_ids)
        columns[name] = pa.array([_converted(value, name, separator, tree) for value in values], kind)
    columns["available"] = pc.fill_null(columns["available"], True)
    return pa.table(columns)


def untried(item_ids: pa.Array, attributes: pd.DataFrame, separator: str = "|") -> pa.Array:
    """The ids of attributes that are not among item_ids, of items that are available and have a title or category."""
    ids = pa.array(attributes.index, pa.string())
    length = pc.binary_length(ids)
    fit = pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_ID_BYTES))
    fit = pc.and_(fit, pc.invert(pc.or_(pc.match_substring(ids, "\0"), pc.is_in(ids, item_ids))))
    items = table(ids.filter(fit), attributes, separator)
    described = pc.or_(pc.is_valid(items["title"]), pc.greater(pc.list_value_length(items["categories"]), 0))
    return items["item_id"].filter(pc.and_(described, items["available"])).combine_chunks()


def _converted(value: object, name: str, separator: str, tree: str | None) -> object:
    if name == "categories":
        return names_of(value, separator, tree)
    if attribute_values.is_missing(value) or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if name == "price":
        return attribute_values.price(value)
    if name == "available":
        return bool(attribute_values.available(value))
    return str(value).replace("\0", "").strip() or None


LEVELS = " > "
"""Between the levels of a category, whatever sign a file has there."""


def names_of(value: object, separator: str = "|", tree: str | None = None) -> list[str]:
    """The names in a list, in text with the separator between them, or in text that is a list of JSON or Python; of an
    object in a list its `name`.

    tree: the sign between the levels of a name; each branch is a name then, the widest first: Home, Home > Light. A
    list in the list has levels too, and is as many names without a tree. Empty for a missing value."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return []
    if isinstance(value, str) and (listed := _list_in(value)) is not None:
        value = listed
    parts = list(value) if isinstance(value, list | tuple | np.ndarray) else str(value).split(separator)
    names = list[str]()
    for part in parts:
        levels = _levels(part, tree)
        if tree is None:
            names += levels
        else:
            names += [LEVELS.join(levels[: n + 1]) for n in range(len(levels))]
    is_nested = tree is not None or any(isinstance(part, list | tuple | np.ndarray) for part in parts)
    return list(dict.fromkeys(names)) if is_nested else names


def _levels(part: object, tree: str | None) -> list[str]:
    if isinstance(part, dict):
        part = part.get("name")
    texts: list[object] = [part]
    if isinstance(part, list | tuple | np.ndarray):
        texts = list(part)
    elif tree is not None and part is not None:
        texts = list(str(part).split(tree))
    return [text for one in texts if one is not None and (text := str(one).replace("\0", "").strip())]


def _list_in(text: str) -> list[object] | None:
    """The list that a text such as ['Home', "Light"] writes, or None."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = parse(text)
            if isinstance(value, list) and _are_names(value):
                return value
    return None


def _are_names(parts: list[object]) -> bool:
    """Whether all parts of a list are names, or all objects with one, or all lists of the levels of one."""
    if parts and all(isinstance(part, dict) for part in parts):
        return all(isinstance(part, dict) and isinstance(part.get("name"), str) for part in parts)
    if parts and all(isinstance(part, list) for part in parts):
        parts = [level for part in parts if isinstance(part, list) for level in part]
    return not any(isinstance(part, list | dict | tuple | set) for part in parts)


def of_known(attributes: pd.DataFrame, item_ids: pa.Array, known: pa.Array) -> pd.DataFrame:
    """The attributes, with those items as unavailable that are not among the known."""
    unknown = item_ids.filter(pc.invert(pc.is_in(item_ids, known))).to_pylist()
    hidden = pd.DataFrame({"available": False}, index=pd.Index(unknown, dtype=object), dtype=object)
    return hidden.combine_first(attributes.astype(object))


def carried_over(attributes: pd.DataFrame, before: pa.Table) -> pd.DataFrame:
    """Tonight's attributes, with an earlier night's where tonight's are missing."""
    names = [name for name in before.column_names if name != "item_id"]
    earlier = pd.DataFrame({name: before[name].to_pylist() for name in names}, dtype=object)
    earlier.index = pd.Index(before["item_id"].to_pylist(), dtype=object)
    return attributes.astype(object).combine_first(earlier)
