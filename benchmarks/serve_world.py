"""A million finished lists in a Postgres of their own, put there by the product's functions as a night does it."""

import itertools
import math
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from local import ports, postgres_binaries, socket_folder
from local.postgres import Cluster
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database, Session
from recjobs.core.lists import copy_format
from recjobs.steps.publish import ROWS, field, partition

CATALOG = "bench"
N_ITEMS, STORED, SERVED = 26_744, 100, 50
UNKNOWN_EVERY = 50
"""Of the visitors each fiftieth has no list."""
EXPONENT = 1.05
"""A visitor's rank by frequency is Zipf-distributed."""
N_BATCHES, N_CATEGORIES, N_SEEN, N_REASONS = 5, 40, 20, 15
WORDS = ["blue", "steel", "garden", "paper", "lantern", "small", "bright", "travel", "oak", "kitchen", "winter", "lamp"]


@dataclass(frozen=True)
class Shape:
    """How large a catalog is: users with a list, items, and their categories, one each."""

    n_users: int
    n_items: int = N_ITEMS
    n_categories: int = N_CATEGORIES


@dataclass(frozen=True)
class World:
    """A running Postgres with `n_users` lists live in a catalog."""

    cluster: Cluster
    n_users: int
    catalog: str = CATALOG

    @property
    def n_visitors(self) -> int:
        """Users and unknown visitors."""
        return visitors_of(self.n_users)

    def database(self, role: str) -> Database:
        """The catalog as one of the product's roles."""
        return Database(self.cluster.url(f"recjobs_{role}"), self.catalog)

    def libpq(self, role: str) -> dict[str, str]:
        """How Postgres' own programs connect, as they read it from their environment."""
        cluster = self.cluster
        variables = {
            "HOST": socket_folder.of(cluster.home),
            "PORT": cluster.port,
            "USER": role,
            "PASSFILE": cluster.pgpass,
        }
        return {f"PG{name}": str(value) for name, value in variables.items()} | {"PGDATABASE": "recjobs"}


def visitors_of(n_users: int) -> int:
    """How many visitors there are when n_users of them have a list."""
    return n_users + n_users // (UNKNOWN_EVERY - 1)


def user_ids(rank: np.ndarray, n_visitors: int) -> np.ndarray:
    """A visitor's id, in no order of their frequency; pgbench computes the same (`serve.PGBENCH`)."""
    return 1_000_000_000 + rank * 7_919 % n_visitors


def drawn_ids(n_visitors: int, n: int, seed: int) -> list[str]:
    """n visitors' ids, drawn by Zipf's law."""
    cumulative = np.cumsum(np.arange(1, n_visitors + 1) ** -EXPONENT)
    places = np.random.default_rng(seed).random(n) * cumulative[-1]
    return [str(user) for user in user_ids(np.searchsorted(cumulative, places) + 1, n_visitors)]


def item_ids(n_items: int = N_ITEMS) -> pa.Array:
    """Ids of ten characters, as large shops have them."""
    return pa.array([f"B{k * 2_654_435_761 % 36**6:09X}" for k in range(1, n_items + 1)])


def titles(n_items: int = N_ITEMS) -> list[str]:
    """What the items are called."""
    return [f"{WORDS[k % 12]} {WORDS[k // 12 % 12]} {WORDS[k // 144 % 12]} no {k}" for k in range(n_items)]


def category_of(item: int, n_categories: int = N_CATEGORIES) -> str:
    """An item's one category."""
    return f"category {item % n_categories}"


def build(state: Path, n_users: int) -> World:
    """Start the server in `state` and publish the lists, unless they are live there from an earlier run."""
    world = started(state, n_users)
    if fill(world, Shape(n_users)):
        vacuum(world)
    return world


def started(state: Path, n_users: int) -> World:
    """Start the server in `state`, with the product's roles and, if it is new, no catalog."""
    state.mkdir(parents=True, exist_ok=True)
    world = World(Cluster(state, ports.any_free()), n_users)
    world.cluster.start()
    migrate_database(Database(world.cluster.url()))
    return world


def fill(world: World, shape: Shape, n_batches: int = N_BATCHES) -> bool:
    """Publish the lists of a catalog; return whether that was to be done, or they are live from an earlier run.

    All batches before the live one, as many as a night leaves attached, are small: a plan looks at each. Exits where
    other lists are live.
    """
    migrate_catalog(Database(world.cluster.url("recjobs_migrator"), world.catalog), "Lists to be served")
    with world.database("loader").connect() as loader, world.database("publisher").connect() as publisher:
        live = loader.row("live_batch")
        if live and live["n_users"] == shape.n_users:
            return False
        if live:
            state = world.cluster.state
            world.cluster.stop()
            raise SystemExit(
                f"{state} holds {live['n_users']:,} lists, not {shape.n_users:,}: remove it, or say --users"
            )
        small = replace(shape, n_users=min(shape.n_users, 1_000))
        for day in range(1, 1 + n_batches):
            _publish(loader, publisher, day, shape if day == n_batches else small)
    return True


def vacuum(world: World) -> None:
    """Do as autovacuum would within the minute, amid the measuring."""
    command = [str(postgres_binaries.find() / "vacuumdb"), "--quiet", "--analyze"]
    subprocess.run(command, check=True, env=os.environ | world.libpq("admin"))


def _publish(loader: Session, publisher: Session, day: int, shape: Shape) -> None:
    batch_id, as_of, version = f"202601{day:02}T030000Z-1", f"2026-01-{day:02}T03:00:00Z", str(day)
    publisher.call(
        "register_model", version=version, batch=batch_id, model_uri="nowhere", model_sha256="0" * 64, cutoff=as_of,
        model_recipe={},
    )  # fmt: skip
    record = {
        "batch_id": batch_id, "as_of": as_of, "attempt": 1, "computed_at": as_of, "model_version": version,
        "champion_version": version, "n_users": shape.n_users, "n_items": shape.n_items,
        "n_interactions": N_SEEN * shape.n_users,
        "top_n_stored": STORED, "top_n_served": SERVED, "input_hash": "none", "checksum": str(day),
        "code_version": "bench",
    }  # fmt: skip
    loader.call("stage_batch", record=record)
    for table, parts in (
        ("item_records", _items(shape)),
        ("popular_lists", _popular(shape)),
        ("top_n", _lists(shape)),
        ("history_lists", _histories(shape)),
    ):
        first = next(parts)
        rows = (
            copy_format.rows([copy_format.constant_text(batch_id), *map(field, part.columns)], part.num_rows)
            for part in itertools.chain([first], parts)
        )
        columns = ["batch_id", *first.schema.names]
        loader.copy(partition(table, batch_id), columns, copy_format.stream(rows))
    loader.call("seal_batch", batch=batch_id)
    before = str(day - 1) if day > 1 else None
    publisher.call("attach_batch", batch=batch_id, pinned_champion=before, forced=False)
    publisher.call("publish_batch", batch=batch_id, pinned_champion=before, forced=False, why=None)


def _ranks(n_users: int) -> Iterator[np.ndarray]:
    """The ranks of visitors with a list, some thousand at a time."""
    n_visitors = visitors_of(n_users)
    assert math.gcd(7_919, n_visitors) == 1, f"ids would not be distinct: say another number than {n_users:,} users"
    ranks = np.arange(1, n_visitors + 1)
    ranks = ranks[ranks % UNKNOWN_EVERY > 0]
    yield from (ranks[first : first + ROWS] for first in range(0, ranks.size, ROWS))


def drawn_items(rng: np.random.Generator, n_rows: int, n: int, n_items: int = N_ITEMS) -> np.ndarray:
    """n distinct items for each row."""
    starts, steps = rng.integers(0, n_items, n_rows), rng.integers(1, n_items // n, n_rows)
    return (starts[:, None] + steps[:, None] * np.arange(n)) % n_items


def _arrays(values: np.ndarray | pa.Array, n: int) -> pa.Array:
    """Arrays of n values each."""
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, n, dtype=np.int32)), pa.array(values))


def _lists(shape: Shape) -> Iterator[pa.RecordBatch]:
    """Four of five lists are the model's alone; the fifth has 60 items of its own and is filled up."""
    rng, ids = np.random.default_rng(7), item_ids(shape.n_items)
    for rank in _ranks(shape.n_users):
        items = drawn_items(rng, rank.size, STORED, shape.n_items)
        reasons = drawn_items(rng, rank.size, N_REASONS, shape.n_items)
        scores = np.sort(rng.random((rank.size, STORED), np.float32))[:, ::-1]
        places = rng.integers(1, 1 + N_REASONS, (3, items.size), np.int32)
        short = rank % 5 == 0
        yield pa.record_batch(
            {
                "user_id": pa.array(user_ids(rank, visitors_of(shape.n_users))).cast(pa.string()),
                "item_ids": _arrays(ids.take(pa.array(items.ravel())), STORED),
                "scores": _arrays(scores.ravel(), STORED),
                "source": pa.array(["als"] * rank.size),
                "n_model": pa.array(np.where(short, 60, STORED).astype(np.int16)),
                "n_category": pa.array(np.where(short, 20, 0).astype(np.int16)),
                "segment": pa.nulls(rank.size, pa.string()),
                "reasons": _arrays(ids.take(pa.array(reasons.ravel())), N_REASONS),
                "because": _arrays(places[0] | places[1] << 10 | places[2] << 20, STORED),
            }
        )


def _histories(shape: Shape) -> Iterator[pa.RecordBatch]:
    """What each user has had."""
    rng, ids = np.random.default_rng(8), item_ids(shape.n_items)
    for rank in _ranks(shape.n_users):
        items = drawn_items(rng, rank.size, N_SEEN, shape.n_items)
        at = rng.integers(1_700_000_000, 1_760_000_000, items.size) * 1_000_000
        yield pa.record_batch(
            {
                "user_id": pa.array(user_ids(rank, visitors_of(shape.n_users))).cast(pa.string()),
                "item_ids": _arrays(ids.take(pa.array(items.ravel())), N_SEEN),
                "occurred_at": _arrays(pa.array(at).cast(pa.timestamp("us", "UTC")), N_SEEN),
                "seen": _arrays(items.ravel().astype(np.int32), N_SEEN),
            }
        )


def items(n_items: int = N_ITEMS) -> list[dict[str, Any]]:
    """What is known of each item."""
    return [
        {
            "item_id": item_id,
            "title": title,
            "url": f"https://shop.example/items/{item_id}",
            "image": f"https://shop.example/images/{item_id}.webp",
            "price": k % 5000 / 100,
        }
        for k, (item_id, title) in enumerate(zip(item_ids(n_items).to_pylist(), titles(n_items), strict=True))
    ]


def _items(shape: Shape) -> Iterator[pa.RecordBatch]:
    n = shape.n_items
    known = pa.Table.from_pylist(items(n)).combine_chunks().to_batches()[0]
    rest = {
        "categories": pa.array([[category_of(k, shape.n_categories)] for k in range(n)]),
        "price": known["price"],
        "url": known["url"],
        "image": known["image"],
        "available": pa.array([True] * n),
        "n_users": pa.array([9] * n, pa.int32()),
        "item_idx": pa.array(range(n), pa.int32()),
    }
    yield pa.record_batch({"item_id": known["item_id"], "title": known["title"], **rest})


def _popular(shape: Shape) -> Iterator[pa.RecordBatch]:
    """`all`, and a list for each category, 500 items each."""
    ids = item_ids(shape.n_items).to_pylist()
    lists = {"all": ids[:500]}
    for k in range(shape.n_categories):
        lists[f"category:{category_of(k, shape.n_categories)}"] = ids[k :: shape.n_categories][:500]
    scores = [[1 / (rank + 1) for rank in range(len(items))] for items in lists.values()]
    yield pa.record_batch(
        {
            "segment": pa.array(list(lists)),
            "item_ids": pa.array(list(lists.values())),
            "scores": pa.array(scores, pa.list_(pa.float32())),
        }
    )
