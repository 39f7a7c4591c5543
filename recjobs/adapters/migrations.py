"""yoyo applies `sql/migrations`, plain SQL in numbered files, to the database and to each catalog's schema. Then each
function, view and role's grants whose text changed is applied: `sql/functions`, `sql/views`, `sql/grants`."""

import hashlib
import logging
import time
from urllib.parse import urlencode

import psycopg2
from psycopg2 import errors, sql
from yoyo import get_backend, read_migrations

from recjobs.adapters.postgres import SQL, Database, Session
from recjobs.errors import Defect, Locked

LOCK_SECONDS = 0.1
"""How long one try waits for locks, and readers behind it: half of what a statement of the web app may take."""
TRIES, PAUSE_SECONDS = 20, 1.0

_MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
_INCOMPATIBLE = (errors.InvalidTableDefinition, errors.InvalidFunctionDefinition)
log = logging.getLogger(__name__)


def migrate_database(database: Database) -> int:
    """Create the roles, once a server. Returns how many migrations were applied."""
    with database.connect() as session:
        session.rows("migration_lock")
        return _apply("database", database.url, "")


def migrate_catalog(database: Database, description: str) -> int:
    """Bring one catalog's schema up to date, as recjobs_owner. Returns how many migrations and objects were applied.

    Raises Locked while a transaction holds a view that changes, Defect for an object that cannot replace the one there.
    """
    assert database.catalog
    with database.connect() as session:
        session.rows("migration_lock")
        schema = sql.Identifier(database.catalog)
        session.run(sql.SQL("set role recjobs_owner"))
        session.run(sql.SQL("create schema if not exists {}").format(schema))
        session.run(sql.SQL("comment on schema {} is {}").format(schema, sql.Literal(description)))
        options = f"-c role=recjobs_owner -c search_path={database.catalog},pg_temp"
        return _apply("catalog", database.url, options) + _apply_objects(session, database.catalog)


def _apply(which: str, url: str, options: str) -> int:
    arguments = psycopg2.extensions.parse_dsn(url) | {"options": options}
    backend = get_backend(f"postgresql:///?{urlencode(arguments)}")
    try:
        # yoyo's own lock is a row, which a killed process leaves behind for ever; ours goes with the connection.
        backend.break_lock()
        outstanding = backend.to_apply(read_migrations(str(SQL / "migrations" / which)))
        # One transaction for all, and for what yoyo notes of them. Its own apply_migrations commits each, and the note
        # later: a kill in between leaves tables that the next try wants to create again.
        with backend.transaction():
            for migration in outstanding:
                migration.process_steps(backend, "apply")
                backend.log_migration(migration, "apply")
                backend.mark_one(migration, log=False)
        return len(outstanding)
    finally:
        backend.connection.close()


def _apply_objects(session: Session, catalog: str) -> int:
    paths = [path for folder in ("functions", "views", "grants") for path in sorted((SQL / folder).glob("*.sql"))]
    texts = {f"{path.parent.name}/{path.stem}": path.read_text(encoding="utf-8") for path in paths}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    migrations = [path.stem for path in (SQL / "migrations" / "catalog").glob("*.sql")]
    rows = session.rows("changed_objects", objects=hashes, migrations=migrations)
    if older := sorted(row["name"] for row in rows if row["is_older"]):
        log.warning("catalog %s keeps what newer code made of %s", catalog, ", ".join(older))
    new = {name: text for name, text in texts.items() if {"name": name, "is_older": False} in rows}
    for left in reversed(range(TRIES if new else 0)):
        try:
            with session.transaction():
                _apply_in_passes(session, new)
                session.rows("note_objects", objects={name: hashes[name] for name in new})
            break
        except errors.LockNotAvailable as error:
            if not left:
                raise Locked(
                    f"catalog {catalog}: a view that changes is in use (of {', '.join(new)}), also at try {TRIES}. "
                    "End the transaction that holds it, see pg_locks and pg_stat_activity; then `recjobs migrate`"
                ) from error
            time.sleep(PAUSE_SECONDS)
    return len(new)


def _apply_in_passes(session: Session, texts: dict[str, str]) -> None:
    """Apply each text, one that needs another after that; together they wait for locks no longer than LOCK_SECONDS."""
    deadline = time.monotonic() + LOCK_SECONDS
    while texts:
        waiting: dict[str, str] = {}
        for name, text in texts.items():
            left_ms = max(1, round((deadline - time.monotonic()) * 1000))
            try:
                with session.savepoint():
                    session.run(sql.SQL("set local lock_timeout = {}").format(sql.Literal(left_ms)))
                    session.run(sql.SQL(text))
            except _MISSING:
                waiting[name] = text
                if len(waiting) == len(texts):
                    raise
            except _INCOMPATIBLE as error:
                rule = "A view only gains columns, at its end; another signature is another function"
                raise Defect(f"sql/{name}.sql: {error.diag.message_primary}. {rule}") from error
        texts = waiting
