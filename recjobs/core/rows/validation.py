"""Row checks, on whole columns: every row is accepted or gets one reason code.

Times are microseconds since 1970 in UTC, ids are text byte for byte.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.reason_codes import MAX_ID_BYTES, QUARANTINE
from recjobs.core.rows.row_filter import as_numbers
from recjobs.errors import ColumnRefused, DataRefused

EARLIEST = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp() * 1e6)
_STARTS_WITH_YEAR = r"^\s*\d{4}"
# An offset stands behind a time of day, else the day of 2011-12-09 were one; Postgres writes whole hours as +00.
_OFFSET = r"[Zz]$|\d[Tt ].*[+-]\d{2}(?::?\d{2})?$"
_NAMED_UTC = r"(\d)\s*(?:UTC|GMT)$"
_UNIT_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True)
class Checked:
    """One record batch after the checks; the arrays are as long as the batch.

    reason: index into QUARANTINE, -1 where the row is sound. order_key: see `order_keys`; None without such a column.
    """

    user_id: pa.Array
    item_id: pa.Array
    occurred_at: np.ndarray
    weight: np.ndarray
    kind: pa.Array
    reason: np.ndarray
    order_key: np.ndarray | None = None


def as_ids(values: pa.Array, column: str) -> pa.Array:
    """Ids as text, byte for byte; integers become decimal digits.

    Raises DataRefused for numbers with a fraction, since 12345678901234567 and its neighbour look alike there.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return as_ids(values.dictionary_decode(), column)
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_integer(kind)
    ):
        return values.cast(pa.string())
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            return values.cast(pa.string())
        except pa.ArrowInvalid:
            raise DataRefused(f"column {column!r} holds ids that are not UTF-8 text") from None
    raise DataRefused(
        f"column {column!r} has type {kind}, which cannot hold ids without changing them: export it as text or integers"
    )


def encoded_ids(values: pa.Array, column: str) -> pa.DictionaryArray:
    """Ids as `as_ids` has them, each distinct one written out once."""
    if pa.types.is_nested(values.type):
        as_ids(values, column)  # refuses it
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices, as_ids(encoded.dictionary, column))


def order_keys(order_ids: pa.Array, column: str = "order_id") -> np.ndarray:
    """A number for each order id, int64: the same for the same text in every night; 0 where it is empty or missing.

    Raises DataRefused as `as_ids` does. Two ids of one user could get the same number: with a million orders of one
    user the probability is 3e-8. Equal ids of two users are two orders.
    """
    encoded = encoded_ids(order_ids, column)
    texts = encoded.dictionary
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True).to_numpy(zero_copy_only=False)
    hashes = pd.util.hash_array(np.array(texts.to_pylist(), object), categorize=False).view(np.int64)
    keys = np.append(np.where(blank, 0, np.where(hashes == 0, 1, hashes)), 0)
    return np.asarray(keys[pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)])


def as_text(values: pa.Array, column: str, what: str) -> pa.Array:
    """Values as text. Raises ColumnRefused for a type, such as a list, that is no text, and for bytes that are not."""
    try:
        return values.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise ColumnRefused(f"has type {values.type}, which holds no {what}: export it as text", column) from None


def as_microseconds(values: pa.Array, unit: str, timezone: str, time_format: str | None = None) -> np.ndarray:
    """Instants as int64 microseconds since 1970 UTC, or the smallest int64 where there is none.

    unit: iso, s, ms or us since 1970, or excel (days since 1899-12-30). time_format: of text, as strptime has it.

    A time without an offset is local to `timezone`; the hour that a clock change repeats is taken as its first pass,
    the one it skips as the instant of the change.
    """
    kind = values.type
    if pa.types.is_date(kind):
        values, kind = values.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms")), pa.timestamp("us")
    if pa.types.is_timestamp(kind):
        values = _within_range(values).cast(pa.timestamp("us", kind.tz), safe=False)
        if kind.tz is None:
            values = _localised(values, timezone)
        return _int64(values.cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    if time_format:
        return _by_format(as_text(values, "occurred_at", "times"), time_format, timezone)
    if unit == "excel":
        return _by_excels_days(as_numbers(values, "occurred_at").to_numpy(zero_copy_only=False), timezone)
    if unit in _UNIT_MICROSECONDS:
        factor = _UNIT_MICROSECONDS[unit]
        if pa.types.is_signed_integer(kind) and not values.null_count and len(values):
            ends = pc.min_max(values).as_py()
            if max(abs(ends["min"]), abs(ends["max"])) < 2**62 // factor:
                return np.asarray(values.to_numpy().astype(np.int64) * factor)
        numbers = as_numbers(values, "occurred_at").to_numpy(zero_copy_only=False)
        sound = np.isfinite(numbers) & (np.abs(numbers) < 2**62 / factor)
        if pa.types.is_integer(kind):
            exact = pc.fill_null(values, 0).to_numpy(zero_copy_only=False).astype(np.int64)
            return np.where(sound, exact * factor, _NONE)
        return np.where(sound, np.where(sound, numbers, 0) * factor, _NONE).astype(np.int64)
    text = as_text(values, "occurred_at", "times")
    # pandas would read "now" and "today" by the clock.
    text = pc.if_else(pc.fill_null(pc.match_substring_regex(text, _STARTS_WITH_YEAR), False), text, None)
    named = pc.or_(pc.ends_with(text, "UTC"), pc.ends_with(text, "GMT"))
    if pc.any(named).as_py():
        text = pc.replace_substring_regex(text, _NAMED_UTC, r"\1Z")
        text = pc.replace_substring_regex(text, r"([+-]\d{2}:?\d{2})Z$", r"\1")
    aware = pc.fill_null(pc.match_substring_regex(text, _OFFSET), False)
    with_offset = pd.to_datetime(pc.if_else(aware, text, None).to_pandas(), errors="coerce", format="ISO8601", utc=True)
    without = pd.to_datetime(pc.if_else(aware, None, text).to_pandas(), errors="coerce", format="ISO8601", utc=True)
    naive = pa.array(without.dt.tz_localize(None).dt.as_unit("us"), pa.timestamp("us"), from_pandas=True)
    local = _int64(_localised(naive, timezone).cast(pa.int64()))
    absolute = _int64(
        pa.array(with_offset.dt.as_unit("us"), pa.timestamp("us", "UTC"), from_pandas=True).cast(pa.int64())
    )
    return np.where(aware.to_numpy(zero_copy_only=False), absolute, local)


def check(
    columns: dict[str, pa.Array],
    unit: str,
    timezone: str,
    now: int,
    kinds: Collection[str],
    known_items: pa.Array | None = None,
    time_format: str | None = None,
) -> Checked:
    """Check one batch of the mapped columns: ids as text, plain or encoded. `weight`, `kind` and `order_id` may be
    absent; without a weight column every row weighs 1.

    kinds: those with a weight; empty: any kind. known_items: the only valid items; None: any item.
    """
    user_id, item_id = columns["user_id"], columns["item_id"]
    n = len(user_id)
    occurred_at = as_microseconds(columns["occurred_at"], unit, timezone, time_format)
    weight = np.ones(n)
    if "weight" in columns:
        weight = as_numbers(columns["weight"], "weight").to_numpy(zero_copy_only=False)
    kind = (
        as_text(columns["kind"], "kind", "kinds")
        if "kind" in columns
        else (pa.repeat(pa.scalar(""), n) if kinds else pa.nulls(n, pa.string()))
    )

    reason = np.full(n, -1, np.int8)

    def mark(code: str, broken: np.ndarray) -> None:
        if broken.any():
            reason[broken & (reason < 0)] = QUARANTINE.index(code)

    for name, ids in (("user_id", user_id), ("item_id", item_id)):
        mark(f"empty_{name}", _of_each(ids, lambda texts: pc.equal(texts, ""), of_none=True))
        mark(f"{name}_too_long", _of_each(ids, lambda texts: pc.greater(pc.binary_length(texts), MAX_ID_BYTES)))
        mark(f"{name}_with_nul", _of_each(ids, lambda texts: pc.match_substring(texts, "\0")))
    mark("bad_time", occurred_at == _NONE)
    mark("time_without_sense", occurred_at < EARLIEST)
    mark("time_in_future", occurred_at > now)
    with np.errstate(over="ignore"):
        kept = weight.astype(np.float32)
    mark("bad_weight", ~np.isfinite(kept))
    mark("weight_not_positive", ~(kept > 0))
    if kinds:
        mark("unknown_kind", ~_true(pc.is_in(kind, pa.array(list(kinds), pa.string()))))
    if known_items is not None:
        mark("unknown_item", ~_of_each(item_id, lambda texts: pc.is_in(texts, known_items)))
    order_key = order_keys(columns["order_id"]) if "order_id" in columns else None
    return Checked(user_id, item_id, occurred_at, weight, kind, reason, order_key)


def is_among(ids: pa.Array, values: Collection[str]) -> np.ndarray:
    """Which ids, plain or encoded, are among the values."""
    return _of_each(ids, lambda texts: pc.is_in(texts, pa.array(list(values), pa.string())))


def weights_of_ratings(ratings: pa.Array, table: dict[float, float]) -> tuple[pa.Array, np.ndarray]:
    """(the weight of each rating: that of the greatest key at or below it; which ratings lie below every key).

    A rating that is no number stays null; one below every key gets the weight of the lowest.
    """
    keys = np.array(sorted(table))
    values = as_numbers(ratings, "weight").to_numpy(zero_copy_only=False)
    place = np.searchsorted(keys, values, side="right") - 1
    sound = np.isfinite(values)
    weights = np.where(sound, np.array([table[key] for key in keys])[np.maximum(place, 0)], np.nan)
    return pa.array(weights), sound & (place < 0)


_NONE = np.iinfo(np.int64).min


def _within_range(values: pa.Array) -> pa.Array:
    """Timestamps clipped to what microseconds can count; those clipped still fail the checks."""
    farthest = {"s": 2**63 // 1_000_000 - 86_400, "ms": 2**63 // 1_000 - 86_400_000}.get(values.type.unit)
    if farthest is None:
        return values
    numbers = pc.min_element_wise(values.cast(pa.int64()), farthest, skip_nulls=False)
    return pc.max_element_wise(numbers, -farthest, skip_nulls=False).cast(values.type)


def _by_format(text: pa.Array, time_format: str, timezone: str) -> np.ndarray:
    has_offset = "%z" in time_format
    parsed = pd.to_datetime(
        pc.utf8_trim_whitespace(text).to_pandas(), format=time_format, errors="coerce", utc=has_offset
    ).dt.as_unit("us")
    if has_offset:
        return _int64(pa.array(parsed, pa.timestamp("us", "UTC"), from_pandas=True).cast(pa.int64()))
    return _int64(_localised(pa.array(parsed, pa.timestamp("us"), from_pandas=True), timezone).cast(pa.int64()))


_EXCELS_1970, _EXCELS_10000 = 25_569, 2_958_466
"""1970-01-01 and 10000-01-01 in Excel's days, which begin on 1899-12-30."""


def _by_excels_days(days: np.ndarray, timezone: str) -> np.ndarray:
    sound = np.isfinite(days) & (days > 0) & (days < _EXCELS_10000)
    # Half a second in a day is the sixth decimal of a number that has about sixteen: milliseconds are sure.
    milliseconds = np.round((np.where(sound, days, _EXCELS_1970) - _EXCELS_1970) * 86_400_000).astype(np.int64)
    naive = pa.array(milliseconds * 1_000).cast(pa.timestamp("us"))
    return np.where(sound, _int64(_localised(naive, timezone).cast(pa.int64())), _NONE)


def _localised(values: pa.Array, timezone: str) -> pa.Array:
    return pc.assume_timezone(values, timezone, ambiguous="earliest", nonexistent="latest")


def _int64(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(values, _NONE).to_numpy(zero_copy_only=False))


def _of_each(ids: pa.Array, ask: Callable[[pa.Array], pa.Array], *, of_none: bool = False) -> np.ndarray:
    """The answer of `ask` for each id, computed once for each distinct one; of_none: the answer for a missing id."""
    encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
    holds = _true(ask(encoded.dictionary))
    if not holds.any() and not (of_none and encoded.null_count):
        return np.zeros(len(ids), bool)
    indices = pc.fill_null(encoded.indices, len(holds)).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(holds, of_none)[indices])


def _true(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)
