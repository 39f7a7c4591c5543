"""Neither an editor nor anybody else holds a publish or a roll-back up."""

import contextlib
import json
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from recjobs.adapters import postgres
from recjobs.adapters.postgres import Database
from recjobs.errors import Locked
from tests.batches import publish, stage
from tests.worlds import World

BLOCK = json.dumps({"kind": "block", "item_id": "i", "allow_unknown": True})
FLIPS = {
    "attach_batch": "select attach_batch('20250108T000000Z-1', null, false)",
    "publish_batch": "select publish_batch('20250107T000000Z-1', null, true, 'a test')",
    "roll_back": "select roll_back(null, 'a test')",
    "promote_model": "select promote_model('1', 'a test')",
}


def test_a_roll_back_does_not_wait_for_an_editors_transaction(empty: World, editor: Any):
    first, second = publish(empty, 5), publish(empty, 6)
    removed = empty.value("select add_rule(%s)", BLOCK, role="recjobs_editor")
    with editor.cursor() as cursor:
        cursor.execute("select remove_rule(%s, 'ann')", (removed,))
        cursor.execute("select add_rule(%s), try_rule(%s, 100)", (BLOCK, BLOCK))
        assert empty.live() == second
        assert empty.value(FLIPS["roll_back"], role="recjobs_publisher") == first
        assert empty.value("select item_ids from served_lists") == [], "by the rule that is not removed yet"
        editor.commit()
    assert empty.value("select item_ids from served_lists") == []
    rules = empty.rows("select rule_id from rules where removed_at is null")
    assert [row["rule_id"] for row in rules] == [removed + 1]


def test_every_move_waits_ten_seconds_for_a_lock_and_no_longer_than_its_session(empty: World):
    publish(empty, 5), publish(empty, 6)
    empty.rows(FLIPS["roll_back"], role="recjobs_publisher")
    model = "select register_model('1', 'x', 'nowhere', repeat('0', 64), now(), '{}')"
    empty.rows(model, role="recjobs_publisher")
    empty.rows("select seal_batch(%s)", stage(empty, 7), role="recjobs_loader")
    connection = empty.postgres.connect("recjobs_publisher", empty.name)
    with contextlib.closing(connection), connection.cursor() as cursor:
        for own, expected in (("0", "10s"), ("1min", "10s"), ("70ms", "70ms")):
            cursor.execute(f"set lock_timeout = '{own}'")
            for name, flip in FLIPS.items():
                cursor.execute("begin")
                if name == "roll_back":
                    cursor.execute(FLIPS["publish_batch"])
                cursor.execute(flip)
                cursor.execute("show lock_timeout")
                assert cursor.fetchone() == (expected,), name
                cursor.execute("rollback")
        holder = empty.postgres.connect("admin", empty.name)
        holder.autocommit = False
        with contextlib.closing(holder), holder.cursor() as other:
            other.execute("select from live_batch for update")
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                cursor.execute(FLIPS["publish_batch"])


def test_no_command_waits_for_a_lock_for_ever(empty: World, monkeypatch: pytest.MonkeyPatch):
    publish(empty, 5)
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 0.1)
    holder = empty.postgres.connect("admin", empty.name)
    holder.autocommit = False
    with contextlib.closing(holder), holder.cursor() as cursor:
        cursor.execute("lock table batch_records in access exclusive mode")
        database = Database(empty.postgres.cluster.url("recjobs_publisher"), empty.name)
        with pytest.raises(Locked, match="pg_stat_activity"), database.connect() as session:
            session.call("roll_back", to_batch=None, why="a test")


def test_a_command_that_another_move_came_before_is_to_be_tried_again(empty: World):
    publish(empty, 5), publish(empty, 6)

    def roll_back_as_of_before() -> None:
        database = Database(empty.postgres.cluster.url("recjobs_publisher"), empty.name)
        with database.connect() as session, session.transaction():
            session.run(sql.SQL("set transaction isolation level repeatable read; select count(*) from batches"))
            empty.rows(FLIPS["roll_back"], role="recjobs_publisher")
            session.call("roll_back", to_batch=None, why="a test")

    with pytest.raises(Locked, match="could not serialize access"):
        roll_back_as_of_before()
