"""Publish, roll back and prune, thirty times in a row under readers: it stays small, and nobody waits or fails."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from tests.publishing import LIST_TABLES
from tests.readers import LockWatch, Reader
from tests.worlds import MakeWorld, World, handful, soak

pytestmark = pytest.mark.soak

N_USERS = 500
EVERY_LIST = (
    "select batch_id, count(*), count(distinct item_ids[1]), min(item_ids[1]) from served_lists group by batch_id"
)
ONE_LIST = "select batch_id, item_ids[1] from served_lists where user_id = 'u7'"
ITS_ITEMS = "select distinct batch_id, item_id from recommendations where user_id = 'u77'"
READS = {
    "every list": EVERY_LIST,
    "one list": ONE_LIST,
    "one list, planned once": "execute one_list",
    "its items": ITS_ITEMS,
    "the popular ones": "select batch_id, item_id from popular_items",
}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(handful([("u", "i", 1)]))
    assert made.recjobs("begin").code == 0
    return made


def publish(world: World, k: int) -> str:
    """Publish a batch in which everybody is recommended the one item that is named like the batch."""
    batch_id = f"2025{k // 28 + 1:02}{k % 28 + 1:02}T000000Z-1"
    record = {
        "batch_id": batch_id, "as_of": f"2025-{k // 28 + 1}-{k % 28 + 1}", "attempt": 1, "computed_at": "2025-01-01",
        "n_users": N_USERS, "n_items": 1, "n_interactions": 1, "top_n_stored": 1, "top_n_served": 1, "input_hash": "h",
        "checksum": "c", "code_version": "1",
    }  # fmt: skip
    assert world.value("select stage_batch(%s)", json.dumps(record), role="recjobs_loader") == "staged"
    lists = (
        ("top_n", "(batch_id, user_id, item_ids, scores, source, n_model, n_category)",
         f"'u' || k, array[batch], array[1], 'als', 1, 0 from generate_series(1, {N_USERS}) as k"),
        ("popular_lists", "(batch_id, segment, item_ids, scores)",
         "'all', array[batch], array[1] from (select) as one"),
        ("item_records", "(batch_id, item_id, available, n_users)", "batch, true, 1 from (select) as one"),
    )  # fmt: skip
    for table, columns, values in lists:
        part = world.value("select partition_name(%s, %s)", table, batch_id, role="recjobs_loader")
        statement = f"insert into {part} {columns} select batch, {values} cross join (select %s::text as batch) as b"
        world.rows(statement, batch_id, role="recjobs_loader")
    world.rows("select seal_batch(%s)", batch_id, role="recjobs_loader")
    world.rows("select attach_batch(%s, null, false)", batch_id, role="recjobs_publisher")
    assert world.value("select publish_batch(%s, null, false, null)", batch_id, role="recjobs_publisher")
    return batch_id


def attached(world: World) -> dict[str, int]:
    """How many batches each list table holds."""
    statement = (
        "select relname as name, count(*) as n from pg_inherits join pg_class as c on c.oid = inhparent"
        " where relnamespace = current_schema()::regnamespace and relkind = 'p' group by relname"
    )
    return {row["name"]: row["n"] for row in world.rows(statement, role="admin")}


def kibibytes(world: World) -> int:
    """All that the catalog's tables and indexes take."""
    statement = (
        "select sum(pg_total_relation_size(oid)) / 1024 from pg_class"
        " where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace"
    )
    return int(world.value(statement, role="admin"))


@contextlib.contextmanager
def readers(world: World) -> Iterator[list[Reader]]:
    """Readers of everything, all the while."""
    stop = threading.Event()
    started = [Reader(world, statement, stop, f"prepare one_list as {ONE_LIST}") for statement in READS.values()]
    for reader in started:
        reader.start()
    try:
        yield started
    finally:
        stop.set()
        for reader in started:
            reader.join()


def test_thirty_publishes_in_a_row_keep_five_batches_and_their_size(world: World, figure: Callable[[str], None]):
    n = soak(30, share=4)
    batch_ids, sizes = [publish(world, 0), publish(world, 1)], []
    watch = LockWatch(world)
    watch.start()
    with readers(world) as reading:
        for k in range(2, n + 2):
            batch_ids.append(publish(world, k))
            if k % 3 == 0:
                for batch_id in (batch_ids[-2], batch_ids[-1]):
                    world.rows("select roll_back(%s, 'and forward again')", batch_id, role="recjobs_publisher")
            assert world.recjobs("prune").code == 0
            assert attached(world) == dict.fromkeys(LIST_TABLES, min(5, len(batch_ids)))
            sizes.append(kibibytes(world))
    assert watch.stop() == set()
    for reader in reading:
        assert reader.failure is None, reader.statement
        assert len(reader.seen) > n
        assert {len(answer) for answer in reader.seen} == {1}, reader.statement
        for [[batch_id, *rest]] in reader.seen:
            assert set(rest) <= {batch_id, N_USERS, 1}, reader.statement
    assert watch.looks > n
    assert max(sizes[4:]) <= 1.1 * min(sizes[4:])
    figure(
        f"P7, P8: {n} publishes and prunes, {sizes[4]} KiB after the fifth and {sizes[-1]} at the end;"
        f" {sum(len(reader.seen) for reader in reading)} reads; {watch.looks} looks at pg_locks"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "alter table top_n detach partition {part}",
        "create table one_more partition of top_n for values in ('20990101T000000Z-1')",
        "truncate {part}",
    ],
)
def test_a_lock_that_readers_would_wait_for_is_seen(world: World, statement: str):
    part = world.value("select partition_name('top_n', %s)", publish(world, 0), role="recjobs_loader")
    watch = LockWatch(world)
    watch.start()
    other = world.postgres.connect("admin", world.name)
    other.autocommit = False
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute(statement.format(part=part))
        seen = watch.looks + 2
        while watch.looks < seen:
            assert watch.is_alive()
        other.rollback()
    assert watch.stop() & {"top_n", part}


def test_a_reader_that_finds_nothing_is_seen(world: World):
    batch_id = publish(world, 0)
    with readers(world) as reading:
        world.rows("delete from top_n where batch_id = %s", batch_id, role="admin")
        while min(len(reader.seen) for reader in reading) < 20:
            assert all(reader.is_alive() for reader in reading)
    assert 0 in {len(answer) for answer in reading[0].seen}
    assert all(isinstance(reader.failure, psycopg2.Error | None) for reader in reading)
