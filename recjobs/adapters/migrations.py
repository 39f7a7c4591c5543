"""yoyo applies `sql/migrations`, plain SQL in numbered files, to the database and to each catalog's schema. Then each
function, view and role's grants whose text changed is applied: `sql/functions`, `sql/views`, `sql/grants`."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import psycopg2
from psycopg2 import errors, sql
from yoyo import get_backend, read_migrations

from recjobs.adapters.postgres import SQL, Database, Session
from recjobs.errors import BadConfiguration, Defect, Locked

LOCK_SECONDS = 0.1
"""How long one try waits for locks, and readers behind it: half of what a statement of the web app may take."""
TRIES, PAUSE_SECONDS = 20, 1.0

LOWEST = 15
"""The oldest major version of PostgreSQL that catalogs are kept in."""
_BEFORE_16 = (
    (r" with inherit (?:true|false)(?:, set (?:true|false))?;", ";"),
    (r" with inherit false, set true', ", "', "),
    (r"pg_has_role\(current_user, 'recjobs_owner', 'set'\)", "pg_has_role(current_user, 'recjobs_owner', 'member')"),
    (r"pg_has_role\(current_user, 'pg_use_reserved_connections', '[a-z ]+'\)", "false"),
    (r"grant pg_use_reserved_connections to [a-z_, ]+;", "null;"),
)
"""What migrations that have landed say as no PostgreSQL before 16 can read it, and what they say there instead.

A role then inherits what its own attribute says, which is the same; whoever is a member of a role may also become it;
and there are no reserved connections.
"""

_MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
_INCOMPATIBLE = (errors.InvalidTableDefinition, errors.InvalidFunctionDefinition)
log = logging.getLogger(__name__)


def migrate_database(database: Database) -> int:
    """Create the roles, once a server, and withhold what every role of the server may call. Returns how many migrations
    were applied.

    Who runs this has more rights than those whose objects it may meet, so it looks for names in `pg_catalog`, and for
    yoyo's tables in `public`, in which nobody else may have code. Raises BadConfiguration if somebody has, and for a
    server older than LOWEST.
    """
    with database.connect() as session:
        if session.major_version < LOWEST:
            raise BadConfiguration(
                f"this server is PostgreSQL {session.major_version}; the oldest that recjobs works with is {LOWEST}"
            )
        if foreign := session.rows("foreign_code"):
            what = ", ".join(f"{row['object']} of {row['owner']}" for row in foreign)
            raise BadConfiguration(f"schema public holds {what}, which a migration could call: drop it, or move it")
        with _alone(session, database.url, "public") as backend:
            applied = _apply("database", backend)
        for row in session.rows("open_to_everybody"):
            with suppress(errors.InsufficientPrivilege):
                session.run(sql.SQL(row["statement"]))
        if left := [row["statement"] for row in session.rows("open_to_everybody")]:
            log.warning("what only a superuser may withhold is left open; run as one: %s", "; ".join(left))
        return applied


def migrate_catalog(database: Database, description: str | None) -> int:
    """Bring one catalog's schema up to date, as recjobs_owner. Returns how many migrations and objects were applied.

    description: of the schema; None keeps the one there. Raises Locked while a transaction holds a table or a view that
    changes, Defect for an object that cannot replace the one there and for a migration applied with another text.
    """
    assert database.catalog  # noqa: S101 - for mypy: callers name one
    with database.connect() as session:
        schema = sql.Identifier(database.catalog)
        session.run(sql.SQL("set role recjobs_owner"))
        with suppress(errors.UniqueViolation):  # another process has just made it
            session.run(sql.SQL("create schema if not exists {}").format(schema))
        if description is not None:
            session.run(sql.SQL("comment on schema {} is {}").format(schema, sql.Literal(description)))
        with _alone(session, database.url, database.catalog, "recjobs_owner") as backend, database.connect() as objects:
            objects.run(sql.SQL("set role recjobs_owner"))
            return _apply("catalog", backend, database.catalog) + _apply_objects(objects, database.catalog)


@contextmanager
def _alone(session: Session, url: str, schema: str, role: str = "") -> Iterator[Any]:
    """yoyo on one schema, whose tables it makes, while no other process migrates it."""
    options = f"-c search_path={schema},pg_temp" + (f" -c role={role}" if role else "")
    arguments = psycopg2.extensions.parse_dsn(url) | {"options": options}
    backend = get_backend(f"postgresql:///?{urlencode(arguments)}")
    try:
        with session.transaction():
            session.rows("migration_lock", {"schema": schema})
            # yoyo's own lock is a row, which a killed process leaves behind for ever; ours goes with the connection.
            backend.break_lock()
            yield backend
    finally:
        backend.connection.close()


def _apply(which: str, backend: Any, catalog: str = "") -> int:
    paths = sorted((SQL / "migrations" / which).glob("*.sql"))
    hashes = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    session = Session(backend.connection)
    is_noted = _notes_migrations(session)
    if is_noted and (changed := [row["migration_id"] for row in session.rows("changed_migrations", hashes=hashes)]):
        raise Defect(
            f"sql/migrations/{which}: {', '.join(changed)} was applied with another text than it has now. Put that "
            "text back; what it should change is a new migration"
        )
    with ExitStack() as older:
        folder = SQL / "migrations" / which
        if session.major_version < 16:
            folder = _before_16(paths, Path(older.enter_context(TemporaryDirectory())))
        outstanding = backend.to_apply(read_migrations(str(folder)))
        for migration in outstanding:
            migration.load()

    # One transaction for all, and for what yoyo notes of them. Its own apply_migrations commits each, and the note
    # later: a kill in between leaves tables that the next try wants to create again.
    def apply() -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        with backend.transaction():
            if catalog and not is_noted:
                session.rows("repair_catalog")
            for migration in outstanding:
                if catalog:
                    _limit_lock_waits(session, deadline)
                migration.process_steps(backend, "apply")
                backend.log_migration(migration, "apply")
                backend.mark_one(migration, log=False)
            if _notes_migrations(session):
                session.rows("note_migrations", hashes=hashes)

    names = ", ".join(migration.id for migration in outstanding)
    _try(apply, f"catalog {catalog}: a table that changes is in use (by {names})")
    return len(outstanding)


def _try(apply: Callable[[], None], in_use: str) -> None:
    """Do it in a transaction, anew as often as it does not get its locks; raises Locked in the end."""
    for left in reversed(range(TRIES)):
        try:
            apply()
            return
        except errors.LockNotAvailable as error:
            if not left:
                raise Locked(
                    f"{in_use}, also at try {TRIES}. "
                    "End the transaction that holds it, see pg_locks and pg_stat_activity; then `recjobs migrate`"
                ) from error
            time.sleep(PAUSE_SECONDS)


def _limit_lock_waits(session: Session, deadline: float) -> None:
    left_ms = max(1, round((deadline - time.monotonic()) * 1000))
    session.run(sql.SQL("set local lock_timeout = {}").format(sql.Literal(left_ms)))


def _before_16(paths: list[Path], folder: Path) -> Path:
    """Write these migrations to a folder as a PostgreSQL before 16 can read them."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for pattern, replacement in _BEFORE_16:
            text = re.sub(pattern, replacement, text)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def _notes_migrations(session: Session) -> bool:
    return session.rows("migrations_noted") == [{"noted": True}]


def _apply_objects(session: Session, catalog: str) -> int:
    paths = [path for folder in ("functions", "views", "grants") for path in sorted((SQL / folder).glob("*.sql"))]
    texts = {f"{path.parent.name}/{path.stem}": path.read_text(encoding="utf-8") for path in paths}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    migrations = [path.stem for path in (SQL / "migrations" / "catalog").glob("*.sql")]
    rows = session.rows("changed_objects", objects=hashes, texts=texts, migrations=migrations)
    if older := sorted(row["name"] for row in rows if row["is_older"]):
        log.warning("catalog %s keeps what newer code made of %s", catalog, ", ".join(older))
    names = {row["name"] for row in rows if not row["is_older"]}
    if lost := sorted(row["name"] for row in rows if row["is_lost"] and not row["is_older"]):
        log.warning("catalog %s gets back what is not there or is another: %s", catalog, ", ".join(lost))
        names |= {name for name in texts if name.startswith("grants/")}  # what is made anew is nobody's
    new = {name: text for name, text in texts.items() if name in names}

    def apply() -> None:
        with session.transaction():
            _apply_in_passes(session, new)
            session.rows("note_objects", objects={name: hashes[name] for name in new})

    if new:
        _try(apply, f"catalog {catalog}: a view that changes is in use (of {', '.join(new)})")
    return len(new)


def _apply_in_passes(session: Session, texts: dict[str, str]) -> None:
    """Apply each text, one that needs another after that; together they wait for locks no longer than LOCK_SECONDS."""
    deadline = time.monotonic() + LOCK_SECONDS
    while texts:
        waiting: dict[str, str] = {}
        for name, text in texts.items():
            try:
                with session.savepoint():
                    _limit_lock_waits(session, deadline)
                    session.run(sql.SQL(text))
            except _MISSING:
                waiting[name] = text
                if len(waiting) == len(texts):
                    raise
            except _INCOMPATIBLE as error:
                rule = "A view only gains columns, at its end; another signature is another function"
                raise Defect(f"sql/{name}.sql: {error.diag.message_primary}. {rule}") from error
        texts = waiting
