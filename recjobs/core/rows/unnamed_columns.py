"""Names for the columns of a file without a header, by what they seem to hold."""

import re

import numpy as np

from recjobs.core.rows.guessing import Column, rating_weights, time_settings


def names_by_values(columns: list[Column]) -> list[str]:
    """Names for the columns of a file without a header, by what they seem to hold: ids first the user's, then the
    item's."""
    names: dict[str, str] = {}
    for column in columns:
        if "timestamp" not in names.values() and _is_instant(column):
            names[column.name] = "timestamp"
        elif "rating" not in names.values() and rating_weights(column) and column.distinct <= 21:
            names[column.name] = "rating"
    ids = [c for c in columns if c.name not in names and c.is_filled]
    for column, name in zip(ids, _order_of_ids(ids), strict=False):
        names[column.name] = name
    return [names.get(column.name, column.name) for column in columns]


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
