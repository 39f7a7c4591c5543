"""How a source writes its times, or that it has none: the key `time` of a source."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic.config import JsonDict

from recjobs.catalog.part import Part
from recjobs.catalog.scalars import Timezone


class Time(Part):
    """How a source writes instants; a time without an offset needs the timezone it was written in."""

    unit: Literal["iso", "s", "ms", "us", "excel", "none"] = "iso"
    """iso: dates and times as ISO 8601 has them; s, ms, us: numbers since 1970; excel: Excel's numbers of days; none:
    there are no times, as `time: none` says too."""
    timezone: Timezone = "UTC"
    format: Annotated[str | None, Field(examples=["%d.%m.%Y %H:%M", "%m/%d/%Y"])] = None
    """How text writes the time, in the signs of strptime, such as "%d.%m.%Y"."""

    @model_validator(mode="after")
    def _is_a_format(self) -> "Time":
        if self.format is None:
            return self
        if self.unit != "iso":
            raise ValueError(f"has both format and unit: {self.unit}; a format is for text, a unit for numbers")
        try:
            datetime.strptime("", self.format)  # noqa: DTZ007 - only the format counts
        except ValueError as error:
            if "does not match" not in str(error):
                raise ValueError(f"format {self.format!r} is no format of a time: {error}") from None
        if not any(sign in self.format for sign in ("%Y", "%y")):
            raise ValueError(f"format {self.format!r} has no year: %Y is one of four digits")
        return self


def _no_times(value: object) -> object:
    return {"unit": "none"} if value == "none" else value


SourceTime = Annotated[Time, BeforeValidator(_no_times, json_schema_input_type=Time | Literal["none"])]
"""A `Time`, or the word none for one whose unit is none."""
_UNIT_NONE: JsonDict = {"type": "object", "properties": {"unit": {"const": "none"}}, "required": ["unit"]}
OCCURRED_AT_UNLESS_NONE: JsonDict = {
    "if": {"properties": {"time": {"anyOf": [{"const": "none"}, _UNIT_NONE]}}, "required": ["time"]},
    "then": {"properties": {"columns": {"properties": {"occurred_at": {"type": "null"}}}}},
    "else": {"properties": {"columns": {"required": ["occurred_at"]}}},
}
"""Of a source, for its JSON schema."""
