"""Reason codes: every fault of a night's input, what the night does about it, and how to fix it."""

from dataclasses import dataclass
from typing import Literal

MAX_ID_BYTES = 256


@dataclass(frozen=True)
class Reason:
    """One reason code.

    action: what happens to the rows (`quarantined`: set aside in rejected.parquet; `excluded`: no interaction, not
    kept; `merged`: one of equal rows stays) or to the night (`refused`: exit 65; `skipped`: exit 75; `warned`).
    For the night's own codes it is the default, which the catalog's `limits` may change.
    column: the column it is about, or "".
    """

    code: str
    action: Literal["quarantined", "excluded", "merged", "refused", "skipped", "warned"]
    column: str
    meaning: str
    remedy: str

    @property
    def how(self) -> str:
        """The remedy, as a sentence of its own."""
        return self.remedy[0].upper() + self.remedy[1:]


_ID = "export the id as text, without a change"
_TIME = "see `time.unit` and `time.timezone` in the catalog, or the export"

_ALL = (
    Reason("empty_user_id", "quarantined", "user_id", "the user id is empty or missing",
           "export the id, or leave such rows out by a rule of `where`"),
    Reason("user_id_too_long", "quarantined", "user_id", f"the user id has more than {MAX_ID_BYTES} bytes", _ID),
    Reason("user_id_with_nul", "quarantined", "user_id",
           "the user id holds a NUL byte, which Postgres cannot store", _ID),
    Reason("empty_item_id", "quarantined", "item_id", "the item id is empty or missing",
           "export the id, or leave such rows out by a rule of `where`"),
    Reason("item_id_too_long", "quarantined", "item_id", f"the item id has more than {MAX_ID_BYTES} bytes", _ID),
    Reason("item_id_with_nul", "quarantined", "item_id",
           "the item id holds a NUL byte, which Postgres cannot store", _ID),
    Reason("bad_time", "quarantined", "occurred_at", "the time is missing or not as the catalog says", _TIME),
    Reason("time_without_sense", "quarantined", "occurred_at", "the time lies before 1990", _TIME),
    Reason("time_in_future", "quarantined", "occurred_at", "the time lies after the moment the night began", _TIME),
    Reason("bad_weight", "quarantined", "weight", "the weight is missing, not a number, or not finite",
           "export a number, or leave `columns.weight` out: every interaction then weighs 1"),
    Reason("weight_not_positive", "quarantined", "weight", "the weight is zero or negative",
           "leave such rows out by a rule of `where`; a return is a kind with a negative weight"),
    Reason("unknown_kind", "quarantined", "kind", "the kind has no weight in the catalog",
           "give it one in `kinds`, or leave it out by a rule of `where`"),
    Reason("unknown_item", "quarantined", "item_id", "the items' own source does not have the item",
           "export the item as well, or say `items.unknown: accept`, or `train_only`"),
    Reason("after_as_of", "excluded", "occurred_at", "the interaction came after the night's as_of",
           "nothing to do: a later night takes it along"),
    Reason("rating_too_low", "excluded", "weight", "the rating is below the lowest of `rating_to_weight`",
           "nothing to do, unless the rating should count: lower the first key of `rating_to_weight`"),
    Reason("erased", "excluded", "user_id", "the person was erased on request",
           "nothing to do; the source still has them"),
    Reason("bot", "excluded", "user_id", "the user has more interactions than a person can",
           "nothing to do, unless it is a person: raise `limits.bots`"),
    Reason("nobody", "excluded", "user_id", "the user id stands for nobody, as `limits.nobody` says",
           "nothing to do, unless it is somebody: take the id out of `limits.nobody`"),
    Reason("duplicate", "merged", "", "the row equals another in user, item, time, weight, kind and order",
           "nothing to do; many may mean that an export ran twice, or quantities: `repeats: sum`"),
    Reason("repeat", "merged", "", "the row equals another, and its weight is added to it, as `repeats: sum` says",
           "nothing to do; `repeats: merge` if an export ran twice"),
    Reason("too_few_interactions", "refused", "", "fewer usable interactions than `limits.min_interactions`",
           "fix the source, or `columns`, `time` and `where` in the catalog"),
    Reason("too_many_rejected", "refused", "", "more rows are quarantined than `limits.max_rejected_share` allows",
           "see `recjobs rejected`, and fix the source"),
    Reason("rounded_ids", "refused", "", "ids such as 1.23457E+11, rounded by a spreadsheet: different ids look alike",
           "export them as text, and do not save the file from a spreadsheet"),
    Reason("items_do_not_fit", "refused", "item_id",
           "fewer interactions than `limits.min_known_items` have an item that the items' own source has",
           "write the ids alike in both places"),
    Reason("items_unmatched", "warned", "item_id", "interactions have items that the items' own source does not have",
           "write the ids alike in both places; `items.unknown` says what becomes of items that are really missing"),
    Reason("users_unmatched", "warned", "user_id", "the users' own source lacks most users, or writes ids otherwise",
           "write the ids alike in both places"),
    Reason("likely_nobody", "warned", "user_id",
           "users whose ids may mean nobody, such as nan, NULL, guest, or one with far more rows than all",
           "name them in `limits.nobody` if they are nobody: their rows are left out then"),
    Reason("likely_no_item", "warned", "item_id", "items whose ids may mean none, such as nan or NULL",
           "leave such rows out by a rule of `where` if they mean no item"),
    Reason("place_rows_without_id", "warned", "", "rows of the items' or users' own source have no usable id",
           "export the id; one that is empty, longer than 256 bytes or with a NUL byte is none"),
    Reason("bad_price", "warned", "price", "prices that are no numbers from 0 on; these items have no price",
           "export numbers, or say `decimal: ','` for a decimal comma"),
    Reason("bad_available", "warned", "available", "words for availability that are not known count as unavailable",
           "export true or false, or a number in stock"),
    Reason("unsplit_categories", "warned", "categories", "several categories seem to stand in one",
           "name the sign between them in `items.separator`"),
    Reason("volume_too_low", "refused", "", "far fewer interactions than on the nights before",
           "see whether the export is whole; if it is, `--force REASON` or `limits.volume`"),
    Reason("volume_too_high", "refused", "", "far more interactions than on the nights before",
           "see whether something was exported twice; if not, `--force REASON` or `limits.volume`"),
    Reason("repeated_input", "refused", "", "a live source has the very bytes of the last accepted night",
           "see why the export wrote nothing new, and run the night again after it"),
    Reason("looks_cut", "warned", "occurred_at", "the newest interaction is older than that of the last accepted night",
           "see whether the export is whole"),
    Reason("stale_input", "skipped", "occurred_at", "the newest interaction of a live source is too old",
           "see why the export stopped; the next night takes along what comes late"),
    Reason("late_input", "skipped", "", "the file had not come by the deadline",
           "see to the upstream DAG; when the file is there, trigger the night"),
    Reason("drift_item_mix", "warned", "item_id", "other items are taken than before", "see the plot in the report"),
    Reason("drift_user_activity", "warned", "user_id", "users are more, or less, active than before",
           "see the plot in the report"),
    Reason("drift_kinds", "warned", "kind", "the kinds come in other shares than before", "see the plot in the report"),
    Reason("drift_weights", "warned", "weight", "the weights are others than before",
           "see the plot in the report; a unit may have changed"),
    Reason("drift_hour_of_day", "warned", "occurred_at", "interactions come at other hours than before",
           "see the plot in the report; a timezone may have changed"),
    Reason("drift_unknown_users", "warned", "user_id", "many users whom the last accepted night did not have",
           "see whether ids are written in another way"),
    Reason("drift_unknown_items", "warned", "item_id", "many interactions with items that the last night did not have",
           "see whether ids are written in another way"),
)  # fmt: skip

REASONS = {reason.code: reason for reason in _ALL}
"""Every reason code. A row that breaks several rules has the first in this order."""
QUARANTINE = tuple(reason.code for reason in _ALL if reason.action == "quarantined")
"""The codes of quarantined rows."""


def as_markdown() -> str:
    """The table of docs/data.md."""
    lines = ["| code | what happens | it means | to fix it |", "|---|---|---|---|"]
    lines += [f"| `{r.code}` | {r.action} | {r.meaning} | {r.remedy} |" for r in _ALL]
    return "\n".join(lines)
