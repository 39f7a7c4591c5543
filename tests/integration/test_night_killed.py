"""kill -9 at any moment of a night, then the same command again: it completes as if nothing had happened."""

import re

import pytest

from recjobs import NIGHT
from tests.commands import Kill
from tests.worlds import EARLIER, MakeWorld, World

pytestmark = pytest.mark.soak

FILES, CALL = "recjobs.adapters.artifacts:StepFiles", "recjobs.adapters.postgres:Session.call"
REGISTRY, PUBLISH = "recjobs.adapters.mlflow_registry:Registry", "recjobs.steps.publish"


def uncounted(step: str) -> Kill:
    """Everything of a step is written, but for the manifest that makes it count."""
    return Kill(f"{FILES}.put", "before", (f"/{step}", "manifest.json"))


MOMENTS = [
    Kill("recjobs.adapters.migrations:_apply", "before"),
    Kill("recjobs.adapters.migrations:_apply", "after"),
    Kill("recjobs.adapters.migrations:_apply_objects", "after"),
    uncounted("begin"),
    Kill(f"{FILES}.sink", "before", ("/extract",)),
    *map(uncounted, ("extract", "validate", "split", "train", "evaluate", "gate")),
    Kill(f"{REGISTRY}.register", "after"),
    Kill(CALL, "after", ("register_model_version",)),
    uncounted("refit"),
    Kill(f"{FILES}.checkpoint", "after", ("/score",)),
    uncounted("score"),
    uncounted("inspect"),
    Kill(CALL, "after", ("stage_batch",)),
    Kill(f"{PUBLISH}:_encoded", "midway"),
    Kill(CALL, "before", ("seal_batch",)),
    Kill(CALL, "after", ("seal_batch",)),
    Kill(CALL, "after", ("record_night",)),
    Kill(CALL, "after", ("attach_batch",)),
]
"""Moments of a night before its batch is live, in order."""
LATE_MOMENTS = [
    Kill(CALL, "after", ("publish_batch",)),
    Kill(f"{PUBLISH}:let_alias_follow", "after"),
    uncounted("publish"),
    Kill(CALL, "after", ("record_report",)),
    Kill(f"{REGISTRY}.attach", "after"),
    uncounted("report"),
]
"""Moments after that."""


def list_tables(world: World) -> set[str]:
    """Every table that holds lists of one batch, attached or not."""
    tables = world.rows(
        "select relname as name from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r'"
        " and relname ~ '_[0-9]{8}t[0-9]{6}z_[0-9]+$'",
        role="admin",
    )
    return {row["name"] for row in tables}


def test_a_night_killed_at_every_step_publishes_once_what_an_undisturbed_one_does(
    make_world: MakeWorld, published: World
):
    world = make_world()
    before = world.publish("--as-of", EARLIER)
    as_published = world.rows("select * from served_lists order by user_id")
    tables_before = list_tables(world)
    steps = {part[1:] for kill in MOMENTS + LATE_MOMENTS for part in kill.having if part.startswith("/")}
    assert steps >= {"begin", *NIGHT} - {"publish"}

    for kill in MOMENTS:
        done = world.night(kill=kill)
        assert done.code == -9, f"not killed {kill}: {done.code}, {done.err}"
        assert world.live() == before, f"killed {kill}, yet the pointer moved"
    assert world.rows("select * from served_lists order by user_id") == as_published
    for kill in LATE_MOMENTS:
        done = world.night(kill=kill)
        assert done.code == -9, f"not killed {kill}: {done.code}, {done.err}"
        assert world.live() != before, f"killed {kill}, yet the pointer is back"
    last = world.night()
    assert last.code == 0, last.err

    undisturbed = published.rows(
        "select batch_id, checksum, n_users, n_items, n_interactions from batches order by as_of"
    )
    made = world.rows("select batch_id, checksum, n_users, n_items, n_interactions from batches order by as_of")
    assert made == undisturbed
    assert world.live() == last.json["batch_id"] == made[-1]["batch_id"]
    log = world.rows("select action, batch_id, previous_batch_id from publish_log order by log_id")
    assert log == [
        {"action": "publish", "batch_id": before, "previous_batch_id": None},
        {"action": "publish", "batch_id": world.live(), "previous_batch_id": before},
    ]
    grown = {re.sub(r"_\d{8}t.*", "", name) for name in list_tables(world) - tables_before}
    assert len(list_tables(world)) == 10
    assert grown == {"top_n", "similar_lists", "popular_lists", "item_records", "history_lists"}
    assert world.value("select count(*) from models", role="admin") == 2
    assert world.night().json["nothing_new"]


def test_a_first_night_killed_while_it_makes_the_schema_makes_it_the_next_time(make_world: MakeWorld):
    world = make_world()
    for moment in ("backends.base:DatabaseBackend.to_apply", "migrations:Migration.process_steps"):
        done = world.night("--as-of", EARLIER, kill=Kill(f"yoyo.{moment}", "after"))
        assert done.code == -9, f"not killed after {moment}: {done.err}"
    done = world.recjobs("begin", "--as-of", EARLIER, "--json")
    assert done.code == 0, done.err
    assert world.value("select count(*) from batches") == 0


@pytest.mark.parametrize("moment", ["stage_batch", "seal_batch"])
def test_a_killed_publisher_blocks_nobody(make_world: MakeWorld, moment: str):
    """The lock that only one process loads goes with its connection."""
    world = make_world()
    assert world.night("--as-of", EARLIER, kill=Kill(CALL, "after", (moment,))).code == -9
    assert world.night("--as-of", "2025-06-19").code == 0
    assert (world.live() or "").startswith("20250620T")
