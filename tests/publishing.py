"""Batches that wait to be published, and how to take a published one back as if it had never been."""

from tests.commands import Kill
from tests.worlds import MakeWorld, World, by_chance

LIST_TABLES = ("top_n", "similar_lists", "popular_lists", "item_records", "history_lists")
DATES = ("2025-06-05", "2025-06-12", "2025-06-19", "2025-06-26")
BEFORE_PUBLISHING = Kill("recjobs.steps.publish:run", "before")
BEFORE_IT_IS_ATTACHED = Kill("recjobs.adapters.postgres:Session.call", "before", ("attach_batch",))


def prepared(make_world: MakeWorld, *dates: str, n_users: int = 80) -> tuple[World, list[str]]:
    """A world with a night for each date, killed before it published; and their batch ids. Nothing is held out, so no
    candidate is promoted, and no night waits for another one's champion."""
    world = make_world(by_chance(n_users), holdout_days=1e-6)
    nights = [world.start("night", "--as-of", date, kill=BEFORE_PUBLISHING) for date in dates]
    assert [night.wait().code for night in nights] == [-9] * len(dates)
    found = sorted(path.name for path in (world.artifacts / world.name).iterdir())
    assert len(found) == len(dates)
    return world, found


def take_back(world: World, batch_id: str, live: str) -> None:
    """Let a batch never have been loaded, and another one be live."""
    world.rows("update live_batch set batch_id = %s", live, role="admin")
    part = world.value("select partition_name('', %s)", batch_id, role="admin")
    for table in LIST_TABLES:
        world.rows(f"drop table if exists {table}{part}", role="admin")
    for table in ("publish_records", "batch_records"):
        world.rows(f"delete from {table} where batch_id = %s", batch_id, role="admin")
