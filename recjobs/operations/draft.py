"""The draft of a catalog: which of some files has the interactions, the items, the users, and the columns of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.core.rows import attribute_values, guessing
from recjobs.core.rows.guessing import Column
from recjobs.core.rows.unnamed_columns import names_by_values
from recjobs.operations.draft_joins import find_join
from recjobs.operations.file_samples import FileSample

TO_FILL_IN = "?"
_UNIQUE = 0.95
"""Share of different ids from which on a file describes each once."""
_FEW_USERS = 5_000


@dataclass
class Draft:
    """tree: the catalog file. interactions: the file it is named after. comments: by key, written behind it. notes: for
    the person who reads the draft, line by line."""

    tree: dict[str, Any] = field(default_factory=dict)
    interactions: str = ""
    comments: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A sample with the columns that may hold ids, the likeliest first."""

    sample: FileSample
    columns: list[Column]
    users: list[Column]
    items: list[Column]

    @classmethod
    def of(cls, sample: FileSample) -> "_File":
        if "names" in sample.settings:
            sample = sample.renamed(names_by_values(sample.columns()))
        columns = sample.columns()
        users = guessing.ranked(columns, "user_id", guessing.is_id)
        items = guessing.ranked(columns, "item_id", guessing.is_id)
        items += [c for c in guessing.ranked(columns, "item_id", guessing.is_name_of_item) if c not in items]
        users = [c for c in users if not items or c.name != items[0].name or len(items) > 1]
        return cls(sample, columns, users, [c for c in items if not users or c.name != users[0].name])

    @property
    def has_both(self) -> bool:
        return bool(self.users and self.items)

    def describes(self, ids: list[Column]) -> bool:
        return bool(ids) and ids[0].distinct >= _UNIQUE * max(1, len(ids[0].values))


def draft_of(samples: Sequence[FileSample]) -> Draft:
    """The draft of the catalog of these files."""
    named = ", ".join(Path(sample.path).name for sample in samples)
    if found := find_join(samples):
        samples = [found.rows, *(s for s in samples if s.path not in (found.rows.path, found.other.path))]
    files = [_File.of(sample) for sample in samples]
    main, draft = files[0] if found else _interactions_among(files), Draft()
    source, user, item = _source(main, files, draft)
    draft.interactions = main.sample.path
    draft.tree = {
        "description": f"Drafted from {named}; see that the columns are right",
        "sources": [source],
        **draft.tree,
    }
    names = source["columns"].values()
    if verb := guessing.verb_of(names, draft.tree.get("kinds", ()), is_rated="rating_to_weight" in source):
        draft.tree["verb"] = verb
    places: dict[str, dict[str, Any]] = {}
    for file in files:
        if file is not main:
            what, place = _place(file, item, user, places)
            if place:
                places[what] = place
            draft.notes.append(f"{file.sample.shown}: {what}")
    if "items" not in places and item is not None and (attributes := _attributes(main.columns, item, user)):
        places["items"] = {"columns": attributes, **_separator(main.columns, attributes)}
    draft.tree |= {what: places[what] for what in ("items", "users") if what in places}
    if found:
        source["join"] = found.as_setting(source, draft.tree.get("items", {}))
        draft.notes.append(f"{found.other.shown}: joined on {found.join['on']}, for what the rows lack")
    if user is not None and main.sample.is_whole and user.distinct < _FEW_USERS:
        draft.tree["min_holdout_users"] = max(20, user.distinct // 10)
    return draft


def _interactions_among(files: list[_File]) -> _File:
    """The file with users and items, of several the one that says how much or what, or else the largest."""
    both = [file for file in files if file.has_both]
    some = both or [f for f in files if not (f.describes(f.items) or f.describes(f.users))] or files

    def says_what(file: _File) -> bool:
        roles = (
            guessing.ranked(file.columns, "rating", lambda c: c.is_numeric),
            guessing.ranked(file.columns, "quantity", lambda c: c.is_numeric),
            guessing.ranked(file.columns, "kind", lambda c: guessing.kind_weights(c) is not None),
        )
        return any(roles)

    return max(some, key=lambda file: (says_what(file), file.sample.n_bytes))


def _source(main: _File, files: list[_File], draft: Draft) -> tuple[dict[str, Any], Column | None, Column | None]:
    columns, names, item = main.columns, [column.name for column in main.columns], _item_of(main, files)
    user = next((c for c in main.users if item is None or c.name != item.name), None)
    mapping = {"user_id": user.name if user else TO_FILL_IN, "item_id": item.name if item else TO_FILL_IN}
    for key, name in mapping.items():
        if name == TO_FILL_IN:
            draft.comments[key] = f"fill in: one of {', '.join(names)}"
            draft.notes.append(
                f"{main.sample.shown}: no column looks like {key}; fill it in: one of {', '.join(names)}"
            )
    taken = set(mapping.values())
    source: dict[str, Any] = {"path": main.sample.path, **main.sample.settings, "columns": mapping}
    at, time = _time_of([c for c in columns if c.name not in taken])
    at, time = (at, time) if at else guessing.time_among_keys(main.sample.keys)
    if at:
        mapping["occurred_at"] = at.name
        taken.add(at.name)
        source["time"] = time
    else:
        source["time"] = "none"
        draft.comments["time"] = "no column looks like a time; if one is, name it in columns.occurred_at"
    left = [c for c in columns if c.name not in taken]
    _add_kinds(source, draft, left)
    _add_weight(source, draft, [c for c in left if c.name not in mapping.values()])
    is_of_days = at is None or not any(":" in str(value) for value in at.values.slice(0, 1000).to_pylist())
    if user and item and "weight" not in mapping and "kind" not in mapping and is_of_days and not _has_clock(source):
        rows = main.sample.table.select([n for n in dict.fromkeys(mapping.values()) if n not in main.sample.keys])
        if rows.group_by(rows.column_names).aggregate([]).num_rows < 0.99 * rows.num_rows:
            source["repeats"] = "sum"
            draft.comments["repeats"] = "equal rows are a quantity; merge: they were exported twice"
    found = ", ".join(f"{key} {name}" for key, name in mapping.items())
    draft.notes.insert(
        0, f"{main.sample.shown}: interactions ({found}; {'no times' if not at else 'times ' + _short(time)})"
    )
    return source, user, item


def _has_clock(source: dict[str, Any]) -> bool:
    """Whether the times are numbers since 1970, which have a clock."""
    return isinstance(source["time"], dict) and source["time"].get("unit") in ("s", "ms", "us")


def _short(time: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in time.items())


def _item_of(main: _File, files: list[_File]) -> Column | None:
    """The column of item ids: of several the one that another file of items has, else the likeliest."""
    others = {
        column.name for file in files if file is not main and file.describes(file.items) for column in file.items[:1]
    }
    return next((c for c in main.items if c.name in others), next(iter(main.items), None))


def _time_of(columns: list[Column]) -> tuple[Column | None, dict[str, str]]:
    tried: set[str] = set()
    for pattern in guessing.NAMES["occurred_at"]:
        found: list[tuple[Column, dict[str, str]]] = []
        for column in columns:
            if column.name not in tried and re.fullmatch(pattern, guessing.words(column.name)):
                tried.add(column.name)
                if settings := guessing.time_settings(column):
                    found.append((column, settings))
        if found:
            return max(found, key=lambda pair: pair[0].distinct)
    for column in columns:
        if pa.types.is_temporal(column.raw.type) and (settings := guessing.time_settings(column)):
            return column, settings
    return None, {}


def _add_kinds(source: dict[str, Any], draft: Draft, columns: list[Column]) -> None:
    for column in guessing.ranked(columns, "kind", lambda c: guessing.kind_weights(c) is not None):
        found = guessing.kind_weights(column)
        if found is None:
            continue
        weights, others = found
        source["columns"]["kind"] = column.name
        draft.tree["kinds"] = weights
        if others:
            pattern = "|".join(re.escape(kind) for kind in weights)
            source["where"] = {"other_events": {"column": column.name, "not_matches": f"^({pattern})$"}}
            draft.comments["not_matches"] = f"left out: {', '.join(others[:10])}"
        return


def _add_weight(source: dict[str, Any], draft: Draft, columns: list[Column]) -> None:
    for column in guessing.ranked(columns, "rating", lambda c: c.is_numeric):
        if weights := guessing.rating_weights(column):
            source["columns"]["weight"] = column.name
            source["rating_to_weight"] = weights
            draft.comments["rating_to_weight"] = "ratings below the first are no interactions"
            return
    for column in guessing.ranked(columns, "quantity", lambda c: c.is_numeric and c.is_filled):
        values = column.numbers[np.isfinite(column.numbers)]
        source["columns"]["weight"] = column.name
        if (values <= 0).any():
            source.setdefault("where", {})["nothing_taken"] = {"column": column.name, "at_most": 0}
        positive = values[values > 0]
        if positive.size and float(positive.max()) > 20 * float(np.median(positive)):
            draft.tree["model"] = {"weight_scale": "log"}
        return


def _place(
    file: _File, item: Column | None, user: Column | None, places: dict[str, Any]
) -> tuple[str, dict[str, Any] | None]:
    """(items, users, or why the file is not used; its section of the catalog)"""
    keys: dict[str, tuple[Column, float]] = {}
    for what, of, named in (("items", item, file.items), ("users", user, file.users)):
        if of is None or what in places:
            continue
        likely = [c for c in file.columns if c.name == of.name] + named
        likely += [c for c in file.columns if guessing.words(c.name) in ("id", "key", "code", "handle")]
        unique = [c for c in likely if c.distinct >= _UNIQUE * max(1, len(c.values))]
        fits = [(c, guessing.overlap(of.values, c.values) + (1.0 if c.name == of.name else 0.0)) for c in unique]
        if fits and (best := max(fits, key=lambda fit: fit[1]))[1] > 0:
            keys[what] = best
    for what, (key, _) in sorted(keys.items(), key=lambda pair: -pair[1][1]):
        found = _attributes(file.columns, key, None) if what == "items" else _of_users(file.columns, key)
        if found:
            columns = {f"{what[:-1]}_id": key.name, **found}
            place = {"path": file.sample.path, **file.sample.settings, "columns": columns}
            return what, place | _separator(file.columns, found)
    if file.has_both:
        return "not used: further interactions; add it to sources if they count", None
    if item is not None and user is None and file.users:
        return "not used: has users; join it to the interactions before, on the column that both have", None
    return "not used: neither interactions nor a row for each item or user", None


def _attributes(columns: list[Column], key: Column, user: Column | None) -> dict[str, str]:
    """The columns with attributes of items, by role; user: the column of users in a file of interactions."""
    ids = key.raw
    own = [c for c in columns if c.name != key.name and (user is None or c.name != user.name)]
    is_own_file = user is None
    fits = {
        "title": lambda c: guessing.is_title(c, ids),
        "categories": lambda c: c.is_filled and (is_own_file or guessing.belongs_to(c, ids)),
        "price": lambda c: c.is_filled and c.is_numeric,
        "available": lambda c: is_own_file and _is_availability(c),
        "url": lambda c: _is_address(c) and guessing.belongs_to(c, ids),
        "image": lambda c: _is_address(c) and guessing.belongs_to(c, ids),
    }
    found: dict[str, str] = {}
    for role, fit in fits.items():
        likely = [c for c in guessing.ranked(own, role, fit) if c.name not in found.values()]
        if role == "categories":
            likely.sort(key=lambda c: c.is_numeric)
        if role == "title":
            likely.sort(key=lambda c: guessing.words(c.name) == "name" and not is_own_file)
        if likely:
            found[role] = likely[0].name
    if (
        "title" not in found
        and guessing.is_name_of_item(key)
        and re.fullmatch(guessing.NAMES["item_id"][-1], guessing.words(key.name))
    ):
        found = {"title": key.name, **found}
    return found


def _of_users(columns: list[Column], key: Column) -> dict[str, str]:
    own = [c for c in columns if c.name != key.name]
    roles = {
        "segment": guessing.ranked(own, "segment", lambda c: c.is_filled and 2 <= c.distinct <= 50),
        "prefers": guessing.ranked(own, "prefers", lambda c: c.is_filled),
    }
    return {role: found[0].name for role, found in roles.items() if found}


def _is_address(column: Column) -> bool:
    values = column.values.slice(0, 100).to_pylist()
    return bool(values) and all(value.startswith(("http://", "https://", "/", "//")) for value in values)


def _is_availability(column: Column) -> bool:
    values = column.values.slice(0, 1000).to_pylist()
    return bool(values) and all(attribute_values.available(value) is not None for value in values)


def _separator(columns: list[Column], found: dict[str, str]) -> dict[str, str]:
    for role in ("categories", "prefers"):
        for column in columns:
            if column.name == found.get(role) and (sign := guessing.separator_of(column)):
                return {"tree" if sign == ">" and role == "categories" else "separator": sign}
    return {}
