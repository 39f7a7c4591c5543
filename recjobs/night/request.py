"""What a night was asked to do, pinned when it began."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from recjobs.catalog.file import Catalog
from recjobs.core.rows.volume import PastNight


class ChampionPin(BaseModel):
    """The champion a night is held against, as it was when the night began."""

    model_config = ConfigDict(frozen=True)

    model_version: str
    batch_id: str
    uri: str
    sha256: str
    data_cutoff: datetime
    recipe: dict[str, Any]


class ChallengerPin(BaseModel):
    """The challenger whose recipe a night trains, as it was when the night began."""

    model_config = ConfigDict(frozen=True)

    study_id: str
    recipe: dict[str, Any]
    base_recipe: dict[str, Any]
    value: float
    base_value: float | None


class LivePin(BaseModel):
    """The live batch as it was when the night began: the lists that tonight's are compared with."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    checksum: str
    input_hash: str


class Request(BaseModel):
    """What one night was asked to do. No step reads anything else of the outside state."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    as_of: datetime
    """Exclusive end of what this night may see."""
    began_at: datetime
    """The clock when the night began; a later time in the input lies in the future."""
    overrides: dict[str, Any]
    force: str | None
    """Why the operator publishes in spite of a refusal, or null."""
    publish: bool
    seed: int
    champion: ChampionPin | None
    challenger: ChallengerPin | None = None
    """Where the recipe of `catalog` is from, if not from its file."""
    live_batch: LivePin | None = None
    history: tuple[PastNight, ...] = ()
    """Earlier accepted nights, newest first: what is usual."""
    base: str | None = None
    """The batch whose accepted interactions tonight's increment is added to."""
    input: dict[str, Any]
    """`hash` of all input bytes, and each file's path, size and hash."""
    code_version: str
    catalog: Catalog
    """The catalog, overrides and the challenger's recipe included, as it was when the night began."""

    def asks_the_same_as(self, stored: dict[str, Any]) -> bool:
        """Whether the night of a request.json was asked the same, whatever the clock and what was in charge then. An
        older version of this code may have stored a request that this one could not read."""
        ignored = {"batch_id", "as_of", "began_at", "champion", "live_batch", "history", "base"}
        asked = self.model_dump(mode="json", exclude=ignored)
        return asked == {key: value for key, value in stored.items() if key not in ignored}
