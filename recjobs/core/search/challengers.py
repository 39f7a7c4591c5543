"""Which challenger a night trains: the recipe of a search that the gate has not refused yet."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.recipe import Recipe


def challenger_to_train(
    challengers: Iterable[dict[str, Any]], in_file: Recipe, champion_cutoff: datetime | None, as_of: datetime
) -> dict[str, Any] | None:
    """The challenger whose recipe a night trains, of rows of the view `challengers`, newest first; None: the file's.

    It is the newest that was searched from the catalog file's present recipe. One that an earlier night refused is out;
    a rerun of the night that refused it decides the same. One with data later than the champion's cutoff, as after a
    rollback, would know part of the holdout.
    """
    for row in challengers:
        refused_before = row["state"] == "refused" and parse_batch_id(row["decided_batch"])[0] < as_of
        knows_holdout = champion_cutoff is not None and row["data_cutoff"] > champion_cutoff
        if Recipe.from_json(row["base_recipe"]) == in_file and not refused_before and not knows_holdout:
            return row
    return None
