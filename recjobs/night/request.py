"""The request of a night, pinned when it begins."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from recjobs.catalog.file import Catalog
from recjobs.core.rows.volume import PastNight


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ChampionPin(_Frozen):
    """The champion that a night is compared with, as of its begin."""

    model_version: str
    batch_id: str
    uri: str
    sha256: str
    data_cutoff: datetime
    recipe: dict[str, Any]


class ChallengerPin(_Frozen):
    """The challenger whose recipe a night trains, as of its begin."""

    study_id: str
    recipe: dict[str, Any]
    base_recipe: dict[str, Any]
    value: float
    base_value: float | None


class LivePin(_Frozen):
    """The live batch as of a night's begin: tonight's lists are compared with its lists."""

    batch_id: str
    checksum: str
    input_hash: str
    as_of: datetime | None = None
    live_since: datetime | None = None
    """When it became live, by publishing or rolling back; both are missing in a request of an older version."""


class Request(_Frozen):
    """The request of one night. No step reads other state from outside."""

    batch_id: str
    as_of: datetime
    """Exclusive end of what this night may see."""
    began_at: datetime
    """The clock when the night began; later times in the input lie in the future."""
    overrides: dict[str, Any]
    force: str | None
    """Why to publish despite a refusal, or null."""
    publish: bool
    seed: int
    champion: ChampionPin | None
    challenger: ChallengerPin | None = None
    """The source of the catalog's recipe, if that is not its file."""
    live_batch: LivePin | None = None
    history: tuple[PastNight, ...] = ()
    """Earlier accepted nights, newest first."""
    base: str | None = None
    """The batch to whose accepted interactions tonight's increment is added."""
    input: dict[str, Any]
    """`hash` of all input bytes, and each file's path, size and hash."""
    code_version: str
    kernel: str = ""
    """What the night began on, see `recjobs.core.model.kernel`; empty in a request of an older version."""
    catalog: Catalog
    """The catalog with overrides and the challenger's recipe, as of the begin."""

    def is_same_as(self, stored: dict[str, Any]) -> bool:
        """Whether a stored request equals this one, apart from the clock, the machine and what was in charge. Not
        parsed: an older version of this code may have written it."""
        ignored = {"batch_id", "as_of", "began_at", "kernel", "champion", "live_batch", "history", "base"}
        own = self.model_dump(mode="json", exclude=ignored)
        return own == {key: value for key, value in stored.items() if key not in ignored}
