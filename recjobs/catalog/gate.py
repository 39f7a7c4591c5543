"""Conditions on candidates and finished lists: the keys `gate` and `inspect` of a catalog file."""

from typing import Annotated, Literal

from pydantic import Field

from recjobs.catalog.scalars import Number, Share
from recjobs.catalog.sources import Part


class Gate(Part):
    """When a candidate is refused, and what follows from that. docs/gate.md has the rules."""

    max_relative_drop: Share = 0.05
    """The champion's recipe on fresh data may be this much worse, as long as that is not beyond doubt."""
    max_segment_drop: Share = 0.1
    """Light, medium or heavy users may be served this much worse, or worse within doubt."""
    max_neighbours_drop: Share | None = None
    """The same against item neighbours. null: 0 without a champion, since a refused candidate's users get neighbours'
    lists where those are best; 0.25 with one, since refusing leaves a champion in charge that may be worse still. Where
    neighbours win, let them into the score: `model.blend`."""
    min_coverage: Share = 0.0
    """Share of the items that must stand in at least one list of the holdout's users."""
    max_gini: Share = 1.0
    """Largest Gini coefficient of the items' exposure: 0 is even, 1 is one item only."""
    max_coverage_drop: Share = 0.6
    """How much less coverage than the champion's is allowed, relatively. On `online_retail` another seed has 1% less,
    half the half-life 51%, a model no better than the list of best sellers 78%."""
    max_novelty_drop: Share = 0.05
    """The same of novelty, the mean -log2 of an item's popularity. Other recipes have 1% less, best sellers 9%."""
    max_gini_rise: Share = 0.05
    """How much more Gini than the champion's is allowed."""
    min_overlap_after_refit: Share = 0.1
    """Share of the candidate's lists that must come back after the refit."""
    on_refused: Literal["refresh", "keep"] = "refresh"
    """refresh: new lists from the champion's item factors and tonight's interactions; keep: the live batch stays."""
    approval: Literal["never", "required"] = "never"
    """Whether a person decides when the gate cannot tell a changed recipe from the champion."""
    approval_hours: Annotated[float, Field(gt=0, le=15), Number] = 12
    """How long Airflow waits for the answer; then the champion stays. Its nights end within 20 hours."""


class Inspect(Part):
    """Bounds of the finished lists. Coverage, the top item and the fallback are checked for a model's lists only:
    popular lists are the same for all users by design."""

    min_users_covered: Share = 1.0
    max_short_lists: Share = 0.1
    """Share of lists with fewer items than are served. Not asked of a catalogue with fewer than twice as many."""
    min_coverage: Share = 0.01
    """Share of the eligible items that stand in at least one list."""
    max_top_item_share: Share = 0.5
    """Share of lists that begin with the same item."""
    min_overlap_with_live: Share = 0.05
    """Mean share of a user's first 10 items that the live batch has among its first 10 as well."""
    max_fallback_share: Share = 0.5
    """Share of users for whom the model has no list."""
