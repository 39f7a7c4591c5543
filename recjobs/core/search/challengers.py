"""Which challenger a night trains: the recipe that a search found and the gate has not refused yet."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.recipe import Recipe


def in_force(
    challengers: Iterable[dict[str, Any]], in_file: Recipe, champion_cutoff: datetime | None, as_of: datetime
) -> dict[str, Any] | None:
    """The challenger, of rows of the view `challengers` newest first, whose recipe a night trains; None: the file's.

    It is the newest that was found for the recipe of the catalog file as it is now: a changed file is a human's word.
    One that an earlier night refused is out; in the night that refused it, it stays, so that a rerun decides the same.
    One that has seen more than the champion, which can only be after a rollback, would know part of the holdout.
    """
    for row in challengers:
        refused_before = row["state"] == "refused" and parse_batch_id(row["decided_batch"])[0] < as_of
        knows_holdout = champion_cutoff is not None and row["data_cutoff"] > champion_cutoff
        if Recipe.from_json(row["base_recipe"]) == in_file and not refused_before and not knows_holdout:
            return row
    return None
