"""Pruning keeps five batches, locks no reader out, and finishes what an earlier try left half done."""

import contextlib
from typing import Any

import psycopg2
import pytest

from recjobs.adapters.postgres import Session
from recjobs.catalog.files import load_catalog
from recjobs.errors import Locked
from recjobs.operations import prune
from tests.batches import publish, stage, tables
from tests.commands import Kill
from tests.publishing import LIST_TABLES as TABLES
from tests.worlds import MakeWorld, World, handful, soak

pytestmark = pytest.mark.soak

SQL = "recjobs.adapters.postgres:Session.rows"


@pytest.fixture
def empty(make_world: MakeWorld) -> World:
    world = make_world(handful([("u", "i", 1)]))
    assert world.recjobs("begin").code == 0
    return world


def pruned(world: World, **kwargs: Kill) -> list[str]:
    done = world.recjobs("prune", "--json", **kwargs)
    assert done.code == 0, done.err
    found: list[str] = done.json["pruned"]
    return found


def test_the_latest_five_stay_and_a_second_time_changes_nothing(empty: World):
    batch_ids = [publish(empty, day) for day in range(5 + soak(40))]
    assert pruned(empty) == batch_ids[:-5]
    assert tables(empty) == dict.fromkeys(TABLES, 5)
    assert [row["batch_id"] for row in empty.rows("select batch_id from batches order by as_of")] == batch_ids
    gone = "select batch_id from batches where pruned_at is not null order by as_of"
    assert [row["batch_id"] for row in empty.rows(gone)] == batch_ids[:-5]
    entries = "select batch_id, actor from publish_log where action = 'prune' order by log_id"
    assert [row["batch_id"] for row in empty.rows(entries)] == batch_ids[:-5]
    assert {row["actor"] for row in empty.rows(entries)} == {"recjobs_migrator"}
    before = empty.everything()
    assert pruned(empty) == []
    assert empty.everything() == before
    assert empty.live() == batch_ids[-1]


def test_the_live_batch_stays_however_old_and_a_pruned_one_is_nothing_to_roll_back_to(empty: World):
    batch_ids = [publish(empty, day) for day in range(7)]
    assert empty.recjobs("roll-back", "--batch-id", batch_ids[0]).code == 0
    assert pruned(empty) == [batch_ids[1]]
    assert empty.value("select count(*) from served_lists") == 1
    refused = empty.recjobs("roll-back", "--batch-id", batch_ids[1])
    assert refused.code == 65
    assert "not among the published batches that are kept" in refused.message


def test_a_killed_prune_is_finished_by_the_next(empty: World):
    batch_ids = [publish(empty, day) for day in range(6)]
    for moment in ("mark_pruned", "detach_partition", "drop_partition"):
        assert empty.recjobs("prune", kill=Kill(SQL, "after", (moment,))).code == -9
        assert empty.value("select count(*) from served_lists") == 1
    assert pruned(empty) == batch_ids[:1]
    assert tables(empty) == dict.fromkeys(TABLES, 5)
    assert empty.value("select count(*) from publish_log where action = 'prune'") == 1


@pytest.mark.parametrize("last", TABLES)
def test_whichever_table_an_earlier_prune_left_is_found(empty: World, last: str):
    batch_ids = [publish(empty, day) for day in range(6)]
    part = empty.value("select partition_name('top_n', %s)", batch_ids[0], role="recjobs_loader")
    for table in TABLES:
        if table != last:
            empty.rows(f"alter table {table} detach partition {part.replace('top_n', table)}", role="admin")
            empty.rows(f"drop table {part.replace('top_n', table)}", role="admin")
    empty.rows("update batch_records set pruned_at = now() where batch_id = %s", batch_ids[0], role="admin")
    assert pruned(empty) == batch_ids[:1]
    assert tables(empty) == dict.fromkeys(TABLES, 5)


def test_a_reader_of_an_old_batch_is_waited_for_but_not_for_ever(empty: World):
    batch_ids = [publish(empty, day) for day in range(6)]
    analyst = empty.postgres.connect("admin", empty.name)
    analyst.autocommit = False
    with contextlib.closing(analyst), analyst.cursor() as cursor:
        cursor.execute("select count(*) from top_n where batch_id = %s", (batch_ids[0],))
        waited = empty.recjobs("prune")
        assert waited.code == 75
        assert "see pg_stat_activity" in waited.message
        cursor.execute("select count(*) from top_n where batch_id = %s", (batch_ids[-1],))
        assert cursor.fetchone() == (1,), "readers are not locked out meanwhile"
        assert empty.value("select count(*) from served_lists") == 1
        new = publish(empty, 6)
        assert empty.live() == new, "nor are publishers"
        analyst.rollback()
    assert pruned(empty) == batch_ids[:2]
    assert tables(empty) == dict.fromkeys(TABLES, 5)
    assert empty.value("select count(*) from pg_inherits where inhdetachpending", role="admin") == 0


def test_what_a_killed_publisher_left_is_gone_when_the_next_one_loads(empty: World):
    publish(empty, 1)
    stage(empty, 2)
    assert tables(empty) == dict.fromkeys(TABLES, 2)
    publish(empty, 3)
    assert tables(empty) == dict.fromkeys(TABLES, 2)


def test_a_batch_that_was_not_loaded_to_its_end_is_refused(empty: World):
    live, half = publish(empty, 1), stage(empty, 2)
    attach = "select attach_batch(%s, null, false)"
    with pytest.raises(psycopg2.Error, match=f"batch {half} is not sealed"):
        empty.rows(attach, half, role="recjobs_publisher")
    with pytest.raises(psycopg2.Error, match=f"batch {half} is not attached"):
        empty.rows("select publish_batch(%s, null, false, null)", half, role="recjobs_publisher")
    assert (empty.live(), tables(empty)) == (live, dict.fromkeys(TABLES, 2))
    empty.rows("select seal_batch(%s)", half, role="recjobs_loader")
    empty.rows(attach, half, role="recjobs_publisher")


def test_a_batch_is_not_pruned_while_a_pointer_moves(empty: World):
    batch_ids = [publish(empty, day) for day in range(6)]
    other = empty.postgres.connect("recjobs_publisher", empty.name)
    other.autocommit = False
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute("select roll_back(%s, 'in the last moment')", (batch_ids[0],))
        done = empty.recjobs("prune")
        assert done.code == 75
        assert "right now" in done.message
        other.commit()
    assert pruned(empty) == []
    assert empty.value("select count(*) from served_lists") == 1


def test_a_batch_that_becomes_live_again_while_prune_begins_is_left_alone(
    empty: World, monkeypatch: pytest.MonkeyPatch
):
    first, second, *_ = [publish(empty, day) for day in range(7)]
    for name, value in empty.settings.items():
        monkeypatch.setenv(name, value)
    look = Session.rows

    def look_and_be_overtaken(self: Session, query: str, *arguments: Any, **parameters: Any) -> list[dict[str, Any]]:
        found = look(self, query, *arguments, **parameters)
        if query == "prunable_batches":
            assert [row["batch_id"] for row in found] == [first, second]
            empty.rows("select roll_back(%s, 'in between')", first, role="recjobs_publisher")
        return found

    monkeypatch.setattr(Session, "rows", look_and_be_overtaken)
    assert prune.run(load_catalog(empty.name))["pruned"] == [second]
    assert empty.live() == first
    assert empty.value("select count(*) from served_lists") == 1
    assert empty.value("select count(*) from batches where is_live and pruned_at is not null") == 0


def before(monkeypatch: pytest.MonkeyPatch, world: World, moment: str, overtake: Any) -> None:
    """Let something overtake this process's prune, each time just before it asks the query of that name."""
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    look = Session.rows

    def look_later(self: Session, query: str, *arguments: Any, **parameters: Any) -> list[dict[str, Any]]:
        if query == moment:
            overtake(*arguments)
        return look(self, query, *arguments, **parameters)

    monkeypatch.setattr(Session, "rows", look_later)


@pytest.mark.parametrize("moment", ["detach_partition", "delete_old_records"])
def test_a_second_prune_at_once_is_exit_75_whatever_the_first_is_at(
    empty: World, monkeypatch: pytest.MonkeyPatch, moment: str
):
    batch_ids = [publish(empty, day) for day in range(6)]
    seconds = []

    def second(*_: Any) -> None:
        if not seconds:
            seconds.append(empty.recjobs("prune"))
            assert empty.recjobs("prune", "--dry-run").code == 0
            publish(empty, 6)  # is not held up either

    before(monkeypatch, empty, moment, second)
    assert prune.run(load_catalog(empty.name))["pruned"] == batch_ids[:1]
    assert [done.code for done in seconds] == [75]
    assert f"another process is pruning {empty.name}" in seconds[0].message
    assert pruned(empty) == batch_ids[1:2]
    assert tables(empty) == dict.fromkeys(TABLES, 5)


def test_a_table_that_vanishes_from_under_prune_is_no_missing_migration(empty: World, monkeypatch: pytest.MonkeyPatch):
    batch_ids = [publish(empty, day) for day in range(6)]

    def drop(names: dict[str, str]) -> None:
        empty.rows(f"drop table {names['partition']}", role="admin")

    with monkeypatch.context() as first:
        before(first, empty, "detach_partition", drop)
        with pytest.raises(Locked, match="does not exist: another process removed it; run it again"):
            prune.run(load_catalog(empty.name))
    before(monkeypatch, empty, "drop_partition", drop)
    assert prune.run(load_catalog(empty.name))["pruned"] == batch_ids[:1]
    assert tables(empty) == dict.fromkeys(TABLES, 5)


def test_a_half_pruned_batch_is_loaded_anew_once_no_reader_would_have_to_wait(empty: World):
    publish(empty, 1)
    half = stage(empty, 2)
    empty.rows("select seal_batch(%s)", half, role="recjobs_loader")
    empty.rows("select attach_batch(%s, null, false)", half, role="recjobs_publisher")
    empty.rows("update batch_records set pruned_at = now() where batch_id = %s", half, role="admin")
    record = empty.value("select to_jsonb(b)::text from batch_records as b where batch_id = %s", half, role="admin")
    analyst = empty.postgres.connect("recjobs_reader", empty.name)
    analyst.autocommit = False
    with contextlib.closing(analyst), analyst.cursor() as cursor:
        cursor.execute("select count(*) from served_lists")
        with pytest.raises(psycopg2.Error, match=f"batch {half} is half pruned, and somebody reads") as refused:
            empty.rows("select stage_batch(%s)", record, role="recjobs_loader")
        assert refused.value.pgcode == "RJ076"
        assert tables(empty) == dict.fromkeys(TABLES, 2)
    assert stage(empty, 2) == half
    assert tables(empty) == dict.fromkeys(TABLES, 2)
