"""Names for the columns of a file without a header, by what they seem to hold."""

import re

import numpy as np

from recjobs.core.rows.guessing import Column, is_title, kind_weights, rating_weights, time_settings

_FEW_ROWS = 3
_SKEWED = 5
"""Times the median: the least that the largest of counts, such as plays, has."""


def names_by_values(columns: list[Column]) -> list[str]:
    """Names for the columns of a file without a header, by what they seem to hold: ids first the user's, then the
    item's; of a file whose first column has each value once, the id and attributes of what it describes."""
    first = next(iter(columns), None)
    if first and first.distinct == first.n_rows >= _FEW_ROWS:
        names = _of_a_description(first, columns[1:])
    else:
        names = _of_interactions(columns)
    return [names.get(column.name, column.name) for column in columns]


def _of_a_description(key: Column, columns: list[Column]) -> dict[str, str]:
    names = {key.name: "id"}
    for column in columns:
        values = column.values.slice(0, 1000).to_pylist()
        is_text = column.is_filled and not column.is_numeric and not values[0].startswith(("http:", "https:"))
        if is_text and "title" not in names.values() and 2 * column.distinct > column.n_rows:
            names[column.name] = "title"
        elif is_text and "genres" not in names.values() and any("|" in value for value in values):
            names[column.name] = "genres"
    return names


def _of_interactions(columns: list[Column]) -> dict[str, str]:
    names: dict[str, str] = {}
    for column in columns:
        if "timestamp" not in names.values() and _is_instant(column):
            names[column.name] = "timestamp"
        elif "rating" not in names.values() and rating_weights(column) and column.distinct <= 21:
            names[column.name] = "rating"
        elif "event" not in names.values() and (kinds := kind_weights(column)) and not kinds[1]:
            names[column.name] = "event"
    ids = [c for c in columns if c.name not in names and c.is_filled]
    for column, name in zip(ids, _order_of_ids(ids), strict=False):
        names[column.name] = name
    item = next((column for column in ids if names.get(column.name) == "item"), None)
    for column in columns:
        if column.name in names or item is None:
            continue
        if "title" not in names.values() and not column.is_numeric and is_title(column, item.raw):
            names[column.name] = "title"
        elif not {"rating", "event", "count"} & set(names.values()) and _is_count(column):
            names[column.name] = "count"
    return names


def _is_count(column: Column) -> bool:
    """Whether the values are whole numbers from 1 on, of which few are large, as of plays."""
    if not (column.is_filled and column.is_numeric):
        return False
    values = column.numbers[np.isfinite(column.numbers)]
    is_whole = bool((values >= 1).all() and (values % 1 == 0).all())
    return is_whole and column.distinct > 1 and float(values.max()) > _SKEWED * float(np.median(values))


def _order_of_ids(ids: list[Column]) -> tuple[str, str]:
    """A row begins with its user, unless the first column has ISBNs or ASINs and the second has none."""
    first = [column.values.slice(0, 200).to_pylist() for column in ids[:2]]
    are_books = [all(re.fullmatch(r"[0-9B][0-9A-Z]{8}[0-9X]", value) for value in values) for values in first]
    return ("item", "user") if are_books == [True, False] else ("user", "item")


def _is_instant(column: Column) -> bool:
    if not column.is_numeric:
        first = column.values.slice(0, 1).to_pylist()
        return bool(first) and bool(re.match(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{4}", first[0]))
    return float(np.median(column.numbers)) > 500_000_000 and time_settings(column) is not None
