"""kill -9 of the publisher at random, while others read: nobody sees half a batch, and the next run succeeds."""

import os
import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.list_contract import broken_lists
from tests.publishing import DATES, prepared, take_back
from tests.readers import ALL_LISTS, Reader
from tests.worlds import MakeWorld, World, soak

pytestmark = pytest.mark.soak

ONE_LIST = "select distinct batch_id from recommendations where user_id = 'u07'"
KILLS = [(200, soak(200, share=60))] + ([(40_000, 20)] if os.environ.get("RECJOBS_SOAK") else [])
"""(users, kills): as many lists as a night of 2 million interactions has, in `make soak` only."""
EVERY_LIST = f"{ALL_LISTS} from served_lists group by batch_id"


ATTACHED = """
select exists (select from pg_constraint where conrelid = i.inhrelid and contype = 'p') as has_its_key
from pg_inherits as i
join pg_class as c on c.oid = i.inhrelid and c.relnamespace = current_schema()::regnamespace
where c.relkind = 'r' and c.relname like '%%' || partition_name('', %s)
"""


def what_is_left(world: World, batch_id: str) -> str:
    """How far a killed publisher has come. What readers' plans know is never less than a whole batch."""
    known = [row["has_its_key"] for row in world.rows(ATTACHED, batch_id, role="admin")]
    assert known in ([], [True] * 5), "all of a batch's tables are attached, sealed, or none is"
    if world.live() == batch_id:
        assert known
        return "live"
    if known:
        return "attached"
    return "tables" if world.value("select count(*) from batches where batch_id = %s", batch_id) else "nothing"


@pytest.mark.parametrize(("n_users", "n_kills"), KILLS)
def test_a_publisher_killed_at_any_moment_shows_nobody_half_a_batch(
    make_world: MakeWorld, figure: Callable[[str], None], n_users: int, n_kills: int
):
    world, (before, batch_id) = prepared(make_world, *DATES[:2], n_users=n_users)
    assert world.recjobs("publish", "--batch-id", before).code == 0
    began = time.monotonic()
    assert world.recjobs("publish", "--batch-id", batch_id).code == 0
    took = time.monotonic() - began
    whole = {tuple(world.rows(EVERY_LIST)[0].values())}
    assert broken_lists(world, batch_id) == {}
    take_back(world, batch_id, before)
    whole.add(tuple(world.rows(EVERY_LIST)[0].values()))

    stop, draw, left = threading.Event(), random.Random(5), dict.fromkeys(("nothing", "tables", "attached", "live"), 0)
    readers = [Reader(world, statement, stop) for statement in (EVERY_LIST, ONE_LIST)]
    for reader in readers:
        reader.start()
    try:
        for k in range(n_kills):
            publisher = world.start("publish", "--batch-id", batch_id)
            time.sleep(took * draw.random() ** 2)  # what matters happens early; later it talks to MLflow
            publisher.kill()
            assert publisher.wait().code in (-9, 0)
            left[what_is_left(world, batch_id)] += 1
            done = world.recjobs("publish", "--batch-id", batch_id)
            assert done.code == 0, f"after kill {k}: {done.err}"
            assert world.live() == batch_id
            assert broken_lists(world, batch_id) == {}
            assert world.value("select count(*) from publish_log where batch_id = %s", batch_id) == 1
            take_back(world, batch_id, before)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    for reader in readers:
        assert reader.failure is None
        assert {len(answer) for answer in reader.seen} == {1}
    assert {answer[0] for answer in readers[0].seen} == whole
    assert {answer[0][0] for answer in readers[1].seen} <= {before, batch_id}
    figure(
        f"P2: {sum(left.values())} kills of a publisher of {n_users:,} lists that takes {took:.2f} s; they left {left};"
        f" {sum(len(reader.seen) for reader in readers)} reads, none of half a batch"
    )
