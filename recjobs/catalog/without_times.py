"""Keys of a catalog file that need times: refused, by name, where a catalog says `time: none`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recjobs.catalog.file import Catalog


def keys_that_need_times(catalog: "Catalog") -> Iterator[str]:
    """The keys that are set to something other than their default and mean nothing without times."""
    defaults = type(catalog).model_fields
    if catalog.recency.half_life_days is not None:
        yield "recency.half_life_days"
    if catalog.model.own_frequency:
        yield "model.own_frequency"
    if catalog.model.own_half_life_days != type(catalog.model).model_fields["own_half_life_days"].default:
        yield "model.own_half_life_days"
    if catalog.after_days is not None:
        yield "seen.after_days"
    if catalog.active_days is not None:
        yield "active_days"
    if catalog.top_n.rotate_after is not None:
        yield "top_n.rotate_after"
    if catalog.holdout_days != defaults["holdout_days"].default:
        yield "holdout_days"
    if catalog.limits.freshness != type(catalog.limits).model_fields["freshness"].default:
        yield "limits.freshness"
    if catalog.limits.drift != type(catalog.limits).model_fields["drift"].default:
        yield "limits.drift"
