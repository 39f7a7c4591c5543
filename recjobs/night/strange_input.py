"""Findings about an input that can be read, and yet is hardly what was meant."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows import attribute_values, strange_ids
from recjobs.core.rows.accepted_rows import AcceptedRows
from recjobs.core.rows.by_blocks import activity_of, items_of
from recjobs.core.rows.findings import Finding, of_night
from recjobs.core.rows.fit import Fit, fit
from recjobs.core.rows.place_account import PlaceAccount, account
from recjobs.core.rows.validation import as_ids
from recjobs.night.night import Night


def of_ids(night: Night, gathered: AcceptedRows) -> list[Finding]:
    """Return the findings about ids that mean nobody, or that a spreadsheet has rounded."""
    rows, findings = gathered.interactions, []
    bots = pa.array(gathered.bots, pa.string())
    bots_rows = np.full(len(bots), gathered.set_aside // max(1, len(bots)))
    of_users = np.append(activity_of(rows), bots_rows)
    users = pa.concat_arrays([_plain(gathered.user_ids), bots])
    items, of_items = _plain(gathered.item_ids), items_of(rows)
    for reason, ids, counts in (("likely_nobody", users, of_users), ("likely_no_item", items, of_items)):
        likely = strange_ids.nobody(ids, counts, people=ids is users)
        if ids is users:  # bots are far ahead as well, and named already
            likely |= strange_ids.far_ahead(_plain(gathered.user_ids), of_users[: len(gathered.user_ids)])
        if likely:
            findings.append(of_night(reason, "warn", sum(likely.values()), _with_rows(likely)))
    of_kind = {"user": strange_ids.rounded(users, of_users), "item": strange_ids.rounded(items, of_items)}
    if shown := [f"{what} ids are rounded: {_with_rows(found)}" for what, found in of_kind.items() if found]:
        n = max(sum(found.values()) for found in of_kind.values())
        is_much = n > night.catalog.limits.max_rejected_share * int(of_users.sum())
        findings.append(of_night("rounded_ids", "refuse" if is_much else "warn", n, "; ".join(shown)))
    return findings


def of_places(night: Night, gathered: AcceptedRows) -> tuple[list[Finding], dict[str, Any]]:
    """Return the findings about places whose ids do not fit those of the interactions, and the fit of each place."""
    catalog, rows = night.catalog, gathered.interactions
    findings: list[Finding] = []
    fits: dict[str, Any] = {}
    if catalog.items and catalog.items.has_location:
        of_place = _distinct(night.described_rows("items")["item_id"], "item_id")
        found = fit(_plain(gathered.item_ids), items_of(rows), of_place)
        fits["items"] = found.to_json()
        sentence, limit = fit_sentence(found, "item"), catalog.limits.min_known_items
        n_lost = round((1 - found.share) * found.n_rows)
        if found.share < limit:
            of_limit = f"{sentence}; limits.min_known_items allows {limit:.1%}"
            findings.append(of_night("items_do_not_fit", "refuse", n_lost, of_limit))
        elif found.example is not None and (catalog.items.unknown == "accept" or found.cause):
            findings.append(of_night("items_unmatched", "warn", n_lost, sentence))
    if catalog.users:
        of_place = _distinct(night.described_rows("users")["user_id"], "user_id")
        of_users = activity_of(rows)
        taking = of_users > 0  # the others are users of this very place
        found = fit(_plain(gathered.user_ids).filter(pa.array(taking)), of_users[taking], of_place)
        fits["users"] = found.to_json()
        if found.example is not None and (found.cause or found.share < catalog.limits.min_known_items):
            n_lost = round((1 - found.share) * found.n_rows)
            findings.append(of_night("users_unmatched", "warn", n_lost, fit_sentence(found, "user")))
    return findings, fits


def accounts(night: Night) -> tuple[list[Finding], dict[str, PlaceAccount]]:
    """Return the findings about rows without an id, and the account of each place, by `items` and `users`."""
    catalog, found = night.catalog, dict[str, PlaceAccount]()
    if catalog.items and catalog.items.has_location:
        found["items"] = account(night.described_rows("items"), "item_id")
    if catalog.users:
        found["users"] = account(night.described_rows("users"), "user_id")
    return [
        of_night("place_rows_without_id", "warn", one.without_id, f"{what}: {one.sentence}")
        for what, one in found.items()
        if one.without_id
    ], found


def of_attributes(night: Night, attributes: pd.DataFrame) -> list[Finding]:
    """Return the findings about values of items' attributes that were not understood."""
    items = night.catalog.items
    if items is None:
        return []
    findings = [
        of_night(f"bad_{wrong.name}", "warn", wrong.n, _misread(wrong, items.columns.present.get(wrong.name, "")))
        for wrong in attribute_values.misread(attributes)
    ]
    if "categories" in attributes:
        values: Iterable[object] = attributes["categories"].tolist()
        unsplit = attribute_values.unsplit_categories(values, items.separator)
        if unsplit and unsplit[0] != items.tree:
            sign, wrong = unsplit
            sentence = f"{wrong.n} of {wrong.of} items have {sign!r} in their one category, such as {wrong.examples[0]}"
            sentence += f": `items.separator: {sign!r}`"
            sentence += f", or `items.tree: {sign!r}` if it is between levels" if sign in (">", "/") else ""
            findings.append(of_night("unsplit_categories", "warn", wrong.n, sentence))
    return findings


def _misread(wrong: attribute_values.Misread, column: str) -> str:
    what = "are no numbers" if wrong.name == "price" else "are no words for availability, and count as unavailable"
    return f"{wrong.n} of {wrong.of} values of column {column!r} {what}: {', '.join(wrong.examples)}"


def fit_sentence(found: Fit, what: str) -> str:
    """Return how well a place fits, in words; what: `item` or `user`."""
    sentence = (
        f"{found.share:.1%} of the interactions have {'an' if what == 'item' else 'a'} {what} that the {what}s' own "
        f"source has ({found.n_known} of {found.n_ids} {what}s; {found.n_without} of its {found.n_of_place} have no "
        "interaction)"
    )
    if found.example is not None:
        sentence += f": it lacks {found.example!r}"
    if found.example_there is not None:
        sentence += f", and has {found.example_there!r}"
    return f"{sentence}; the likely cause is {found.cause}" if found.cause else sentence


def _with_rows(ids: dict[str, int]) -> str:
    shown = ", ".join(f"{one!r} ({n} rows)" for one, n in list(ids.items())[:5])
    return f"{shown}{f' and {len(ids) - 5} more' if len(ids) > 5 else ''}"


def _plain(ids: pa.Array) -> pa.Array:
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids


def _distinct(ids: pa.ChunkedArray, column: str) -> pa.Array:
    return pc.drop_null(pc.unique(as_ids(ids.combine_chunks(), column)))
