"""Export all that a catalog holds about one person."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.postgres import Session
from recjobs.catalog.names import Named
from recjobs.config import load_settings
from recjobs.core.rows.people import is_on_page, mentions
from recjobs.errors import Misuse
from recjobs.night import audit
from recjobs.night.night import database
from recjobs.operations.person_files import PersonInNight, as_json, readable


def run(catalog: Named, user_id: str, action: str = "export_user") -> dict[str, Any]:
    """Return what tables and artifacts hold about a user id, byte for byte this one; empty lists if they know nothing.

    action: what it is done for, in the audit. `unreadable` names files that are damaged, and so may hold more.
    """
    with database(catalog, "owner").connect() as session:
        session.rows("become_owner")
        audit.note(session, action, catalog.name, user_id=user_id)
        with session.transaction():  # one instant
            tables = _tables(session, user_id)
            messages = [row for row in session.rows("messages") if mentions(row["text"], user_id)]
            pages = session.rows("pages", user_id=user_id)
    nights, unreadable = [], []
    store = ArtifactStore(load_settings().artifacts, catalog.name)
    for files in store.nights():
        found, reason = readable(PersonInNight(files.with_refused(), user_id))
        nights += [{"batch_id": files.batch_id, **each} for each in found]
        unreadable += [{"batch_id": files.batch_id, "reason": reason}] if reason else []
    return {
        "catalog": catalog.name,
        "user_id": user_id,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lists": tables.pop("top_n", []),
        "history": tables.pop("history_lists", []),
        "quarantined": tables.pop("rejected_records", []),
        **tables,
        "messages": messages,
        "reports": [row["batch_id"] for row in pages if is_on_page(row["html"], user_id)],
        "artifacts": nights,
        "unreadable": unreadable,
    }


def is_empty(result: dict[str, Any]) -> bool:
    """Whether nothing is held about the person."""
    return not any(value for value in result.values() if isinstance(value, list))


def as_text(result: dict[str, Any], indent: int | None = 1) -> str:
    """The result as JSON."""
    return json.dumps(result, indent=indent, default=as_json, ensure_ascii=False)


def write(result: dict[str, Any], to: str) -> None:
    """Write the result to a new file that only its owner may read. Raises Misuse if it is there, or cannot be made."""
    path = Path(to)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Misuse(f"--to {to} is there already; choose another name") from None
    except OSError as error:
        raise Misuse(f"--to {to}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(as_text(result) + "\n")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _tables(session: Session, user_id: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table in session.rows("tables_of_people"):
        rows = session.rows("rows_of_person", {"table": table["name"]}, user_id=user_id)
        found.setdefault(table["kind"], []).extend(row["row"] for row in rows)
    return found
