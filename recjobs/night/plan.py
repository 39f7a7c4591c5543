"""The plan of a night: what it will work on and need, and whether this machine has that."""

import logging
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from recjobs import LISTS
from recjobs.adapters import machine
from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.postgres import Session
from recjobs.catalog.file import Catalog
from recjobs.config import Settings
from recjobs.core import estimate
from recjobs.core.estimate import Cost, Past, Size
from recjobs.errors import BadConfiguration, DiskFull, RecjobsError
from recjobs.night import counts, room
from recjobs.night.as_of import Inputs
from recjobs.night.costs import past_nights
from recjobs.night.handovers import Handovers
from recjobs.night.night import begun_nights, database

PROBED = 1_000_000
"""Interactions from which on a night that has no earlier one measures the machine's speed as it begins."""
NAME = "plan.json"
"""Beside the night's request: the plan that it began with."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a night needs. nights: those whose costs it was estimated by; speed: this machine's time in that of the
    machine whose rates were taken without them; database_bytes: 0 of a night that publishes nothing."""

    catalog: str
    as_of: datetime
    size: Size
    steps: dict[str, Cost]
    database_bytes: float
    nights: tuple[str, ...]
    speed: float | None

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(cost.seconds or 0 for cost in self.steps.values())

    @property
    def disk_bytes(self) -> float:
        """The files of all steps."""
        return sum(cost.disk_bytes or 0 for cost in self.steps.values())

    @property
    def peak(self) -> tuple[float, str]:
        """The most memory that a step needs, and which step."""
        return max((cost.peak_bytes or 0, step) for step, cost in self.steps.items())

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON: bytes, seconds, counts."""
        memory, step = self.peak
        return {
            "catalog": self.catalog,
            "as_of": self.as_of.isoformat(),
            "size": asdict(self.size),
            "lists": self.size.users,
            "seconds": round(self.seconds, 1),
            "peak_bytes": round(memory),
            "peak_step": step,
            "artifact_bytes": round(self.disk_bytes),
            "database_bytes": round(self.database_bytes),
            "nights": list(self.nights),
            "speed": self.speed and round(self.speed, 2),
            "steps": {name: {k: round(v or 0, 1) for k, v in asdict(of).items()} for name, of in self.steps.items()},
        }


@dataclass(frozen=True)
class Room:
    """What there is: memory and by what it is limited (0: not to be asked); free and all bytes of the artifacts' disk;
    free bytes of Postgres and where. None: not known."""

    memory: tuple[int, str]
    artifacts: tuple[int, int] | None
    database: tuple[int, str] | None


def make(
    catalog: Catalog, settings: Settings, inputs: Inputs, at: datetime, publish: bool, probed: int = PROBED
) -> Plan:
    """Plan the night of these files as of `at`.

    probed: interactions from which on the machine's speed is measured if the catalog has had no night. Raises
    DataRefused if rows have to be counted and cannot be read.
    """
    store = ArtifactStore(settings.artifacts, catalog.name)
    nights = {night.batch_id: night for night in begun_nights(store)}
    past = list(past_nights(store, list(nights.values()), catalog.engine))
    size = counts.expected(catalog, inputs, at, (past[0], nights[past[0].batch_id]) if past else None)
    speed = machine.probe() / estimate.PROBE_SECONDS if not past and size.interactions >= probed else None
    steps = estimate.steps(size, past, speed or 1.0, on_spark=catalog.engine == "spark")
    return Plan(
        catalog=catalog.name,
        as_of=at,
        size=size,
        steps=steps if publish else {step: cost for step, cost in steps.items() if step not in LISTS},
        database_bytes=estimate.in_database(size, _loaded(catalog, settings, past)) if publish else 0.0,
        nights=tuple(night.batch_id for night in past),
        speed=speed,
    )


def look(catalog: Catalog, settings: Settings) -> Room:
    """Return what this machine has."""
    limit = settings.memory
    found: tuple[int, str] | None = None
    with _loader(catalog, settings) as session:
        if session:
            found = room.free(settings, session)
    return Room(
        machine.memory() if limit is None else (int(limit), "RECJOBS_MEMORY"), machine.disk(settings.artifacts), found
    )


def _loaded(catalog: Catalog, settings: Settings, past: list[Past]) -> list[Past]:
    """Those of the nights whose lists are still in Postgres, with the bytes that these take."""
    with _loader(catalog, settings) as session:
        rows = [(night, session.row("batch_bytes", batch_id=night.batch_id)) for night in past] if session else []
    return [replace(night, database_bytes=float(row["bytes"])) for night, row in rows if row and row["bytes"]]


@contextmanager
def _loader(catalog: Catalog, settings: Settings) -> Iterator[Session | None]:
    """A session that may look at the catalog's batches; None where there is no schema yet, or Postgres is away: the
    steps say it better."""
    with ExitStack() as stack:
        session = None
        if settings.loader_url or settings.database_url:
            try:
                session = stack.enter_context(database(catalog, "loader").connect())
            except RecjobsError as error:
                log.debug("Postgres is not asked: %s", error)
        yield session


def lack(plan: Plan, there: Room) -> RecjobsError | None:
    """Return why the night cannot run here: BadConfiguration for what this machine never has, DiskFull for what it has
    not free now; None if it can."""
    night, size = f"the night of {plan.catalog}", plan.size
    (needed, step), (memory, limited_by) = plan.peak, there.memory
    if 0 < memory < needed:
        return BadConfiguration(
            f"{night} needs about {_gib(needed)} of memory in {step} ({size.interactions:,} interactions, "
            f"{size.users:,} users, {size.items:,} items, {size.factors} factors), and it has {_gib(memory)} "
            f"({limited_by}). Give it more, say in RECJOBS_MEMORY what its steps have, or go on with --force REASON"
        )
    if there.artifacts:
        free, whole = there.artifacts
        if whole < plan.disk_bytes:
            return BadConfiguration(
                f"{night} leaves about {_gib(plan.disk_bytes)} of files, and the disk of RECJOBS_ARTIFACTS has "
                f"{_gib(whole)} in all. Name a larger one, or go on with --force REASON"
            )
        if free < plan.disk_bytes:
            return _no_room(night, "for its files", plan.disk_bytes, free, "on the disk of RECJOBS_ARTIFACTS")
    if there.database and plan.database_bytes:
        free, where = there.database
        if free < (least := room.needed(plan.database_bytes)):
            return _no_room(night, "in Postgres", least, free, where)
    return None


def require_room(
    catalog: Catalog,
    settings: Settings,
    inputs: Inputs,
    at: datetime,
    *,
    publish: bool,
    force: str | None,
    done: Collection[str] = (),
) -> Plan | None:
    """Return the plan of the whole night. Raise what `lack` returns of the steps that are not done; with force, warn of
    it. Without an estimate, as of input that cannot be read, the night goes on, and the step that reads it says why."""
    try:
        whole = make(catalog, settings, inputs, at, publish)
        plan = rest_of(whole, done)
        if not plan.steps:
            return whole
        memory, step = plan.peak
        log.info(
            "the plan: %s interactions, %s users, %s items; %.1f minutes, %s of memory in %s, %s of files",
            plan.size.interactions, plan.size.users, plan.size.items, plan.seconds / 60, _gib(memory), step,
            _gib(plan.disk_bytes),
        )  # fmt: skip
        missing = lack(plan, look(catalog, settings))
    except RecjobsError as error:
        log.info("the night goes on without a plan: %s", error)
        return None
    except Exception as error:
        log.warning("the night of %s goes on without a plan: %s", catalog.name, error)
        return None
    if missing and force is None:
        raise missing
    if missing:
        log.warning("%s; it goes on: %s", missing, force)
    return whole


def note(night: Handovers, plan: Plan | None) -> None:
    """Write the plan beside a begun night's request. A failure to do so fails no night."""
    try:
        if plan:
            night.files.note("begin", NAME, plan.to_json())
    except Exception as error:
        log.warning("the plan of %s could not be noted: %s", night.batch_id, error)


def rest_of(plan: Plan, done: Collection[str]) -> Plan:
    """The plan of the steps that are left."""
    steps = {step: cost for step, cost in plan.steps.items() if step not in done}
    return replace(plan, steps=steps, database_bytes=plan.database_bytes if "publish" in steps else 0.0)


def _no_room(night: str, what: str, needed: float, free: int, where: str) -> DiskFull:
    return DiskFull(
        f"a disk is full, nearly: {night} needs about {int(needed) >> 20} MB {what}, and {max(0, free) >> 20} MB are "
        f"free {where}. Nothing was begun; make room, see docs/runbook.md, and run the same command again"
    )


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
