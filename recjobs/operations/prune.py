"""Remove what old nights left: lists, then artifacts, then records. The latest five published batches stay, and the
live one however old; their models and the champion's; and what the catalog's `keep` says."""

from typing import Any

from recjobs.adapters import migrations
from recjobs.adapters.postgres import Session
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.core.retention import ALL
from recjobs.night.night import database
from recjobs.night.runner import measured
from recjobs.operations.garbage_collection import Leftovers, leftovers, needed_by_database

KEEP = 5
RECORDS = ("evaluation_records", "finding_records", "drift_records", "step_records", "report_records")


def run(catalog: Catalog, dry_run: bool = False) -> dict[str, Any]:
    """Prune, finishing first what an earlier try left half done; a second time changes nothing.

    Readers are never locked out: partitions are detached concurrently, and a reader that holds one makes this wait at
    most `lock_timeout`. Raises Locked then, and while a pointer moves; the next run goes on. dry_run: only say what
    would go.
    """
    with measured("prune", catalog) as metrics:
        result = _prune(catalog, dry_run)
        if not dry_run:
            metrics.gauge("batches", len(result["pruned"]))
            metrics.gauge("bytes", result["bytes"])
            metrics.gauge("records", sum(result["records"].values()))
    return result


def _prune(catalog: Catalog, dry_run: bool) -> dict[str, Any]:
    settings = load_settings()
    owner = database(settings, catalog, "owner")
    migrations.migrate_catalog(owner, catalog.description)  # as `begin` does: a catalog without a night has nothing yet
    with owner.connect() as session:
        session.rows("become_owner")
        batches = [row["batch_id"] for row in session.rows("prunable_batches", keep=KEEP)]
        if not dry_run:
            batches = [batch_id for batch_id in batches if _prune_lists(session, batch_id)]
        # Files of a batch go once Postgres calls it pruned: what may be rolled back to is never half there.
        unneeded = leftovers(session, settings, catalog, set(batches))
        if not dry_run:
            _prune_artifacts(session, unneeded)
        verb = "count_old_records" if dry_run else "delete_old_records"
        nights = dict.fromkeys(RECORDS, catalog.keep.records) | {"rejected_records": catalog.keep.rejected_rows}
        records = {table: _records(session, verb, table, kept) for table, kept in nights.items()}
    gone = unneeded.listed()
    return {
        "catalog": catalog.name,
        "dry_run": dry_run,
        "pruned": batches,
        "artifacts": gone,
        "bytes": sum(each["bytes"] for each in gone),
        "records": {table: n for table, n in records.items() if n},
    }


def _prune_lists(session: Session, batch_id: str) -> bool:
    with session.transaction():  # nobody may roll back to it meanwhile, nor to a pruned one afterwards
        session.call("take_turn")
        marked = session.row("mark_pruned", batch_id=batch_id)
    if not marked:
        return False
    for part in session.rows("partitions_of_batch", batch_id=batch_id):
        names = {"parent": part["parent"], "partition": part["partition"]}
        if part["detach_pending"]:
            session.rows("finalize_detach", names)
        elif part["attached"]:
            session.rows("detach_partition", names)
        session.rows("drop_partition", {"partition": part["partition"]})
    return True


def _prune_artifacts(session: Session, unneeded: Leftovers) -> None:
    for night in unneeded.nights:
        if "refit" not in night.parts or _give_up_model(session, unneeded, night.name):
            unneeded.store.remove_night(night)
    for study in unneeded.studies:
        unneeded.store.remove_study(study.name)
    for result in unneeded.inputs:
        unneeded.store.remove_input(result.name)


def _give_up_model(session: Session, unneeded: Leftovers, batch_id: str) -> bool:
    """Make a night's model no longer promotable, unless it was put in charge just now."""
    with session.transaction():
        session.call("take_turn")
        if any(night == batch_id and parts & {"refit", *ALL} for night, parts in needed_by_database(session, set())):
            return False
        unneeded.store.undo_step(batch_id, "refit")
    return True


def _records(session: Session, verb: str, table: str, nights: int) -> int:
    row = session.row(verb, {"table": table}, nights=nights)
    assert row is not None
    return int(row["n"])
