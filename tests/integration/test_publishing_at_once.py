"""Many publishers and many readers at once: one flip at a time, and nobody ever sees half a batch or none."""

import contextlib
import threading
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest

from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from tests.list_contract import broken_lists
from tests.publishing import BEFORE_IT_IS_ATTACHED, DATES, prepared
from tests.readers import ALL_LISTS, READS, Reader
from tests.worlds import MakeWorld, World

pytestmark = pytest.mark.soak


def test_ten_publishers_of_one_batch_flip_once(make_world: MakeWorld):
    world, [batch_id] = prepared(make_world, DATES[0])
    publishers = [world.start("publish", "--batch-id", batch_id, "--json") for _ in range(10)]
    ended = [publisher.wait() for publisher in publishers]
    assert {done.code for done in ended} <= {0, 75}
    moved = [done.json["moved"] for done in ended if done.code == 0]
    assert moved.count(True) == 1
    for done in ended:
        if done.code == 75:
            assert "another process is loading" in done.message or "right now" in done.message
    assert world.value("select count(*) from publish_log") == 1
    assert broken_lists(world, batch_id) == {}
    again = world.recjobs("publish", "--batch-id", batch_id, "--json")
    assert (again.code, again.json["moved"]) == (0, False)


def test_publishers_of_different_batches_never_move_the_pointer_back(make_world: MakeWorld):
    world, batch_ids = prepared(make_world, *DATES[:3])
    publishers = [world.start("publish", "--batch-id", batch_id) for _ in range(4) for batch_id in batch_ids]
    assert {publisher.wait().code for publisher in publishers} <= {0, 75}
    flips = [row["batch_id"] for row in world.rows("select batch_id from publish_log order by log_id")]
    assert flips == sorted(set(flips))
    assert world.live() == flips[-1]
    assert world.recjobs("publish", "--batch-id", batch_ids[-1]).code == 0
    for older in batch_ids[:-1]:
        assert world.recjobs("publish", "--batch-id", older).code == (75 if older != world.live() else 0)
    assert world.live() == batch_ids[-1]
    assert broken_lists(world, batch_ids[-1]) == {}


def test_a_flip_waits_for_nobody_and_is_refused_while_another_one_is_under_way(rolling: World):
    other = rolling.postgres.connect("recjobs_publisher", rolling.name)
    other.autocommit = False
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute("select roll_back(null, 'not committed yet')")
        for command in (["roll-back"], ["promote", "--model-version", "1", "--reason", "at once"]):
            done = rolling.recjobs(*command)
            assert done.code == 75
            assert "right now" in done.message
        other.rollback()
    assert rolling.recjobs("roll-back").code == 0


def test_advisory_locks_that_anybody_holds_stop_no_flip_and_no_migration(rolling: World):
    other = rolling.postgres.connect("admin", rolling.name)
    with contextlib.closing(other), other.cursor() as cursor:
        keys = ("'recjobs.flip.' || current_schema()", "'recjobs.load.' || current_schema()", "'recjobs.migrate'")
        for key in keys:
            cursor.execute(f"select pg_advisory_lock(hashtextextended({key}, 0))")
        assert rolling.recjobs("roll-back").code == 0
        migrate_database(Database(rolling.postgres.cluster.url()))
        migrate_catalog(Database(rolling.postgres.cluster.url("recjobs_migrator"), rolling.name), "A shop for tests")


@dataclass
class Watched:
    """What readers saw while three batches were published after a first one, and the last one was rolled back."""

    world: World
    batch_ids: list[str]
    readers: dict[str, Reader]


@pytest.fixture(scope="module")
def watched(make_world: MakeWorld) -> Watched:
    # as many users as it takes for an index to be worth it
    world, batch_ids = prepared(make_world, *DATES, n_users=600)
    assert world.recjobs("publish", "--batch-id", batch_ids[0]).code == 0
    stop = threading.Event()
    readers = {name: Reader(world, statement, stop) for name, statement in READS.items()}
    for reader in readers.values():
        reader.start()
    try:
        for batch_id in batch_ids[1:]:
            assert world.recjobs("publish", "--batch-id", batch_id).code == 0
        assert world.recjobs("roll-back").code == 0
    finally:
        stop.wait(0.3)
        stop.set()
        for reader in readers.values():
            reader.join()
    return Watched(world, batch_ids, readers)


@pytest.mark.parametrize("what", READS)
def test_readers_never_see_an_error_nothing_or_two_batches_at_once(watched: Watched, what: str):
    reader = watched.readers[what]
    assert reader.failure is None
    assert len(reader.seen) > 20
    assert {len(answer) for answer in reader.seen} == {1}


@pytest.mark.parametrize("what", READS)
def test_a_readers_batch_never_goes_back_but_by_the_roll_back(watched: Watched, what: str):
    first, second, third, fourth = watched.batch_ids
    order = [batch_id for batch_id, _ in groupby(answer[0][0] for answer in watched.readers[what].seen)]
    rest = iter([first, second, third, fourth, third])
    assert all(batch_id in rest for batch_id in order), order
    assert (order[0], order[-1]) == (first, third)


def test_what_readers_see_of_a_batch_is_always_all_of_it(watched: Watched):
    world = watched.world
    table = (
        "(select t.batch_id, t.user_id, t.item_ids[1:10] as item_ids, t.scores[1:10] as scores from top_n as t) as t"
    )
    whole = {tuple(row.values()) for row in world.rows(f"{ALL_LISTS} from {table} group by batch_id", role="admin")}
    assert len(whole) == 4
    assert {answer[0] for answer in watched.readers["every list"].seen} <= whole


def plan_of(world: World, statement: str, *parameters: str) -> list[dict[str, Any]]:
    """Every scan of a prepared statement's generic plan, run."""
    connection = world.postgres.connect("admin", world.name)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("set plan_cache_mode = force_generic_plan")
        cursor.execute(f"prepare served as {statement}")
        marks = ", ".join(["%s"] * len(parameters))
        cursor.execute(f"explain (analyze, format json) execute served ({marks})", parameters)
        nodes, found = [cursor.fetchall()[0][0][0]["Plan"]], []
        while nodes:
            node = nodes.pop()
            nodes += node.get("Plans", [])
            if "Relation Name" in node:
                found.append(node)
        return found


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("select item_ids, scores, sources, batch_id from served_lists where user_id = $1", ["u07"]),
        ("select rank, item_id, score, source from recommendations where user_id = $1", ["u07"]),
    ],
)
def test_serving_reads_one_partition_by_its_primary_key(watched: Watched, statement: str, parameters: list[str]):
    scans = [
        scan for scan in plan_of(watched.world, statement, *parameters) if scan["Relation Name"].startswith("top_n")
    ]
    run = [scan for scan in scans if scan["Actual Loops"]]
    assert len(scans) == 4, "all four batches are attached"
    assert [scan["Relation Name"][6:].upper().replace("_", "-") for scan in run] == [watched.world.live()]
    for scan in scans:
        assert scan["Node Type"] == "Index Scan"
        assert scan["Index Name"] == f"{scan['Relation Name']}_pkey"


SLOWLY_PLANNED = """
create function pg_temp.slowly_planned(value text) returns text language plpgsql stable as $$
begin
    if current_setting('tests.planned', true) is null then
        perform pg_sleep(0.5), set_config('tests.planned', 'yes', false);
    end if;
    return value;
end
$$
"""
"""A function that the planner evaluates when it has looked up a table's partitions, and that takes its time there."""


@pytest.fixture
def loaded(make_world: MakeWorld) -> tuple[World, str]:
    """A world with a live batch, and one that is loaded and waits for its flip."""
    world, [live] = prepared(make_world, DATES[0])
    assert world.recjobs("publish", "--batch-id", live).code == 0
    assert world.night("--as-of", DATES[1], kill=BEFORE_IT_IS_ATTACHED).code == -9
    return world, str(world.value("select max(batch_id) from batches"))


def test_a_flip_takes_no_lock_that_a_reader_waits_for(loaded: tuple[World, str]):
    world, batch_id = loaded
    publisher = world.postgres.connect("recjobs_publisher", world.name)
    publisher.autocommit = False
    with contextlib.closing(publisher), publisher.cursor() as cursor:
        cursor.execute("select attach_batch(%s, null, false)", (batch_id,))
        cursor.execute("select publish_batch(%s, null, false, null)", (batch_id,))
        assert cursor.fetchone() == (True,)
        locked = world.rows(
            "select c.relname as name, l.mode from pg_locks as l join pg_class as c on c.oid = l.relation"
            " where l.pid = %s and c.relnamespace = current_schema()::regnamespace",
            publisher.info.backend_pid, role="admin",
        )  # fmt: skip
        publisher.rollback()
    modes = {row["mode"] for row in locked if row["name"] == "top_n"}
    assert modes
    assert "AccessExclusiveLock" not in modes
    exclusive = {row["name"] for row in locked if row["mode"] == "AccessExclusiveLock"}
    assert all(batch_id.lower().replace("-", "_") in name for name in exclusive), exclusive


def test_an_analysts_open_transaction_holds_no_publish_up(loaded: tuple[World, str]):
    world, batch_id = loaded
    analyst = world.postgres.connect("recjobs_reader", world.name)
    analyst.autocommit = False
    with contextlib.closing(analyst), analyst.cursor() as cursor:
        cursor.execute("select count(*) from recommendations")
        assert world.recjobs("publish", "--batch-id", batch_id).code == 0
        cursor.execute("select distinct batch_id from recommendations")
        assert cursor.fetchall() == [(batch_id,)]


def test_a_statement_that_was_planned_before_a_batch_was_attached_does_not_meet_it(loaded: tuple[World, str]):
    """A plan made before ATTACH knows no table of the new batch, and reads the pointer only when it runs. Here planning
    takes half a second, so that both can happen in between."""
    world, batch_id = loaded
    found: list[Any] = []

    def read() -> None:
        reader = world.postgres.connect("admin", world.name)
        with contextlib.closing(reader), reader.cursor() as cursor:
            cursor.execute(SLOWLY_PLANNED)
            cursor.execute("select batch_id from served_lists where user_id = pg_temp.slowly_planned('u07')")
            found.extend(cursor.fetchall())

    thread = threading.Thread(target=read)
    thread.start()
    asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and query like '%%slowly_planned%%'"
    while not world.value(asleep, role="admin"):
        assert thread.is_alive()
    for flip in ("attach_batch(%s, null, false)", "publish_batch(%s, null, false, null)"):
        world.rows(f"select {flip}", batch_id, role="recjobs_publisher")
    assert world.live() == batch_id
    thread.join()
    assert len(found) == 1
