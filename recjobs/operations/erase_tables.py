"""Take a person out of a catalog's tables: all in one transaction, with the checksums and counts of each batch."""

from typing import Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.postgres import Session
from recjobs.core.rows.people import mentions, without_mentions, without_person
from recjobs.errors import Locked
from recjobs.operations.erase_files import account_without
from recjobs.operations.person_files import PersonInNight

_REPLACES = {
    "finding_records": "replace_example",
    "step_records": "replace_reason",
    "begin_records": "replace_begin_reason",
}
"""Of each table with messages, the query that replaces one."""


def take_out(session: Session, store: ArtifactStore, user_id: str, person: str) -> None:
    """Take a person out of every table. Raises Locked while a process loads or publishes."""
    accounts = dict[str, tuple[dict[str, Any], int]]()
    for files in store.nights():
        if known := account_without(PersonInNight(files.with_refused(), user_id)):
            accounts[files.batch_id] = known
    with session.transaction():
        session.call("take_turn")
        if not session.call("lock_loading"):
            raise Locked("another process is loading a batch right now; run the same command again")
        fewer = set()
        for table in session.rows("tables_of_people"):
            if table["kind"] == "rejected_records":
                session.rows("delete_quarantined", user_id=user_id)
            elif session.rows("delete_person", {"table": table["name"]}, user_id=user_id):
                fewer.add(table["name"])
        for batch in session.rows("batches_with_lists"):
            if batch["table"] in fewer:
                after = session.rows("list_checksum", {"partition": batch["table"]})[0]["checksum"]
                session.rows("note_hash", person=person, old=batch["checksum"], new=after)
                n = accounts[batch["batch_id"]][1] if batch["batch_id"] in accounts else 0
                session.rows("recount_batch", batch_id=batch["batch_id"], checksum=after, n_interactions=n)
        for batch_id, (account, _) in accounts.items():
            counts = {name: account["counts"][name] for name in _COUNTS}
            session.rows("recount_input", batch_id=batch_id, findings=account["findings"], **counts)
        _texts(session, user_id)
        session.rows("tables_are_done", person=person)


_COUNTS = ("excluded", "quarantined", "accepted", "carried", "users")


def _texts(session: Session, user_id: str) -> None:
    for row in session.rows("messages"):
        if mentions(row["text"], user_id):
            text = without_mentions(row["text"], user_id)
            session.rows(
                _REPLACES[row["of"]], batch_id=row["batch_id"], what=row["what"], before=row["text"], text=text
            )
    for row in session.rows("pages", user_id=user_id):
        if (page := without_person(row["html"], user_id)) != row["html"]:
            session.rows("replace_page", batch_id=row["batch_id"], html=page)
