"""The roles and databases of the embedded server."""

import time
from collections.abc import Mapping
from contextlib import closing

import psycopg2
from psycopg2 import sql

from local.errors import NotHealthy

PATIENCE_SECONDS = 60
PINNED = "-c search_path=pg_catalog"
"""The options of a superuser's connection: what others have made in a schema of the superuser's name is not found."""


def fill(url: str, passwords: Mapping[str, str], owners: Mapping[str, str], admin: str) -> None:
    """Create missing roles, with their passwords, and databases, closed to other roles.

    `url` logs in as the superuser `admin`; `owners` names the owner of each database. Migrations grant privileges.
    """
    with closing(_connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for role, password in passwords.items():
            name = sql.Identifier(role)
            cursor.execute("select from pg_roles where rolname = %s", [role])
            if not cursor.rowcount:
                cursor.execute(sql.SQL("create role {}").format(name))
            cursor.execute(sql.SQL("alter role {} login password {}").format(name, sql.Literal(password)))
        for database, owner in owners.items():
            create_database(cursor, database, sql.Identifier(owner))
        closed = [database for database, owner in owners.items() if owner != admin]
        for database in (*closed, "postgres", "template1"):  # else every role may fill the disk with temporary tables
            cursor.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))


def create_database(cursor: psycopg2.extensions.cursor, name: str, owner: sql.Composable) -> None:
    """Create a database unless it exists."""
    cursor.execute("select from pg_database where datname = %s", [name])
    if not cursor.rowcount:
        cursor.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), owner))


def _connect(url: str) -> psycopg2.extensions.connection:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return psycopg2.connect(url, options=PINNED, connect_timeout=5)
        except psycopg2.OperationalError as error:
            if time.monotonic() > deadline:
                raise NotHealthy(f"PostgreSQL does not let us in: {str(error).strip()}") from error
            time.sleep(0.2)
