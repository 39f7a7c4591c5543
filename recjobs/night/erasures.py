"""Who was erased from a catalog: nights leave them out, and none of their steps begins while files are rewritten."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from recjobs.adapters.postgres import Database
from recjobs.catalog.names import Named
from recjobs.config import load_settings
from recjobs.errors import BadConfiguration, Locked, RecjobsError

if TYPE_CHECKING:
    from recjobs.core.rows.people import ErasedPeople
    from recjobs.night.night import Night

log = logging.getLogger(__name__)
Seen = tuple[list[str], bool] | None
"""The hashes of the people who were erased by an instant, and whether files were being rewritten; None: unknown."""


def erased_people(catalog: Named) -> "ErasedPeople":
    """The people whom a night leaves out; nobody where there is no database, or no schema of the catalog yet.

    Raises SystemAway if Postgres does not answer: a night must not bring anybody back.
    """
    from recjobs.core.rows.people import ErasedPeople

    row = _erasures(catalog)
    return ErasedPeople(tuple(row["salts"]), frozenset(row["people"])) if row else ErasedPeople()


@contextmanager
def begun_unless_erased(catalog: Named, begun: dict[str, Any]) -> Iterator[None]:
    """Finish interrupted erasures, then begin a night; undo that if somebody was erased meanwhile: its request may name
    a model by its hash of before. begun: see `recjobs.night.runner.beginning`.
    """
    _finish(catalog)
    before = _seen(catalog)
    yield
    if begun["is_first"] and before is not None and _seen(catalog) not in (before, None):
        from recjobs.adapters.artifact_store import ArtifactStore

        ArtifactStore(load_settings().artifacts, catalog.name).undo_step(str(begun["batch_id"]), "begin")
        raise _meanwhile(catalog, "begin", str(begun["batch_id"]))


def _finish(catalog: Named) -> None:
    """Finish what an interrupted erasure has left. Raises Locked if that cannot be done."""
    try:
        row = _erasures(catalog, 2)
    except RecjobsError:
        return  # what needs Postgres says so
    if not row or not row["is_open"]:
        return
    try:
        finished = import_module("recjobs.operations.erase_user").finish(catalog)
    except RecjobsError as error:
        if row["is_blocking"]:
            raise _blocked(catalog, str(error)) from error
        log.warning("an erasure from %s has not ended: %s", catalog.name, error)
    else:
        log.warning("%d interrupted erasure(s) from %s were finished", len(finished), catalog.name)


@contextmanager
def unless_erased(night: "Night", step: str) -> Iterator[None]:
    """Begin no step while a person is being erased, and undo one during which somebody was: it is run again then.

    The step must be noted as running before: an erasure that begins then waits for it.
    """
    before = _seen(night.catalog)
    if before and before[1]:
        raise _blocked(night.catalog, "if that was interrupted, run the same `recjobs erase-user` again")
    try:
        yield
    except OSError as error:  # its folder is gone
        if before is not None and _seen(night.catalog) not in (before, None):
            raise _meanwhile(night.catalog, step, night.batch_id) from error
        raise
    if step != "publish" and before is not None and _seen(night.catalog) not in (before, None):
        night.store.undo_step(night.batch_id, step)
        raise _meanwhile(night.catalog, step, night.batch_id)


def _seen(catalog: Named) -> Seen:
    """What is known now. Where Postgres does not answer, nobody can be erased."""
    try:
        row = _erasures(catalog, 2)
    except RecjobsError:
        return None
    return (row["people"], row["is_blocking"]) if row else None


def _blocked(catalog: Named, why: str) -> Locked:
    return Locked(f"a person is being erased from {catalog.name}: {why}")


def _meanwhile(catalog: Named, step: str, batch_id: str) -> Locked:
    return Locked(
        f"a person was erased from {catalog.name} while {step} of {batch_id} ran, and what it wrote may hold them: it "
        "was undone, run it again"
    )


def _erasures(catalog: Named, seconds: int = 10) -> dict[str, Any] | None:
    try:
        url = load_settings().url_of("publisher")
    except BadConfiguration:
        return None
    with Database(url, catalog.name, seconds).connect() as session:
        if not (session.row("has_erasures") or {})["known"]:
            return None
        row: dict[str, Any] = session.call("erasures_to_apply")
        return row
