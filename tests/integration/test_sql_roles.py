"""Who may do what: every right of every role, held against a literal table; and what the roles meet when they try."""

import logging
import os
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest

from recjobs.adapters.migrations import migrate_database
from recjobs.adapters.postgres import Database
from tests.worlds import EARLIER, MakeWorld, Postgres, World

ROLES = (
    "public", "recjobs_migrator", "recjobs_loader", "recjobs_publisher", "recjobs_reader", "recjobs_editor",
    "recjobs_web",
)  # fmt: skip

READABLE = (
    "again_items batches evaluations findings items popular_items promotions publish_log recommendations reports"
    " served_lists inputs drift rejected challengers champions"
    " similar_items together_items user_history steps exposure previous_batch previous_lists previous_items segments"
    " rules rule_log begins kept_recommendations"
    " live_state stored_lists stored_popular written_rules served_rules kept_out worth"
)
RULE = ("kind", "item_id", "category", "segment", "place", "factor", "at_most", "starts_at", "ends_at", "note")
GRANTS = {
    "recjobs_reader": {
        "connect to the database",
        "usage of the schema",
        "usage of schema public",  # for ended_sign_ins
        "execute again",
        "execute basket",
        "execute item_details",
        "execute recommend",
        "execute together",
        "execute trace",
        "execute recommend_narrowed",
        "execute apply_rules",
        *(f"select {view}" for view in READABLE.split()),
    },
    "recjobs_loader": {
        "connect to the database",
        "usage of the schema",
        "select batches",
        "select champion",
        "select a loaded table",
        "execute lock_loading",
        "execute pg_catalog.pg_try_advisory_lock",  # as nights of the release before do
        "execute partition_name",
        "execute record_exposure",
        "execute seal_batch",
        "execute stage_batch",
    },
    "recjobs_publisher": {
        "connect to the database",
        "usage of the schema",
        "select batches",
        "select champion",
        "select inputs",
        "select challengers",
        "select begins",
        "select steps",
        "select worth",
        "execute attach_batch",
        "execute erasures_to_apply",
        "execute record_challenger",
        "execute decide_challenger",
        "execute log_approval",
        "execute note_step",
        "execute note_begin",
        "execute note_reason",
        "execute record_input",
        "execute promote_model",
        "execute publish_batch",
        "execute record_night",
        "execute record_report",
        "execute register_model",
        "execute register_model_version",
        "execute roll_back",
    },
    "recjobs_editor": {
        "connect to the database",
        "usage of the schema",
        "usage of schema public",  # for end_sign_in
        "select batches",
        "select rules",
        "select rule_log",
        *(f"insert rules.{column}" for column in (*RULE, "author")),
        *(f"update rules.{column}" for column in ("ends_at", "note", "removed_at", "removed_by")),
        "execute add_rule",
        "execute remove_rule",
        "execute restore_rule",
        "execute try_rule",
        "execute roll_back",
    },
    "recjobs_migrator": {"connect to the database", "execute pg_catalog.pg_advisory_lock"},
    "public": set(),
}
GRANTS["recjobs_web"] = GRANTS["recjobs_reader"]
"""Everything that a role may do in a catalog after a night. Who owns things, recjobs_owner, cannot log in."""

RIGHTS = (Path(__file__).parent.parent / "rights.sql").read_text()


@pytest.mark.parametrize("role_name", ROLES)
def test_a_role_may_do_exactly_what_the_table_says(published: World, role_name: str):
    found = {row["may"] for row in published.rows(RIGHTS, role_name, role="admin")}
    assert found == GRANTS[role_name]


def test_a_right_that_is_given_away_is_seen(published: World):
    connection = published.postgres.connect("admin", published.name)
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("grant select on live_batch to public")
        cursor.execute("grant insert (reason) on publish_records to recjobs_reader")
        cursor.execute(RIGHTS, ("recjobs_reader",))
        assert {"select live_batch", "insert publish_records.reason"} <= {row[0] for row in cursor.fetchall()}
    connection.rollback()
    connection.close()


def test_public_has_nothing_in_any_database_or_schema_nor_in_what_will_be_made(published: World):
    """Not even a temporary table, in no database of the server: what the roles share, all of them have."""
    databases = published.rows(
        "select d.datname, r.what from pg_database as d, unnest(array['connect', 'create', 'temporary']) as r (what)"
        " where has_database_privilege('public', d.oid, r.what) and d.datallowconn"
        " and d.datname !~ '^(pointer_|shop_of_sql_sources|chiefs)'",  # other tests make these
        role="admin",
    )
    schemas = published.rows(
        "select n.nspname, r.what from pg_namespace as n, unnest(array['usage', 'create']) as r (what)"
        " where has_schema_privilege('public', n.oid, r.what)"
        " and n.nspname not in ('pg_catalog', 'information_schema')",
        role="admin",
    )
    assert (databases, schemas) == ([], [])
    assert published.rows("select defaclacl from pg_default_acl", role="admin") == []


def test_no_role_that_logs_in_is_more_than_it_seems(published: World):
    roles = published.rows(
        "select rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin, rolinherit"
        " from pg_roles where rolname ~ '^recjobs_' order by rolname",
        role="admin",
    )
    for row in roles:
        rights = (row["rolsuper"], row["rolcreaterole"], row["rolcreatedb"], row["rolreplication"], row["rolbypassrls"])
        assert not any(rights), row
        assert row["rolcanlogin"] == (row["rolname"] != "recjobs_owner")
    members = published.rows(
        "select m.rolname as member, r.rolname as role, a.inherit_option as inherits, a.set_option as sets,"
        " a.admin_option as grants from pg_auth_members as a"
        " join pg_roles as r on r.oid = a.roleid join pg_roles as m on m.oid = a.member"
        " where r.rolname ~ '^recjobs_' and not m.rolsuper order by 1",
        role="admin",
    )
    assert members == [
        {"member": "recjobs_migrator", "role": "recjobs_owner", "inherits": False, "sets": True, "grants": False},
        {"member": "recjobs_web", "role": "recjobs_reader", "inherits": True, "sets": False, "grants": False},
    ]


def test_no_role_may_take_all_connections_and_who_rolls_back_or_migrates_has_some_in_reserve(postgres: Postgres):
    limits = postgres.rows(
        "select rolname, rolconnlimit, pg_has_role(oid, 'pg_use_reserved_connections', 'usage') as may_use_reserved"
        " from pg_roles where rolname ~ '^recjobs_' and rolcanlogin order by 1",
        role="admin",
    )
    assert [tuple(row.values()) for row in limits] == [
        ("recjobs_editor", 37, True),
        ("recjobs_loader", 74, False),
        ("recjobs_migrator", 37, True),
        ("recjobs_publisher", 74, True),
        ("recjobs_reader", 112, False),
        ("recjobs_web", 112, False),
    ]
    assert postgres.rows("show reserved_connections", role="admin") == [{"reserved_connections": "10"}]


def connect_on_and_on(held: ExitStack, url: str) -> None:
    for _ in range(200):
        held.enter_context(closing(psycopg2.connect(url)))


def test_however_many_analysts_connect_others_are_let_in(postgres: Postgres):
    with ExitStack() as held:
        with pytest.raises(psycopg2.OperationalError, match="too many connections for role"):
            connect_on_and_on(held, postgres.cluster.url("recjobs_reader"))
        for role in ("recjobs_publisher", "recjobs_editor", "recjobs_migrator", "recjobs_loader"):
            held.enter_context(closing(postgres.connect(role)))
        if os.environ.get("RECJOBS_SOAK"):  # who is nobody of ours takes the rest, but for the reserve
            with pytest.raises(psycopg2.OperationalError, match="reserved for roles"):
                connect_on_and_on(held, postgres.cluster.url("mlflow", "mlflow"))
            held.enter_context(closing(postgres.connect("recjobs_publisher")))


def test_functions_that_run_as_the_owner_pin_their_search_path(published: World):
    functions = published.rows(
        "select proname, prosecdef, proconfig from pg_proc where pronamespace = current_schema()::regnamespace",
        role="admin",
    )
    assert {row["proname"] for row in functions if row["prosecdef"]} == {
        "basket", "recommend_narrowed", "unpopular_items", "erasures_to_apply",
        "attach_batch", "decide_challenger", "note_step", "note_begin", "note_reason", "record_challenger",
        "record_exposure",
        "promote_model", "publish_batch", "record_input", "record_night", "record_report",
        "register_model", "register_model_version", "lock_loading", "log_approval", "log_rule",
        "roll_back", "seal_batch", "stage_batch", "trace",
        "add_rule", "remove_rule", "restore_rule", "try_rule", "apply_rules", "refuse_unknown_names",
        "refresh_rule_items", "follow_rules", "follow_pointer",
    }  # fmt: skip
    for row in functions:
        if row["prosecdef"]:
            more = ["default_statistics_target=25"] if row["proname"] == "seal_batch" else []
            assert row["proconfig"] == [f"search_path={published.name},pg_temp", *more], row


FORBIDDEN = {
    "recjobs_reader": [
        "select * from top_n",
        "select * from batch_records",
        "select * from champion",
        "select publish_batch('x', null, true, 'x')",
        "select roll_back(null, 'x')",
        "create temp table t (n int)",
        "create table t (n int)",
        "insert into publish_log (action) values ('publish')",
        "update batches set n_users = 0",
        "set role recjobs_owner",
        "set session authorization recjobs_owner",
        "copy top_n to '/tmp/x'",
        "select lock_loading()",
        "select * from locks for update",
        "do $$ begin lock table locks; end $$",
        "select pg_create_physical_replication_slot('x', true)",
        "select pg_drop_replication_slot('x')",
        "select pg_current_xact_id()",
        "select pg_advisory_lock(1)",
        "select pg_try_advisory_xact_lock_shared(1, 2)",
        "select lo_from_bytea(0, 'x')",
        "select lo_creat(-1)",
        "select lowrite(1, 'x')",
        "select pg_logical_emit_message(false, 'x', 'y')",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'recjobs webapp'",
        "select pg_cancel_backend(pg_backend_pid())",
        "select pg_notify('x', 'y')",
        "select pg_export_snapshot()",
    ],
    "recjobs_loader": [
        "select publish_batch('x', null, true, 'x')",
        "select attach_batch('x', null, true)",
        "select promote_model('1', 'x')",
        "insert into live_batch values ('live', 'x')",
        "update live_batch set batch_id = 'x'",
        "insert into top_n select * from top_n",
        "select * from served_lists",
        "drop table top_n",
        "set role recjobs_owner",
    ],
    "recjobs_publisher": [
        "select stage_batch('{}')",
        "update live_batch set batch_id = 'x'",
        "delete from publish_records",
        "insert into champion_model values ('champion', '1')",
        "select * from top_n",
        "set role recjobs_owner",
    ],
    "recjobs_editor": [
        "select * from served_lists",
        "select * from publish_log",
        "select * from top_n",
        "update rules set kind = 'pin'",
        "update rules set author = 'x'",
        "delete from rules",
        "insert into rule_log (rule_id, action) values (1, 'insert')",
        "update rule_log set actor = 'x'",
        "delete from rule_log",
        "truncate rule_log_records",
        "insert into rules (kind, created_at) values ('block', '2020-01-01')",
        "select * from rule_records",
        "update live_batch set batch_id = 'x'",
        "select publish_batch('x', null, true, 'x')",
        "select promote_model('1', 'x')",
        "create temp table t (n int)",
        "set role recjobs_owner",
    ],
    "recjobs_web": [
        "select * from top_n",
        "set role recjobs_reader",
        "select pg_advisory_lock(1)",
        "select roll_back(null, 'x')",
        "create temp table t (n int)",
    ],
    "recjobs_migrator": [
        "select * from {catalog}.batches",
        "select * from {catalog}.top_n",
        "select {catalog}.roll_back(null, 'x')",
        "create table {catalog}.t (n int)",
        "create schema mine",
    ],
}


@pytest.mark.parametrize(("role", "statement"), [(role, what) for role, all_of in FORBIDDEN.items() for what in all_of])
def test_what_a_role_may_not_do_it_cannot(published: World, role: str, statement: str):
    before = published.everything()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        published.rows(statement.replace("{catalog}", published.name), role=role)
    assert published.everything() == before


def test_a_loader_cannot_change_what_it_loaded_once_it_is_sealed(published: World):
    part = published.value("select partition_name('top_n', %s)", published.live(), role="recjobs_loader")
    assert published.value(f"select count(*) from {part}", role="recjobs_loader") == 150
    for statement in (f"insert into {part} select * from {part}", f"update {part} set n_model = 0", f"truncate {part}"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            published.rows(statement, role="recjobs_loader")


def test_a_schema_of_somebody_else_is_not_run_by_the_functions(published: World):
    """The functions run as the owner: a table that shadows theirs must not be found."""
    connection = published.postgres.connect("admin", f"trap,{published.name}")
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("create schema trap")
        cursor.execute("create table trap.live_batch (slot text, batch_id text)")
        cursor.execute("create table trap.batch_records (like batch_records)")
        cursor.execute(f"select {published.name}.roll_back(null, 'past the trap')")
        cursor.execute(f"select batch_id from {published.name}.live_batch")
        assert cursor.fetchone() == (published.value("select min(batch_id) from batches"),)
    connection.rollback()
    connection.close()


def test_a_user_who_may_not_withhold_it_all_is_told_what_stays_open(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
):
    """Who may make roles and databases, and is no superuser: as managed servers have it."""
    names = ", ".join(name for name in ROLES if name != "public")
    postgres.rows(
        "create role chief login createrole createdb password 'x';"
        f"grant recjobs_owner, {names} to chief with admin option",
        role="admin",
    )
    postgres.rows("create database chiefs owner chief", role="admin")
    try:
        url = postgres.cluster.url(database="chiefs").replace(
            postgres.cluster.url().split("@")[0], "postgresql://chief:x"
        )
        with caplog.at_level(logging.WARNING):
            migrate_database(Database(url))
    finally:
        postgres.rows("drop database chiefs", role="admin")
        postgres.rows("drop owned by chief; drop role chief", role="admin")
    assert "what only a superuser may withhold is left open; run as one: grant execute" in caplog.text
    assert "pg_advisory_lock(bigint), " in caplog.text
    assert "from public" in caplog.text


@pytest.mark.parametrize("role", ["recjobs_web", "recjobs_reader", "recjobs_publisher"])
def test_postgres_log_has_no_user_id_of_a_statement_that_failed(postgres: Postgres, role: str):
    """Cancelled, as lookups are that take too long, and broken."""
    connection = postgres.connect(role)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("set statement_timeout = 10")
        cursor.execute("prepare lookup as select $1 from pg_sleep(5)")
        for failing in ("execute lookup ('user-of-" + role + "')", "select 1 / 0, 'user-of-" + role + "'"):
            with pytest.raises(psycopg2.Error):
                cursor.execute(failing)
    log = postgres.cluster.log.read_text()
    assert "canceling statement due to statement timeout" in log
    assert f"user-of-{role}" not in log


def test_a_night_needs_no_superuser_and_no_url_for_everything(make_world: MakeWorld):
    world = make_world()
    assert "RECJOBS_DATABASE_URL" not in world.settings
    users = {url.split("//")[1].split(":")[0] for name, url in world.settings.items() if name.endswith("_URL")}
    assert users == set(ROLES) - {"public", "recjobs_editor", "recjobs_web"}
    assert world.recjobs("begin", "--as-of", EARLIER).code == 0


def test_without_the_owners_url_a_night_runs_in_a_schema_that_is_there(published: World):
    done = published.night(RECJOBS_OWNER_URL="")
    assert done.code == 0, done.err
    assert done.json["nothing_new"]
