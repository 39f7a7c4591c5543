"""Functions, views and grants follow their files: where a text changed, alone, and without making readers wait."""

import logging
import threading
import time

import pytest

from recjobs.adapters import migrations
from recjobs.errors import Locked
from tests.batches import publish
from tests.checkouts import Checkout
from tests.worlds import MakeWorld

COLUMN = ("views/segments", "p.batch_id\n", "p.batch_id, p.scores[1] as best\n")
"""A change: a view gains a column."""
APPLIED = "select name from applied_objects order by applied_at desc limit 1"


def has_column(checkout: Checkout) -> bool:
    return "segments.best" in checkout.objects()


def test_a_database_of_migrations_alone_comes_up_to_date(checkout: Checkout, make_world: MakeWorld):
    assert checkout.migrate_by_migrations_alone() == 15
    batch_id = publish(checkout.world, 1)
    served = checkout.world.rows("select * from served_lists")
    assert "item_details(item_ids text[])" not in checkout.objects()
    assert checkout.migrate() > 0
    assert checkout.world.live() == batch_id
    assert checkout.world.rows("select * from served_lists") == served
    assert checkout.world.rows("select known from item_details('{i}')") == [{"known": None}]
    upgraded = checkout.objects()
    fresh = Checkout(checkout.sql, make_world())
    fresh.migrate()
    assert fresh.objects() == upgraded


def test_the_files_alone_make_all_that_is_there(checkout: Checkout):
    checkout.migrate()
    before = checkout.objects()
    views = [name for name, row in before.items() if row["type"] == "view"]
    functions = [name for name, row in before.items() if "(" in name and row["type"] != "trigger"]
    checkout.world.rows(f"drop view {', '.join(views)} cascade", role="admin")
    kept = [name for name in functions if name in checkout.objects()]
    checkout.world.rows(f"drop function {', '.join(name.partition('(')[0] for name in kept)}", role="admin")
    assert checkout.migrate() > len(views), "what is noted and not there is applied again"
    assert checkout.objects() == before
    assert checkout.migrate() == 0


def test_a_function_that_somebody_replaced_by_hand_gets_its_text_back(checkout: Checkout):
    checkout.migrate()
    before = checkout.objects()
    body = "begin return null; end"
    by_hand = f"create or replace function log_rule() returns trigger language plpgsql as '{body}'"
    checkout.world.rows(by_hand, role="admin")
    assert checkout.migrate() > 0
    assert checkout.objects() == before


def test_a_second_time_applies_nothing_and_asks_for_no_lock(checkout: Checkout):
    checkout.migrate()
    views = [name for name, row in checkout.objects().items() if row["type"] == "view"]
    with checkout.transaction(f"lock table {', '.join(views)} in access exclusive mode"):
        began = time.monotonic()
        assert checkout.migrate() == 0
        assert time.monotonic() - began < 5


def test_a_change_of_one_text_is_applied_alone(checkout: Checkout):
    checkout.migrate()
    before = checkout.objects()
    checkout.change(*COLUMN)
    others = [path.read_text() for path in (checkout.sql / "views").glob("*.sql") if path.stem != "segments"]
    with checkout.transaction(*others):  # which locks them
        assert checkout.migrate() == 1
    assert checkout.world.value(APPLIED, role="admin") == "views/segments"
    after = checkout.objects()
    assert set(after) - set(before) == {"segments.best"}
    assert [name for name in before if after[name] != before[name]] == ["segments"]
    assert checkout.migrate() == 0


def test_new_objects_that_need_each_other_are_made_in_their_order(checkout: Checkout):
    checkout.migrate()
    (checkout.sql / "views" / "a.sql").write_text("create or replace view a as select b.n from b;")
    (checkout.sql / "views" / "b.sql").write_text("create or replace view b as select f() as n;")
    (checkout.sql / "functions" / "f.sql").write_text(
        "create or replace function f() returns integer language sql as 'select max(c.n) from c';"
    )
    (checkout.sql / "views" / "c.sql").write_text("create or replace view c as select 7 as n;")
    assert checkout.migrate() == 4
    assert checkout.world.value("select n from a", role="admin") == 7


def test_a_reader_of_the_view_makes_it_give_up_and_no_other_reader_waits(
    checkout: Checkout,
    monkeypatch: pytest.MonkeyPatch,
):
    checkout.migrate()
    publish(checkout.world, 1)
    monkeypatch.setattr(migrations, "TRIES", 5)
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.2)
    checkout.change(*COLUMN)
    checkout.change("views/items", "'A row is", "'One row is")
    slowest, ended = 0.0, threading.Event()

    def read() -> None:
        nonlocal slowest
        connection = checkout.world.postgres.connect("recjobs_reader", checkout.world.name)
        with connection.cursor() as cursor:
            while not ended.is_set():
                began = time.monotonic()
                cursor.execute("select count(*) from segments, items")
                slowest = max(slowest, time.monotonic() - began)
        connection.close()

    reader = threading.Thread(target=read)
    with checkout.transaction("select from segments"):
        reader.start()
        began = time.monotonic()
        with pytest.raises(Locked, match=r"in use .*views/segments.*pg_stat_activity.*`recjobs migrate`") as refused:
            checkout.migrate()
        took = time.monotonic() - began
    ended.set()
    reader.join()
    assert (refused.value.exit_code, refused.value.retry) == (75, True)
    assert took < 10
    assert slowest < migrations.LOCK_SECONDS + 0.9, "but for a busy machine a tenth of a second"
    assert not has_column(checkout)
    assert checkout.migrate() == 2
    assert has_column(checkout)


def test_a_reader_of_a_table_that_changes_makes_it_give_up_and_no_other_reader_waits(
    checkout: Checkout,
    monkeypatch: pytest.MonkeyPatch,
):
    checkout.migrate()
    monkeypatch.setattr(migrations, "TRIES", 3)
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.2)
    newer = checkout.later("newer")
    (newer.sql / "migrations" / "catalog" / "9999-more.sql").write_text(
        "alter table batch_records add column more text;"
    )
    read, refusals = "select from batches limit 1", list[Locked]()

    def migrate() -> None:
        with pytest.raises(Locked, match=r"in use \(by 9999-more\).*pg_stat_activity.*`recjobs migrate`") as refused:
            newer.migrate()
        refusals.append(refused.value)

    with checkout.transaction(read) as cursor:
        migrating = threading.Thread(target=migrate)
        migrating.start()
        slowest = 0.0
        while migrating.is_alive():
            began = time.monotonic()
            checkout.world.rows(read, role="recjobs_reader")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.01)
        migrating.join()
        assert [(refused.exit_code, refused.retry) for refused in refusals] == [(75, True)]
        assert slowest < migrations.LOCK_SECONDS + 0.9, "but for a busy machine a tenth of a second"
        leave = threading.Timer(0.1, cursor.connection.rollback)
        leave.start()
        assert newer.migrate() == 1, "a later try finds it free"
        leave.join()
    assert newer.migrate() == 0


def test_a_view_that_is_free_again_is_changed_by_a_later_try(checkout: Checkout):
    checkout.migrate()
    checkout.change(*COLUMN)
    with checkout.transaction("select from segments") as cursor:
        leave = threading.Timer(0.5, cursor.connection.rollback)
        leave.start()
        assert checkout.migrate() == 1
        leave.join()
    assert has_column(checkout)


def test_a_night_of_the_code_before_does_not_put_an_old_text_back(
    checkout: Checkout,
    caplog: pytest.LogCaptureFixture,
):
    checkout.migrate()
    newer = checkout.later("newer")
    newer.change(*COLUMN)
    assert newer.migrate() == 1
    with caplog.at_level(logging.WARNING):
        assert checkout.migrate() == 0
    assert f"catalog {checkout.world.name} keeps what newer code made of views/segments" in caplog.text
    assert has_column(checkout)
    assert newer.migrate() == 0


def test_code_that_lacks_a_migration_of_the_database_changes_no_object(checkout: Checkout):
    newer = checkout.later("newer")
    (newer.sql / "migrations" / "catalog" / "9999-more.sql").write_text("-- More.\ncreate table more (n integer);\n")
    newer.change(*COLUMN)
    newer.migrate()
    between = checkout.later("between")
    between.change("views/segments", "p.batch_id\n", "p.batch_id, 1 as best\n")
    assert between.migrate() == 0
    assert checkout.migrate() == 0
    assert newer.migrate() == 0
    assert has_column(checkout)
