"""Who migrates has more rights than the catalogs' owner: what the owner made in a schema of that name is not run."""

from collections.abc import Iterator

import pytest

from recjobs.adapters.migrations import migrate_database
from recjobs.adapters.postgres import Database
from recjobs.errors import BadConfiguration
from tests.worlds import Postgres

SPRING = """
create function admin.spring() returns void language plpgsql as $$
begin
    execute 'alter role recjobs_migrator superuser';
exception when insufficient_privilege then
    null;
end
$$;
"""


def function(name: str, arguments: str, returns: str, value: str) -> str:
    """A function that fits a call of migrate better than that of pg_catalog."""
    body = f"begin perform admin.spring(); return {value}; end"
    return f"create function admin.{name}({arguments}) returns {returns} language plpgsql as $$ {body} $$;"


SAME = function("same", "varchar, varchar", "boolean", "$1::text operator(pg_catalog.=) $2::text")
TRAPS = {
    "function": function("hashtextextended", "text, integer", "bigint", "1")
    + function("format", "text, name", "text", "'select 1'")
    + function("format", "text, text", "text", "'select 1'")
    + function("pg_has_role", "name, text, text", "boolean", "true"),
    "operator": SAME + "create operator admin.= (leftarg = varchar, rightarg = varchar, function = admin.same);",
    "cast": "create type admin.word as enum ('0001-roles');"
    + function("as_text", "admin.word", "text", "'0001-roles'")
    + "create cast (admin.word as text) with function admin.as_text(admin.word) as implicit;"
    "create table admin._yoyo_migration (migration_hash admin.word, migration_id admin.word, applied_at_utc timestamp);"
    "insert into admin._yoyo_migration values ('0001-roles', '0001-roles', now());",
    "type": function("is_good", "text", "boolean", "true")
    + "create domain admin.name as text check (admin.is_good(value));"
    "create domain admin.regnamespace as text check (admin.is_good(value));",
    "table": "create table admin.yoyo_lock (locked integer, ctime timestamp, pid integer);"
    + function("on_change", "", "trigger", "null")
    + "create trigger t before delete or insert on admin.yoyo_lock execute function admin.on_change();",
}


@pytest.fixture(params=TRAPS)
def trap(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[str]:
    """What the owner of the catalogs has made in a schema that is called after the superuser."""
    postgres.rows(
        f"set role recjobs_owner; create schema admin; {SPRING} {TRAPS[request.param]}"
        "grant usage on schema admin to public; grant all on all tables in schema admin to public",
        role="recjobs_migrator",
    )
    try:
        yield str(request.param)
    finally:
        postgres.rows("drop schema admin cascade; alter role recjobs_migrator nosuperuser", role="admin")


def test_the_owner_of_the_catalogs_does_not_become_superuser_by_what_migrate_runs(postgres: Postgres, trap: str):
    migrate_database(Database(postgres.cluster.url()))
    postgres.cluster.start()  # which looks at roles and databases as superuser, too
    assert postgres.rows("select rolsuper from pg_roles where rolname = 'recjobs_migrator'", role="admin") == [
        {"rolsuper": False}
    ]


def test_code_of_others_in_schema_public_is_not_run_but_named(postgres: Postgres):
    make = "create function public.format(text, name) returns text language sql as 'select $1';"
    give = "alter function public.format(text, name) owner to recjobs_reader"
    postgres.rows(f"{make} {give}", role="admin")
    try:
        with pytest.raises(BadConfiguration, match=r"public holds .*format\(text,name\) of recjobs_reader"):
            migrate_database(Database(postgres.cluster.url()))
    finally:
        postgres.rows("drop function public.format(text, name)", role="admin")
    migrate_database(Database(postgres.cluster.url()))


def test_who_connects_without_a_search_path_does_not_search_a_schema_of_their_name(postgres: Postgres):
    found = postgres.rows(
        "select setconfig from pg_db_role_setting as s join pg_database as d on d.oid = s.setdatabase"
        " where d.datname = 'recjobs' and s.setrole = 0",
        role="admin",
    )
    assert found == [{"setconfig": ["search_path=public"]}]
