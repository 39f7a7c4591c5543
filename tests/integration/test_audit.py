"""Who did what, with a name: by the web app, the command line and plain SQL; and nobody changes it afterwards."""

import json
import logging
import time
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from tests.integration.test_backup import recjobs
from tests.integration.test_webapp_operators import token_of
from tests.webapp_credentials import OPERATORS, sign_in
from tests.webapp_world import World as WebWorld
from tests.worlds import Postgres, World

pytest_plugins = ["tests.webapp_fixtures"]

ENTRY = "select action, person, login, program, about, details, user_hash from public.audit"
_since = 0
"""The newest entry that was there before a test: web apps of other tests share the audit."""


@pytest.fixture(scope="module", autouse=True)
def quiet(world: WebWorld) -> None:
    """Wait for what earlier files' web apps have still to write, a second after what they noted."""
    before, until = -1, time.monotonic() + 60
    while before != count(world) and time.monotonic() < until:
        before = count(world)
        time.sleep(2)


@pytest.fixture(autouse=True)
def since(world: WebWorld) -> None:
    global _since
    _since = int(world.sql("select coalesce(max(audit_id), 0) from public.audit")[0][0])


@pytest.fixture
def client(world: WebWorld) -> FlaskClient:
    url, editor = world.url("recjobs_web"), world.url("recjobs_editor")
    patient = {"statement_timeout_ms": 50_000, "request_timeout_ms": 60_000, "page_timeout_ms": 60_000}
    return world.client(database_url=url, editor_url=editor, operators=OPERATORS, **patient)


def noted(world: WebWorld, action: str, number: int = 1) -> list[tuple[Any, ...]]:
    """The newest entries of an action, once there are so many; those of reads come a second later."""
    statement = f"{ENTRY} where action = %s and audit_id > %s order by audit_id desc"
    until = time.monotonic() + 60
    while len(found := world.sql(statement, action, _since)) < number and time.monotonic() < until:
        time.sleep(0.05)
    assert len(found) >= number, (action, found)
    return found


def count(world: WebWorld) -> int:
    return int(world.sql("select count(*) from public.audit")[0][0])


def form(client: FlaskClient, **fields: str) -> dict[str, str]:
    return {"catalog": "shop", "token": token_of(client.get("/rules?catalog=shop").text), **fields}


def test_a_rule_by_a_page_and_a_rule_by_sql_have_the_name_of_who_made_them(world: WebWorld, client: FlaskClient):
    assert sign_in(client, "alice") == 303
    assert client.post("/rules", data=form(client, kind="block", item_id="item7", do="add")).status_code == 303
    _, person, login, program, about, details, _ = noted(world, "add_rule")[0]
    assert (person, login, program) == ("alice", "recjobs_editor", "recjobs webapp")
    assert (details["kind"], details["item_id"], about.startswith("rule ")) == ("block", "item7", True)
    rule_id = about.removeprefix("rule ")
    for verb in ("undo", "restore", "undo"):
        assert client.post(f"/rules/{verb}", data=form(client, rule_id=rule_id)).status_code == 303
    assert [row[1] for row in (noted(world, "remove_rule", 2) + noted(world, "restore_rule"))[:3]] == ["alice"] * 3
    world.sql(f"select add_rule('{json.dumps({'kind': 'block', 'item_id': 'item8', 'author': 'bob'})}')",
              role="recjobs_editor", catalog="shop")  # fmt: skip
    _, person, login, _, _, details, _ = noted(world, "add_rule", 2)[0]
    assert (person, login, details["author"]) == ("recjobs_editor", "recjobs_editor", "bob"), "who, and who they say"
    before = count(world)
    assert client.post("/rules", data=form(client, kind="block", item_id="item9", do="try")).status_code == 200
    assert count(world) == before, "a rule that is tried changes nothing"
    world.sql("select remove_rule(max(rule_id), 'x') from rules", role="recjobs_editor", catalog="shop")


def test_a_roll_back_by_a_page_is_noted_with_what_it_was_from(world: WebWorld, client: FlaskClient, nights: tuple):
    first, second = nights
    assert sign_in(client, "carol", "the secret of carol") == 303
    for to in (first, second):
        data = form(client, catalog="nights", batch_id=to, why="wrong prices", sure="yes")
        assert client.post("/runs/roll-back", data=data).status_code == 303
    _, person, login, _, about, details, _ = noted(world, "roll_back", 2)[1]
    assert (person, login, about) == ("carol", "recjobs_editor", first)
    assert (details["previous_batch_id"], "wrong prices" in details["reason"]) == (second, True)
    published = world.sql(f"{ENTRY} where action = 'publish' and catalog = 'nights'")
    assert {row[2] for row in published} == {"recjobs_publisher"}


def test_signing_in_and_out_is_noted_and_so_is_who_was_refused(world: WebWorld, client: FlaskClient):
    assert sign_in(client, "alice", "wrong") == 401
    assert sign_in(client, "my secret by mistake", "x") == 401
    assert sign_in(client, "alice") == 303
    assert client.post("/sign-out", data=form(client)).status_code == 303
    assert noted(world, "sign_out")[0][1] == "alice"
    assert noted(world, "sign_in")[0][1] == "alice"
    refused = noted(world, "sign_in_failed", 2)
    assert [row[1] for row in refused[:2]] == ["unknown", "alice"], "no text that may be a secret"
    assert refused[0][5] == {"by": "secret", "address": "127.0.0.1"}
    assert "mistake" not in str(world.sql("select a::text from public.audit as a"))


def test_who_looked_at_whose_history_is_noted_and_a_hash_stands_for_the_user(world: WebWorld, client: FlaskClient):
    assert sign_in(client, "alice") == 303
    assert client.get("/?catalog=shop&user_id=u0007").status_code == 200
    assert client.get("/v1/shop/trace?user_id=u0007&item_id=item7").status_code == 200
    assert client.get("/v1/shop/recommendations?user_id=u0007").status_code == 200
    rows = noted(world, "read_history", 2)
    assert [(row[1], row[4]) for row in rows[:2]] == [("alice", "trace"), ("alice", "page")]
    assert rows[0][6] == rows[1][6] == world.sql("select public.audit_hash('shop', 'u0007')")[0][0]
    assert world.sql("select public.audit_hash('empty', 'u0007')")[0][0] != rows[0][6]
    assert "u0007" not in str(world.sql("select a::text from public.audit as a"))
    assert len(noted(world, "read_history")) == 2, "a lookup is no event"


def test_reads_are_sampled_by_setting_and_nothing_waits_for_the_audit(
    world: WebWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    given = {"database_url": world.url("recjobs_web"), "operators": OPERATORS}
    reads = 40
    for share in (0, 0.5):
        asked = world.client(**given, audit_reads=share)
        for _ in range(reads):
            assert asked.get("/?catalog=shop&user_id=u0008").status_code == 200
    noted(world, "read_history")
    drain(asked)
    sampled = noted(world, "read_history")
    assert 0 < len(sampled) < reads, "of the second app about half"
    assert sampled[0][5] == {"share": 0.5}
    # a login that may not write it: the page is served, and a line says so
    asked = world.client(database_url=world.url("recjobs_reader"))
    with caplog.at_level(logging.ERROR):
        assert asked.get("/?catalog=shop&user_id=u0008").status_code == 200
        drain(asked)
    assert "1 entries of the audit are lost" in caplog.text


def drain(client: FlaskClient) -> None:
    audit, until = client.application.extensions["audit"], time.monotonic() + 60
    while audit._writer is not None and time.monotonic() < until:
        time.sleep(0.05)
    assert audit._writer is None


CHANGES = (
    "update public.audit set person = 'x'",
    "update public.audit_records set person = 'x'",
    "delete from public.audit_records",
    "delete from public.audit",
    "truncate public.audit_records",
    "insert into public.audit_records default values",
    "alter table public.audit_records disable trigger all",
    "drop view public.audit",
    "select * from public.audit_key",
)
READS = ("select * from public.audit", "select public.audit_hash('a', 'b')", "select public.prune_audit(30)")
ROLES = ("recjobs_loader", "recjobs_publisher", "recjobs_reader", "recjobs_editor", "recjobs_web", "recjobs_migrator")


@pytest.mark.parametrize("role", ROLES)
def test_no_role_changes_the_audit_and_only_the_owner_reads_it(postgres: Postgres, role: str):
    for statement in (*CHANGES, *READS):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            postgres.rows(statement, role=role)
    write = """select public.record_audit('{"action": "erase", "catalog": "x"}')"""
    if role in ("recjobs_editor", "recjobs_web"):
        postgres.rows(write, role=role)
    else:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            postgres.rows(write, role=role)


def test_not_even_the_owner_of_the_catalogs_changes_the_audit(postgres: Postgres):
    for statement in CHANGES:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            postgres.rows(f"set role recjobs_owner; {statement}", role="recjobs_migrator")
    assert postgres.rows(f"set role recjobs_owner; {READS[0]} limit 1", role="recjobs_migrator") is not None


def test_an_entry_is_of_now_and_of_the_login_whatever_it_says(postgres: Postgres):
    forged = {"action": "roll_back", "person": "alice", "login": "admin", "at": "2020-01-01", "audit_id": 1}
    postgres.rows("select public.record_audit(%s)", json.dumps([forged]), role="recjobs_web")
    row = postgres.rows(
        "select person, login, at > now() - interval '2 hours' as is_new from public.audit"
        " order by audit_id desc limit 1",
        role="admin",
    )
    assert row == [{"person": "alice", "login": "recjobs_web", "is_new": True}]


def test_entries_go_by_age_alone_and_those_of_the_last_month_never(postgres: Postgres):
    for days in (10, 100, 800):
        postgres.rows("""select public.record_audit('{"action": "aged"}')""", role="admin")
        postgres.rows(
            "update public.audit_records set at = now() - make_interval(days => %s)"
            " where audit_id = (select max(audit_id) from public.audit_records)",
            days, role="admin",
        )  # fmt: skip
    prune = "set role recjobs_owner; select public.prune_audit(%s) as n"
    assert postgres.rows(prune, 730, role="recjobs_migrator") == [{"n": 1}]
    assert postgres.rows(prune, 0, role="recjobs_migrator") == [{"n": 1}]
    ours = "public.audit where action in ('aged', 'prune_audit') order by audit_id"
    left = postgres.rows(f"select action, details from {ours}", role="admin")
    assert [row["action"] for row in left] == ["aged", "prune_audit", "prune_audit"]
    assert left[-1]["details"] == {"rows": 1, "days": 30}
    postgres.rows("delete from public.audit_records where action in ('aged', 'prune_audit')", role="admin")


def test_the_command_line_notes_and_shows_the_operators_name(empty: World):
    who = {"RECJOBS_OPERATOR": "dora the 2nd", "RECJOBS_EDITOR_URL": empty.postgres.cluster.url("recjobs_editor")}
    of = ("--catalog", empty.name)
    user_id = "o'h & <7>"
    rule = recjobs(empty, "rule", "add", "block", *of, "--item", "i1", "--author", "erin", "--allow-unknown", **who)
    assert rule.code == 0, rule.err
    removed = recjobs(empty, "rule", "remove", str(rule.json["rule_id"]), *of, **who)
    assert removed.code == 0, removed.err
    assert recjobs(empty, "trace", *of, "--user", user_id, "--item", "i1", **who).code == 64, "nothing is published"
    assert recjobs(empty, "export-user", *of, "--user-id", user_id, **who).code == 0
    shown = recjobs(empty, "audit", *of, **who)
    assert shown.code == 0, shown.err
    entries = shown.json["entries"]
    assert [(e["action"], e["person"], e["login"]) for e in entries[:4]] == [
        ("export_user", "dora the 2nd", "recjobs_migrator"),
        ("read_history", "dora the 2nd", "recjobs_reader"),
        ("remove_rule", "dora the 2nd", "recjobs_editor"),
        ("add_rule", "dora the 2nd", "recjobs_editor"),
    ]
    assert entries[3]["details"]["author"] == "erin"
    for options in (("--dry-run",), ()):
        pruned = recjobs(empty, "prune", *of, *options, **who)
        assert (pruned.code, pruned.json["records"]) == (0, {}), pruned.err
    of_person = recjobs(empty, "audit", *of, "--user-id", user_id).json["entries"]
    assert [e["action"] for e in of_person] == ["export_user", "read_history"]
    assert recjobs(empty, "audit", *of, "--user-id", "nobody").json["entries"] == []
    assert recjobs(empty, "audit", "--user-id", user_id).code == 64
    by_action = recjobs(empty, "audit", *of, "--action", "add_rule", "--person", "dora the 2nd", "--n", "1")
    assert [e["action"] for e in by_action.json["entries"]] == ["add_rule"]
