"""Types of single values in a catalog file, with their constraints."""

import functools
import zoneinfo
from typing import Annotated

from croniter import croniter
from pydantic import AfterValidator, BeforeValidator, Field


def _no_switch(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is a switch where a number is needed")
    return value


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("is no weight: leave the rows out by a rule of `where` instead")
    return value


Number = BeforeValidator(_no_switch)
"""YAML reads `yes` and `on` as true, and true would count as 1."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]
Days = Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False), Number]
"""At most a century, so that dates stay in the range of the libraries."""
NonZero = Annotated[
    float, Field(allow_inf_nan=False, json_schema_extra={"not": {"const": 0}}), Number, AfterValidator(_not_zero)
]
Share = Annotated[float, Field(ge=0, le=1), Number]


@functools.cache
def timezones() -> set[str]:
    """The names of all timezones; to find them reads the folders of the timezone database."""
    return zoneinfo.available_timezones()


def _known_timezone(value: str) -> str:
    if value not in timezones():
        raise ValueError("is no IANA timezone, such as Europe/London")
    return value


Timezone = Annotated[str, AfterValidator(_known_timezone), Field(examples=["Europe/London", "UTC"])]


def _valid_cron(value: str) -> str:
    if not croniter.is_valid(value):
        raise ValueError('is no cron expression, such as "0 3 * * *"')
    return value


Cron = Annotated[str, AfterValidator(_valid_cron), Field(examples=["0 3 * * *"])]
