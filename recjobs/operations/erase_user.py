"""Erase one person: from every table at once, then from the files of all nights, and from the nights to come.

The hash of the user id is noted first, and from then on nights leave the person out. `open_erasures` keeps the user id
until the end, so that whoever finds an erasure that was interrupted can finish it: the same command, or the next night.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.migrations import migrate_catalog
from recjobs.adapters.object_store import rewrite_files
from recjobs.adapters.postgres import Session
from recjobs.catalog.names import Named
from recjobs.config import Settings, load_settings
from recjobs.core.rows.people import ErasedPeople, digest, salted_hash, without_person
from recjobs.errors import Locked, Misuse, RecjobsError
from recjobs.night.catalogs import known_catalog, schemas
from recjobs.night.night import database, registry
from recjobs.operations import erase_tables, export_user
from recjobs.operations.erase_files import replace_checksums, replaced, take_out, without_user
from recjobs.operations.erased_places import (
    note_at_backups,
    stored_ids,
    take_out_exports,
    take_out_results,
)
from recjobs.operations.prune import alone

STAYS = (
    "Postgres: the bytes of removed rows in its files until the space is used again, at the latest by VACUUM FULL; its "
    "log of changes (WAL) until it is recycled or its archive expires",
    "the object store, if it keeps earlier versions of files, until they expire",
    "log files, if a message named the person or Postgres logs statements; files that `recjobs export` wrote on "
    "another machine, or that were changed or copied since, and those of `recjobs export-user`: until you remove them",
    "the source: nights read it, and leave the person out",
)
"""What an erasure does not reach, besides back-ups, and until when."""


def all_catalogs() -> list[str]:
    """The catalogs that the database holds, with or without a file. Raises Misuse if there is none."""
    if not (names := schemas(load_settings())):
        raise Misuse("--all-catalogs: the database has no catalog")
    return names


def run(catalog: Named, user_id: str, *, dry_run: bool = False, ignore_running: bool = False) -> dict[str, Any]:
    """Erase a user id, byte for byte, and return the receipt; with `dry_run` only what is held, in counts.

    Killed or stopped, the same call goes on. ignore_running: do it although a step is noted as running. Raises Misuse
    for an empty id; Locked while a step of a night runs (it then leaves the person out of later ones), and while a
    process loads, publishes, prunes or backs up.
    """
    if not user_id:
        raise Misuse("--user-id must not be empty")
    owner = database(catalog, "owner")
    migrate_catalog(owner, None)
    held = _counts(export_user.run(catalog, user_id, "export_user" if dry_run else "erase_user"))
    if dry_run:
        return {"catalog": catalog.name, "dry_run": True, "held": held}
    with alone(owner), owner.connect() as session:
        session.rows("become_owner")
        salt = session.rows("salt")[0]["salt"]
        person = salted_hash(salt, user_id)
        _finish_others(session, catalog, person)
        _begin(session, catalog, {"person": person, "salt": salt, "about": user_id, "held": held}, ignore_running)
        return _erase(session, catalog, person, user_id, "done")


def finish(catalog: Named) -> list[dict[str, Any]]:
    """Finish every erasure that has begun and has not ended; of one whose user id is not known it is looked for in what
    is held. Returns the receipts. Raises Locked as `run` does."""
    owner = database(catalog, "owner")
    with alone(owner), owner.connect() as session:
        session.rows("become_owner")
        return _finish_others(session, catalog, "")


def _finish_others(session: Session, catalog: Named, person: str) -> list[dict[str, Any]]:
    """Finish those that have begun before: a file must not be changed for two people at once."""
    rows = [row for row in session.rows("open_erasures") if row["person"] != person]
    if not rows:
        return []
    people = ErasedPeople(tuple({row["salt"] for row in rows}), frozenset(row["person"] for row in rows))
    unknown = any(row["about"] is None for row in rows)
    found = people.among(stored_ids(session, catalog)) if unknown else {}
    receipts = []
    for row in rows:
        user_id = row["about"] or found.get(row["person"])
        session.rows("name_erasure", person=row["person"], about=user_id)
        action = "done" if row["about"] else "applied again"
        receipts.append(_erase(session, catalog, row["person"], user_id, action))
    return receipts


def _begin(session: Session, catalog: Named, entry: dict[str, Any], ignore_running: bool) -> None:
    """Note the person first: a step that begins from now on sees it; one that began before is seen here."""
    person = entry["person"]
    was_open = person in {row["person"] for row in session.rows("open_erasures")}
    session.rows("open_erasure", **entry)
    step = session.row("steps_in_progress")
    if step and not ignore_running and not was_open:
        session.rows("give_up_erasure", person=person)
        raise Locked(
            f"{step['step']} of night {step['batch_id']} of {catalog.name} is noted as running since "
            f"{step['started_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC: wait for it, or stop it; if its process was "
            "killed, add --ignore-running. Nights that begin from now on leave the person out"
        )


def _erase(session: Session, catalog: Named, person: str, user_id: str | None, action: str) -> dict[str, Any]:
    settings = load_settings()
    store = ArtifactStore(settings.artifacts, catalog.name)
    [row] = [row for row in session.rows("open_erasures") if row["person"] == person]
    backups = note_at_backups(session, catalog, person, row["salt"])
    files, exports, unread, changes = 0, 0, list[str](), dict[str, str]()
    if user_id is not None:
        if not row["tables_done"]:
            erase_tables.take_out(session, store, user_id, person)
        files, unread = _files(session, store, user_id, person)
        changes = _changes(session, person)
    with session.transaction():
        session.call("take_turn")
        for old, new in changes.items():
            session.rows("replace_model_hash", old=old, new=new)
        session.rows("close_erasure", person=person)
    if user_id is not None:
        rewritten, why = _mlflow(settings, catalog, user_id, changes)
        exports, of_exports = take_out_exports(catalog, user_id)
        files, unread = files + rewritten, unread + why + of_exports
    reached = {"files_rewritten": files, "exports_removed": exports, "unread": unread, "backups": backups}
    return _ended(session, catalog, row, reached, action)


def _counts(export: dict[str, Any]) -> dict[str, int]:
    return {
        "lists": len(export["lists"]),
        "histories": len(export["history"]),
        "quarantined": len(export["quarantined"]),
        "messages": len(export["messages"]),
        "reports": len(export["reports"]),
        "files": len(export["artifacts"]),
        "unreadable": len(export["unreadable"]),
    }


def _files(session: Session, store: ArtifactStore, user_id: str, person: str) -> tuple[int, list[str]]:
    """The files of all nights; then, in all of them, the checksums that have changed."""

    def note(old: str, new: str) -> None:
        session.rows("note_hash", person=person, old=old, new=new)

    rewritten, unread = 0, list[str]()
    for night in store.nights():
        n, why = take_out(night, user_id, person, note)
        rewritten, unread = rewritten + n, unread + why
    changes = _changes(session, person)
    for night in store.nights():
        replace_checksums(night, changes, person)
    return rewritten, unread + take_out_results(store, user_id)


def _changes(session: Session, person: str) -> dict[str, str]:
    return {row["old"]: row["new"] for row in session.rows("noted_hashes", person=person) if row["old"] != row["new"]}


def _mlflow(settings: Settings, catalog: Named, user_id: str, changes: dict[str, str]) -> tuple[int, list[str]]:
    """MLflow's files, then the hashes that its versions are known by."""

    def changed(name: str, content: bytes) -> bytes | None:
        if name.endswith(".npz"):
            return without_user(content, user_id, name)
        if name.endswith(".html"):
            page = content.decode()
            without = without_person(page, user_id)
            return without.encode() if without != page else None
        after = replaced(content, changes)
        return after if after != content else None

    rewritten = rewrite_files(settings.artifacts, f"_mlflow/{catalog.name}", changed)
    try:
        if changes:
            registry(catalog).replace_hashes(changes)
    except RecjobsError as error:  # its versions are found by batch and hash; a night registers the champion again
        return rewritten, [f"MLflow's versions keep the hashes of before: {error}"]
    return rewritten, []


def _ended(
    session: Session, catalog: Named, row: dict[str, Any], reached: dict[str, Any], action: str
) -> dict[str, Any]:
    person = row["person"]
    receipt = {
        "catalog": catalog.name,
        "person": person,
        "erased_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "held": row["held"],
        **reached,
        "batches": {each["batch_id"]: each["checksum"] for each in session.rows("batches_with_lists")},
        "stays": [*_of_backups(reached["backups"]), *STAYS],
    }
    sha256 = _digest(receipt)
    session.rows("end_erasure", person=person, receipt=sha256, action=action)
    for table in session.rows("tables_to_vacuum"):  # the row that kept the user id too
        session.rows("vacuum", {"table": table["name"]})
    return receipt | {"sha256": sha256}


def _of_backups(places: Iterable[dict[str, Any]]) -> Iterator[str]:
    for place in places:
        until = f"until {place['keep']} newer ones are made there" if place["keep"] else "until you remove them"
        names = ", ".join(place["holds"]) or "none now"
        noted = (
            "a restore applies this erasure again"
            if place["noted"]
            else f"the erasure could NOT be noted there ({place['why']}): run the same command again"
        )
        yield f"back-ups in {place['place']} ({names}): {until}; {noted}"
    yield "other copies of database and artifacts, such as WAL archives and snapshots of disks: until they expire"


def check(text: str) -> list[dict[str, Any]]:
    """Return what each receipt in a text proves: that its catalog gave it, that nights leave the person out, and
    whether tables or files hold them now.

    Raises Misuse for a text that is no receipt, was changed, or that the catalog never gave.
    """
    try:
        stored = json.loads(text)
        receipts = [dict(each) for each in stored.get("receipts", [stored])]
        names = [(str(each["catalog"]), str(each["person"]), str(each["sha256"])) for each in receipts]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Misuse("this is no receipt of an erasure") from None
    checked = []
    for receipt, (name, person, stated) in zip(receipts, names, strict=True):
        catalog = known_catalog(name)
        if _digest({key: value for key, value in receipt.items() if key != "sha256"}) != stated:
            raise Misuse(f"this receipt of {name} was changed")
        with database(catalog, "owner").connect() as session:
            session.rows("become_owner")
            entries = session.rows("erasure_entries", person=person, receipt=stated)
            if not entries:
                raise Misuse(f"catalog {name} has no entry of this receipt")
            left_out = session.row("is_left_out", person=person)
            people = ErasedPeople((left_out["salt"],) if left_out else (), frozenset([person]))
            is_found = bool(people.among(stored_ids(session, catalog)))
        checked.append(
            {
                "catalog": name,
                "person": person,
                "erased_at": entries[0]["at"].isoformat(),
                "by": entries[0]["actor"],
                "left_out": bool(left_out),
                "is_found": is_found,
            }
        )
    return checked


def _digest(receipt: dict[str, Any]) -> str:
    return digest(json.dumps(receipt, sort_keys=True))
