"""Nothing that moves the pointer waits for a lock for ever."""

import contextlib

import psycopg2
import pytest

from recjobs.adapters import postgres
from recjobs.adapters.postgres import Database
from recjobs.errors import Locked
from tests.batches import catalog_without_batches, publish, stage
from tests.worlds import MakeWorld, World

FLIPS = {
    "attach_batch": "select attach_batch('20250108T000000Z-1', null, false)",
    "publish_batch": "select publish_batch('20250107T000000Z-1', null, true, 'a test')",
    "roll_back": "select roll_back(null, 'a test')",
    "promote_model": "select promote_model('1', 'a test')",
}


@pytest.fixture
def empty(make_world: MakeWorld) -> World:
    """A catalog in which nothing is published."""
    return catalog_without_batches(make_world)


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
