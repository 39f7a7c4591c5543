"""yoyo: applies `sql/migrations`, plain SQL in numbered files, to the database and to each catalog's schema."""

from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from yoyo import get_backend, read_migrations

from recjobs.adapters.postgres import Database

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "sql" / "migrations"


def migrate_database(database: Database) -> int:
    """Create the roles, once a server. Returns how many migrations were applied."""
    with database.connect() as session:
        session.rows("migration_lock")
        return _apply("database", database.url, "")


def migrate_catalog(database: Database, description: str) -> int:
    """Bring one catalog's schema up to date, as recjobs_owner. Returns how many migrations were applied."""
    assert database.catalog
    with Database(database.url).connect() as session:
        session.rows("migration_lock")
        schema = sql.Identifier(database.catalog)
        session.run(sql.SQL("set role recjobs_owner"))
        session.run(sql.SQL("create schema if not exists {}").format(schema))
        session.run(sql.SQL("comment on schema {} is {}").format(schema, sql.Literal(description)))
        return _apply("catalog", database.url, f"-c role=recjobs_owner -c search_path={database.catalog},pg_temp")


def _apply(which: str, url: str, options: str) -> int:
    parts = psycopg2.extensions.parse_dsn(url)
    query = {k: v for k, v in parts.items() if k not in ("user", "password", "dbname")} | (
        {"options": options} if options else {}
    )
    login = quote(parts.get("user", ""), safe="") + (
        f":{quote(parts['password'], safe='')}" if "password" in parts else ""
    )
    arguments = "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())
    backend = get_backend(f"postgresql://{login}@/{parts.get('dbname', '')}?{arguments}")
    try:
        # yoyo's own lock is a row, which a killed process leaves behind for ever; ours goes with the connection.
        backend.break_lock()
        outstanding = backend.to_apply(read_migrations(str(MIGRATIONS / which)))
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
