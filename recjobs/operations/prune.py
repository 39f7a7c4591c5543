"""Remove old lists, then artifacts, then records. Kept are the latest five published batches, the live one and the one
that a roll-back goes to, their models and the champion's, and what the catalog's `keep` says."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from recjobs.adapters import exported_files, migrations
from recjobs.adapters.postgres import Database, Session
from recjobs.catalog.file import Catalog
from recjobs.config import Settings, load_settings
from recjobs.core.retention import ALL
from recjobs.errors import Locked
from recjobs.night.night import database, registry
from recjobs.night.runner import measured
from recjobs.operations.garbage_collection import Garbage, find_garbage, needed_by_database

KEEP = 5
RECORDS = ("evaluation_records", "finding_records", "drift_records", "step_records", "report_records")


def run(catalog: Catalog, dry_run: bool = False) -> dict[str, Any]:
    """Prune, finishing first what an earlier run left unfinished; a second time changes nothing.

    Readers are never locked out: partitions are detached concurrently, and a reader that holds one makes this wait at
    most `lock_timeout`. Raises Locked then, while a pointer moves, and while another process prunes this catalog; the
    next run continues. dry_run: only list what would be removed.
    """
    settings = load_settings()
    owner = database(catalog, "owner")
    with measured("prune", catalog) as metrics:
        migrations.migrate_catalog(owner, catalog.description)  # as `begin` does: before a first night nothing is there
        with nullcontext() if dry_run else alone(owner), owner.connect() as session:
            session.rows("become_owner")
            batches = [row["batch_id"] for row in session.rows("prunable_batches", keep=KEEP)]
            if not dry_run:
                batches = [batch_id for batch_id in batches if _prune_lists(session, batch_id)]
            # Files go only once Postgres calls their batch pruned: a batch to roll back to is always complete.
            garbage = find_garbage(session, settings, catalog, set(batches))
            if not dry_run:
                _prune_artifacts(session, garbage)
            query = "count_old_records" if dry_run else "delete_old_records"
            nights = dict.fromkeys(RECORDS, catalog.keep.records) | {"rejected_records": catalog.keep.rejected_rows}
            counts = {table: session.rows(query, {"table": table}, nights=n) for table, n in nights.items()}
            records = {table: int(rows[0]["n"]) for table, rows in counts.items()}
            # of all catalogs: whoever comes first
            audit = session.rows("old_audit" if dry_run else "prune_audit", days=settings.audit_days)
            records["audit_records"] = int(audit[0]["n"])
            runs = _prune_mlflow(session, catalog, dry_run)
        exports = _prune_exports(settings, catalog, dry_run)
        artifacts = garbage.to_json()
        n_bytes = sum(each["bytes"] for each in artifacts)
        if not dry_run:
            metrics.gauge("batches", len(batches))
            metrics.gauge("bytes", n_bytes)
            metrics.gauge("records", sum(records.values()))
    return {
        "catalog": catalog.name,
        "dry_run": dry_run,
        "pruned": batches,
        "artifacts": artifacts,
        "bytes": n_bytes,
        "records": {table: n for table, n in records.items() if n},
        "mlflow": runs,
        "exports": exports,
    }


def _prune_exports(settings: Settings, catalog: Catalog, dry_run: bool) -> int:
    if settings.export_days is None:
        return 0
    before = datetime.now(UTC) - timedelta(days=settings.export_days)
    return exported_files.remove_before(settings.state, catalog.name, before, dry_run)


@contextmanager
def alone(owner: Database) -> Iterator[None]:
    """Let nobody prune this catalog in the block. Raises Locked if another process does."""
    with owner.connect() as turn, turn.transaction():
        turn.rows("become_owner")
        turn.rows("keep_turn")
        if not turn.call("lock_pruning"):
            raise Locked(f"another process is pruning {owner.catalog} right now; what it leaves, the next try removes")
        yield


def _prune_lists(session: Session, batch_id: str) -> bool:
    with session.transaction():  # nobody rolls back to it meanwhile, nor afterwards
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


def _prune_artifacts(session: Session, garbage: Garbage) -> None:
    for night in garbage.nights:
        if "refit" not in night.parts or _unregister_model(session, garbage, night.name):
            garbage.store.remove_night(night)
    for study in garbage.studies:
        garbage.store.remove_study(study.name)
    for result in garbage.inputs:
        garbage.store.remove_input(result.name)


def _prune_mlflow(session: Session, catalog: Catalog, dry_run: bool) -> dict[str, int]:
    """Remove old runs from MLflow, whose import takes seconds: only where something can be so old."""
    before = datetime.now(UTC) - timedelta(days=catalog.keep.mlflow_days)
    if not session.row("began_before", before=before):
        return {}
    kept = {batch_id for batch_id, _ in needed_by_database(session, set())}
    return registry(catalog).prune(kept, before, dry_run)


def _unregister_model(session: Session, garbage: Garbage, batch_id: str) -> bool:
    """Make a night's model unavailable for promotion; False if it was promoted just now."""
    with session.transaction():
        session.call("take_turn")
        if any(night == batch_id and parts & {"refit", *ALL} for night, parts in needed_by_database(session, set())):
            return False
        garbage.store.undo_step(batch_id, "refit")
    return True
