"""What the steps of a night cost: noted as each ends, beside its files, and read by the plans of later nights."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recjobs import NIGHT
from recjobs.core.estimate import Cost, Past, Size

if TYPE_CHECKING:
    from recjobs.adapters.artifact_store import ArtifactStore
    from recjobs.night.handovers import Handovers
    from recjobs.night.night import Night

NIGHTS = 3
"""The last nights whose costs count."""
LOOKED_AT = 10
"""The last nights that are looked at, as those that stopped early have few costs or none."""
NAME = "cost.json"

log = logging.getLogger(__name__)


@contextmanager
def note_cost(night: "Night", step: str) -> Iterator[None]:
    """Write how long a step took, how long it computed (in all threads), and how much memory it had at most. A failure
    to do so fails no night.

    Nothing of a step that was finished before: most of it was there already.
    """
    from recjobs.adapters import machine

    was_done = night.is_done(step)
    machine.give_back()
    machine.forget_peak()
    began, computed = time.monotonic(), time.process_time()
    yield
    if was_done:
        return
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - computed
    cost = {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3), "peak_bytes": machine.peak_bytes()}
    try:
        night.files.note(step, NAME, cost)
    except Exception as error:
        log.warning("what step %s of %s took could not be noted: %s", step, night.batch_id, error)


def past_nights(store: "ArtifactStore", nights: list["Handovers"], engine: str = "local") -> Iterator[Past]:
    """Yield what the last nights on an engine cost, newest first; those of an older version, which noted nothing, are
    left out."""
    n_found = 0
    for night in reversed(nights[-LOOKED_AT:]):
        if n_found < NIGHTS and (past := _past(night, engine)):
            n_found += 1
            yield past


def _past(night: "Handovers", engine: str) -> Past | None:
    try:
        if night.stored_request()["catalog"].get("engine", "local") != engine:
            return None
        size = size_of(night)
        sizes = night.files.sizes()
        noted = {step: night.files.noted(step, NAME) for step in NIGHT if step in sizes}
    except Exception as error:  # a request of an older version, or files that are gone
        log.debug("what %s cost is not known: %s", night.batch_id, error)
        return None
    # A step that noted nothing may be half done.
    steps = {step: Cost(of.get("seconds"), of.get("peak_bytes"), sizes[step]) for step, of in noted.items() if of}
    return Past(night.batch_id, size, steps) if steps else None


def size_of(night: "Handovers") -> Size:
    """What a validated night worked on. Raises ModelRefused if it was not validated."""
    counts, catalog = night.input_account().counts, night.stored_request()["catalog"]
    return Size(
        rows=counts["read"],
        interactions=counts["accepted"] + counts["carried"],
        users=counts["users"],
        items=counts["items"],
        stored=catalog["top_n"]["stored"],
        factors=catalog["model"]["factors"],
    )
