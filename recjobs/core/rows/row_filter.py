"""Conditions on the raw columns of a source, evaluated on whole columns at a time."""

from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.errors import ColumnRefused


class Condition(Protocol):
    """One condition on one column; exactly one of the attributes after `column` is set."""

    @property
    def column(self) -> str: ...
    @property
    def is_empty(self) -> bool | None: ...
    @property
    def matches(self) -> str | None: ...
    @property
    def not_matches(self) -> str | None: ...
    @property
    def equals(self) -> str | None: ...
    @property
    def at_most(self) -> float | None: ...
    @property
    def at_least(self) -> float | None: ...


def meets(values: pa.Array, rule: Condition) -> pa.Array:
    """Whether each value meets the rule, as booleans without nulls. An empty value meets only `is_empty`.

    Numbers in text that cannot be read as numbers meet neither `at_most` nor `at_least`.
    """
    if rule.is_empty:
        empty = pc.is_null(values)
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            empty = pc.or_(empty, pc.equal(pc.utf8_trim_whitespace(pc.fill_null(values, "")), ""))
        return empty
    if rule.matches is not None or rule.not_matches is not None or rule.equals is not None:
        text = values.cast(pa.string())
        if rule.equals is not None:
            result = pc.equal(text, rule.equals)
        elif rule.matches is not None:
            result = pc.match_substring_regex(text, rule.matches)
        else:
            result = pc.invert(pc.match_substring_regex(text, rule.not_matches))
    else:
        numbers = as_numbers(values, rule.column)
        result = (
            pc.less_equal(numbers, rule.at_most)
            if rule.at_most is not None
            else pc.greater_equal(numbers, rule.at_least)
        )
    return pc.fill_null(result, False)


def as_numbers(values: pa.Array, column: str) -> pa.Array:
    """Values as float64; null where there is none or the text is no number.

    Raises ColumnRefused for a type, such as a timestamp, that is no number at all.
    """
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        # Whole numbers beyond 2**53, such as ids of categories, are not exact as float64, which a comparison can bear.
        try:  # a fifth of the time
            numbers = values.cast(pa.float64())
            return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
        except pa.ArrowInvalid:  # pandas reads more, such as spaces around a number, and leaves out what is none
            import pandas as pd

            coerced = pd.to_numeric(values.to_pandas(), errors="coerce").astype("float64")
            return pa.array(coerced, pa.float64(), from_pandas=True)
    try:
        return values.cast(pa.float64(), safe=False)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise ColumnRefused(f"has type {values.type}, which holds no numbers", column) from None
