"""Faults of single values: times, weights, kinds and ratings that mean nothing, or not what they seem to."""

from collections.abc import Iterable
from datetime import datetime

from tests.corpus.ground import Ground


def _times(ground: Ground, *times: str) -> None:
    ground.rows(*({"at": at, "user": f"other{n}"} for n, at in enumerate(times)))


def _weights(ground: Ground, *weights: str) -> None:
    ground.rows(*({"quantity": weight, "user": f"other{n}"} for n, weight in enumerate(weights)))


def _epoch(ground: Ground, unit: str, factor: float, *more: str) -> None:
    """Times in numbers: seconds times the factor."""
    ground.rows(
        *({"at": at, "user": f"other{n}"} for n, at in enumerate(more)),
        at=lambda row: round(datetime.fromisoformat(row["at"]).timestamp() * factor),
    )
    ground.source["time"] = {"unit": unit}


def times_in_every_shape_of_the_standard(ground: Ground) -> None:
    days = ("2025-06-01", "20250601T100000Z")
    local = ("2025-06-01 10:00", "2025-06-01T10:00:00")
    offset = ("2025-06-01 10:00:00+00", "2025-06-01T10:00:00+05:30", "2025-06-01T10:00:00-0800")
    _times(ground, *days, *local, *offset, "2025-06-01T10:00:00Z", "2025-06-01T10:00:00.123456789Z")


def times_in_words(ground: Ground) -> None:
    _times(ground, "now", "today", "yesterday", "some day", "Sun Jun  1 2025", "1 June 2025", "noon")


def times_of_other_countries(ground: Ground) -> None:
    _times(ground, "31/12/2024", "12/31/2024 10:00", "31.12.2024", "2024年12月31日", "٢٠٢٤-١٢-٣١")


def times_that_never_were(ground: Ground) -> None:
    _times(ground, "2025-02-30", "2025-13-01", "2025-00-10", "2025-06-01T24:00:00Z", "2025-06-01T25:00:00Z",
           "2025-06-01T10:61:00Z", "2025-06-01T10:00:00+99:00")  # fmt: skip


def time_empty(ground: Ground) -> None:
    _times(ground, "", " ", "null", "NaT")


def time_in_digits_where_text_is_due(ground: Ground) -> None:
    _times(ground, "1748772000", "1748772000000", "45809.41")


def time_with_something_behind_it(ground: Ground) -> None:
    _times(ground, "2025-06-01T10:00:00Z; drop table", "2025-06-01T10:00:00Europe/Rome", "2025-06-01 to 2025-06-02")


def year_0001(ground: Ground) -> None:
    _times(ground, "0001-01-01T00:00:00Z", "0000-00-00 00:00:00")


def year_1970(ground: Ground) -> None:
    _times(ground, "1970-01-01T00:00:00Z", "1899-12-30T00:00:00Z", "1989-12-31T23:59:59Z")


def year_2999(ground: Ground) -> None:
    _times(ground, "2999-01-01T00:00:00Z")


def year_9999(ground: Ground) -> None:
    _times(ground, "9999-12-31T23:59:59Z", "9999-12-31")


def hour_that_a_clock_change_skips(ground: Ground) -> None:
    _times(ground, "2025-03-30T02:30:00", "2025-03-30T02:00:00")
    ground.source["time"] = {"timezone": "Europe/Rome"}


def hour_that_a_clock_change_repeats(ground: Ground) -> None:
    _times(ground, "2024-10-27T02:30:00", "2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00")
    ground.source["time"] = {"timezone": "Europe/Rome"}


def epoch_as_the_catalog_says(ground: Ground) -> None:
    _epoch(ground, "ms", 1000)


def epoch_negative(ground: Ground) -> None:
    _epoch(ground, "s", 1, "-1", "-9999999999")


def epoch_beyond_64_bits(ground: Ground) -> None:
    _epoch(ground, "s", 1, "1e30", str(2**63), "inf")


def epoch_now_and_then_in_milliseconds(ground: Ground) -> None:
    _epoch(ground, "s", 1, "1748772000000", "1748772000001")


def epoch_now_and_then_in_seconds(ground: Ground) -> None:
    _epoch(ground, "ms", 1000, "1748772000", "1748772001")


def epoch_in_milliseconds_throughout(ground: Ground) -> None:
    _epoch(ground, "s", 1000)


def epoch_in_seconds_throughout(ground: Ground) -> None:
    _epoch(ground, "us", 1)


def times_in_no_shape_at_all(ground: Ground) -> None:
    ground.rows(at=lambda _: "?")


def weight_not_finite(ground: Ground) -> None:
    _weights(ground, "nan", "NaN", "inf", "-inf", "Infinity", "1e400", "-1e400")


def weight_beyond_32_bits(ground: Ground) -> None:
    _weights(ground, "1e39", "3.5e38")


def weight_of_nothing(ground: Ground) -> None:
    _weights(ground, "0", "-0", "0.0", "-2", "-1e-3")


def weight_that_32_bits_make_nothing(ground: Ground) -> None:
    _weights(ground, "1e-46", "1e-300", "1e-400")


def weight_empty(ground: Ground) -> None:
    _weights(ground, "", " ", "null")


def weight_in_other_writing(ground: Ground) -> None:
    _weights(ground, "1,5", "1 000", "1.000,50", "1_000", "0x1F", "€1", "two", "true", "١٢", "1/2")


def weight_in_every_writing_of_a_number(ground: Ground) -> None:
    _weights(ground, "1.", ".5", "+3", "1e0", " 2 ", "007", "1E-3")


def weight_bad_in_every_fifth_row(ground: Ground) -> None:
    ground.rows(quantity=lambda row: "-1" if row["user"].endswith(("0", "5")) else "1")


def weight_at_the_edge_of_32_bits(ground: Ground) -> None:
    _weights(ground, "3.4e38", "1e-38")
    ground.tree["model"] |= {"weight_scale": "linear"}


def _kinds(ground: Ground, kinds: Iterable[str]) -> None:
    more = ({"what": kind, "user": f"other{n}"} for n, kind in enumerate(kinds))
    ground.rows(*more, what=lambda row: row.get("what", "purchase"))
    ground.source["columns"] = ground.source["columns"] | {"kind": "what"}
    ground.tree["kinds"] = {"purchase": 1, "view": 0.1, "return": -1}


def kind_unknown(ground: Ground) -> None:
    _kinds(ground, ["theft", "purchase\0", "\ufeffpurchase"])


def kind_empty(ground: Ground) -> None:
    _kinds(ground, ["", " "])


def kind_in_another_case(ground: Ground) -> None:
    _kinds(ground, ["Purchase", "PURCHASE", " purchase", "purchase "])


def kind_known(ground: Ground) -> None:
    _kinds(ground, ["view", "return"])


def kinds_without_a_column(ground: Ground) -> None:
    ground.rows()
    ground.tree["kinds"] = {"purchase": 1}


def rating_too_low(ground: Ground) -> None:
    _weights(ground, "0.999", "0", "-5")
    ground.source["rating_to_weight"] = {1: 1, 5: 2}


def rating_that_is_no_number(ground: Ground) -> None:
    _weights(ground, "nan", "five", "", "inf", "5 stars")
    ground.source["rating_to_weight"] = {1: 1, 5: 2}


def several_faults_in_one_row(ground: Ground) -> None:
    ground.rows({"user": "", "item": "", "at": "never", "quantity": "-1"})
