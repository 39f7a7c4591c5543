"""The search that precedes a catalog's first night: the key `tune` of a catalog file."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from recjobs.catalog.scalars import Number
from recjobs.catalog.sources import Part

if TYPE_CHECKING:
    from recjobs.catalog.file import Catalog


class Tune(Part):
    """The search before a night without a champion, of a catalog whose `model` names no hyperparameter."""

    first_night_minutes: Annotated[float, Field(ge=0, le=600), Number] = 5
    """How long trials may run; 0: there is no such search. The first trial, the file's recipe, always ends."""
    first_night_trials: Annotated[int, Field(ge=1, le=1000), Number] = 60
    """How many trials there are at most."""


def searches_first(catalog: "Catalog") -> bool:
    """Whether a search precedes the nights of a catalog, as read from its file, until there is a champion.

    It does if `model` names no hyperparameter. `weight_scale`, which `recjobs init` writes, is none: it says what the
    weights are.
    """
    return catalog.tune.first_night_minutes > 0 and catalog.model.model_fields_set <= {"weight_scale"}
