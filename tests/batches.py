"""Batches of one user, made by the functions that the publish step calls: quicker than nights."""

import json
import re

from recjobs.adapters.migrations import migrate_catalog
from recjobs.adapters.postgres import Database
from tests.publishing import LIST_TABLES as TABLES
from tests.worlds import MakeWorld, World, handful


def catalog_without_batches(make_world: MakeWorld) -> World:
    """A world whose catalog is migrated, and nothing is published in it."""
    world = make_world(handful([("u", "i", 1)]))
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), world.name), "A shop for tests")
    return world


def stage(world: World, day: int, model: str | None = None) -> str:
    """Begin to load a batch of a model version, as the publish step does; returns its id."""
    month, day = day // 28 + 1, day % 28 + 1
    batch_id = f"2025{month:02}{day:02}T000000Z-1"
    record = {
        "batch_id": batch_id, "as_of": f"2025-{month}-{day}", "attempt": 1, "computed_at": "2025-01-01", "n_users": 1,
        "n_items": 1, "n_interactions": 1, "top_n_stored": 1, "top_n_served": 1, "input_hash": "h", "checksum": "c",
        "code_version": "1", "model_version": model, "champion_version": model,
    }  # fmt: skip
    assert world.value("select stage_batch(%s)", json.dumps(record), role="recjobs_loader") == "staged"
    return batch_id


def publish(
    world: World, day: int, model: str | None = None, pinned: str | None = None, *, forced: bool = False
) -> str:
    """Publish a batch of one user, by the functions that the publish step calls; pinned: the champion until then."""
    batch_id = stage(world, day, model)
    part = world.value("select partition_name('top_n', %s)", batch_id, role="recjobs_loader")
    row = "(%s, 'u', '{i}', '{1}', 'als', 1, 0)"
    world.rows(f"insert into {part} values {row}", batch_id, role="recjobs_loader")
    world.rows("select seal_batch(%s)", batch_id, role="recjobs_loader")
    given = (batch_id, pinned, forced)
    world.rows("select attach_batch(%s, %s, %s)", *given, role="recjobs_publisher")
    assert world.value("select publish_batch(%s, %s, %s, 'a test')", *given, role="recjobs_publisher")
    return batch_id


def tables(world: World) -> dict[str, int]:
    """How many tables of single batches there are, for each list table."""
    found = world.rows(
        "select relname as name from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r'"
        " and relname ~ '_[0-9]{8}t[0-9]{6}z_[0-9]+$'",
        role="admin",
    )
    names = [re.sub(r"_\d{8}t.*", "", row["name"]) for row in found]
    return {name: names.count(name) for name in TABLES}
