"""Rolling back goes to what was live before, by the publish log, in whatever order the nights were published."""

import psycopg2
import pytest

from recjobs.adapters.postgres import Database
from tests.batches import catalog_without_batches, publish
from tests.worlds import MakeWorld, World


@pytest.fixture
def empty(make_world: MakeWorld) -> World:
    """A catalog in which nothing is published."""
    return catalog_without_batches(make_world)


def back(world: World, batch_id: str | None = None) -> str:
    return str(world.value("select roll_back(%s, 'a test')", batch_id, role="recjobs_publisher"))


def is_marked(world: World, batch_id: str) -> bool:
    return bool(world.value("select rolled_back_at is not null from batches where batch_id = %s", batch_id))


def refused(world: World) -> bool:
    with pytest.raises(psycopg2.Error, match=f"there is no earlier batch than {world.live()}"):
        back(world)
    return True


def test_after_a_forced_older_night_it_goes_to_the_batch_that_was_live_before(empty: World):
    first, second = publish(empty, 5), publish(empty, 6)
    older = publish(empty, 2, forced=True)
    assert back(empty) == second
    assert is_marked(empty, older)
    assert back(empty) == first
    assert refused(empty)


def test_a_forced_older_night_is_gone_back_to_like_any_other(empty: World):
    first, older, last = publish(empty, 5), publish(empty, 2, forced=True), publish(empty, 7)
    assert back(empty) == older
    assert not is_marked(empty, older)
    assert back(empty) == first
    assert (is_marked(empty, last), is_marked(empty, older)) == (True, True)


def test_it_goes_on_back_and_never_to_what_was_rolled_back(empty: World):
    batch_ids = [publish(empty, day) for day in range(4)]
    assert back(empty) == batch_ids[2]
    assert back(empty, batch_ids[3]) == batch_ids[3], "forward again"
    assert back(empty) == batch_ids[2]
    assert back(empty, batch_ids[0]) == batch_ids[0], "over one, which was not live since"
    assert refused(empty)
    last = publish(empty, 6)
    assert back(empty) == batch_ids[0], "what was live before it, not what is next to it"
    assert is_marked(empty, last)


def test_prune_keeps_the_batch_that_it_goes_to(empty: World):
    batch_ids = [publish(empty, day) for day in range(10, 17)]
    older = publish(empty, 2, forced=True)
    batch_ids.append(publish(empty, 17))
    with Database(empty.postgres.cluster.url("recjobs_migrator"), empty.name).connect() as session:
        session.rows("become_owner")
        prunable = [row["batch_id"] for row in session.rows("prunable_batches", keep=5)]
    assert prunable == batch_ids[:3]
    assert back(empty) == older
