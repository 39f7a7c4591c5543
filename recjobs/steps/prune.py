"""Drop the lists of old batches. The latest five published stay, and the live one however old."""

from typing import Any

from recjobs.catalog import Catalog
from recjobs.config import load_settings
from recjobs.night import database

KEEP = 5


def run(catalog: Catalog) -> dict[str, Any]:
    """Prune, finishing first what an earlier try left half done; a second time changes nothing.

    Readers are never locked out: partitions are detached concurrently, and a reader that holds one makes this wait at
    most `lock_timeout`. Raises Locked then, and while a pointer moves; the next run goes on.
    """
    pruned = []
    with database(load_settings(), catalog, "owner").connect() as session:
        session.rows("become_owner")
        for batch in session.rows("prunable_batches", keep=KEEP):
            batch_id = batch["batch_id"]
            with session.transaction():  # nobody may roll back to it meanwhile, nor to a pruned one afterwards
                session.rows("take_turn")
                marked = session.row("mark_pruned", batch_id=batch_id)
            if not marked:
                continue
            for part in session.rows("partitions_of_batch", batch_id=batch_id):
                names = {"parent": part["parent"], "partition": part["partition"]}
                if part["detach_pending"]:
                    session.rows("finalize_detach", names)
                elif part["attached"]:
                    session.rows("detach_partition", names)
                session.rows("drop_partition", {"partition": part["partition"]})
            pruned.append(batch_id)
    return {"catalog": catalog.name, "pruned": pruned}
