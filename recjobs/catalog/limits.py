"""Checks of the input: the key `limits` of a catalog file."""

from typing import Annotated, Literal

from pydantic import Field

from recjobs.catalog.scalars import Days, Number, Positive, Share
from recjobs.catalog.sources import Part

Action = Literal["refuse", "skip", "warn"]
"""refuse: exit 65; skip: exit 75, Airflow's state skipped; warn: a finding, and the night goes on."""


class Volume(Part):
    """How many interactions are usual, as multiples of the median of the last accepted nights."""

    low: Share | None = None
    """Null: 0.5 of a snapshot, 0.15 of an increment (a shop's Saturday is a fifth of its median day)."""
    high: Positive | None = None
    """Null: 2 times a snapshot, 6 times an increment."""
    nights: Annotated[int, Field(ge=1, le=60), Number] = 7
    by_weekday: bool = False
    """Compare with nights of the same weekday only."""
    action: Action = "refuse"


class Freshness(Part):
    """How old the newest interaction of a live source may be when the night begins."""

    max_age_hours: Annotated[Positive, Field(le=876_000)] = 48
    action: Action = "skip"


class Bots(Part):
    """Which users count as bots, for having too many interactions. All their rows are excluded."""

    max_share: Share = 0.05
    """Of all accepted interactions."""
    max_items_share: Share = 0.9
    """Of all items."""
    min_interactions: Annotated[int, Field(ge=1), Number] = 1000
    """A user with fewer is no bot, however small the catalog."""


class Drift(Part):
    """How far the last days may have moved from those of the last accepted night, as population stability index (PSI).

    Below 0.1 nothing happened, above 0.25 something did.
    """

    window_days: Days = 7
    item_mix: Positive = 0.25
    user_activity: Positive = 0.25
    kinds: Positive = 0.25
    weights: Positive = 0.25
    hour_of_day: Positive = 0.25
    unknown_users: Share = 0.5
    """Share of the window's users that the last accepted night did not have."""
    unknown_items: Share = 0.3
    """Share of the window's interactions with items that the last accepted night did not have."""
    min_interactions: Annotated[int, Field(ge=1), Number] = 1000
    """A window with fewer is not compared."""
    action: Action = "warn"


class Limits(Part):
    """Checks of the input, each of which may stop the night."""

    max_rejected_share: Share = 0.1
    min_interactions: Annotated[int, Field(ge=1), Number] = 1
    min_known_items: Share = 0.5
    """Least share of the interactions whose item the items' own location has."""
    nobody: tuple[str, ...] = ()
    """User ids that stand for nobody, such as guest or "0": their rows are excluded."""
    volume: Volume = Volume()
    freshness: Freshness = Freshness()
    repeated: Action = "refuse"
    """What happens when a live source has the same bytes as the last accepted night."""
    bots: Bots = Bots()
    drift: Drift = Drift()
