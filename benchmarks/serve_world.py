"""A million finished lists in a Postgres of their own, put there by the product's functions as a night does it."""

import math
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from local import ports, postgres_binaries, socket_folder
from local.postgres import Cluster
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from recjobs.core import copy_format
from recjobs.steps.publish import ROWS, partition

CATALOG = "bench"
N_ITEMS, STORED, SERVED = 26_744, 100, 50
UNKNOWN_EVERY = 50
"""Of the visitors each fiftieth has no list."""
EXPONENT = 1.05
"""A visitor's rank by frequency is Zipf-distributed."""
BATCH_ID = "20260101T030000Z-1"
CATEGORIES = [f"category {k}" for k in range(40)]
WORDS = ["blue", "steel", "garden", "paper", "lantern", "small", "bright", "travel", "oak", "kitchen", "winter", "lamp"]


@dataclass(frozen=True)
class World:
    """A running Postgres with `n_users` lists live in the catalog `bench`."""

    cluster: Cluster
    n_users: int

    @property
    def n_visitors(self) -> int:
        """Users and unknown visitors."""
        return visitors_of(self.n_users)

    def database(self, role: str) -> Database:
        """The catalog as one of the product's roles."""
        return Database(self.cluster.url(f"recjobs_{role}"), CATALOG)

    def libpq(self, role: str) -> dict[str, str]:
        """How Postgres' own programs connect, as they read it from their environment."""
        cluster = self.cluster
        given = {"HOST": socket_folder.of(cluster.home), "PORT": cluster.port, "USER": role, "PASSFILE": cluster.pgpass}
        return {f"PG{name}": str(value) for name, value in given.items()} | {"PGDATABASE": "recjobs"}


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


def item_ids() -> pa.Array:
    """Ids of ten characters, as large shops have them."""
    return pa.array([f"B{k * 2_654_435_761 % 36**6:09X}" for k in range(1, N_ITEMS + 1)])


def titles() -> list[str]:
    """What the items are called."""
    return [f"{WORDS[k % 12]} {WORDS[k // 12 % 12]} {WORDS[k // 144 % 12]} no {k}" for k in range(N_ITEMS)]


def build(state: Path, n_users: int) -> World:
    """Start the server in `state` and publish the lists, unless they are live there from an earlier run."""
    state.mkdir(parents=True, exist_ok=True)
    world = World(Cluster(state, ports.any_free()), n_users)
    world.cluster.start()
    migrate_database(Database(world.cluster.url()))
    migrate_catalog(Database(world.cluster.url("recjobs_migrator"), CATALOG), "A million lists")
    with world.database("loader").connect() as loader, world.database("publisher").connect() as publisher:
        live = loader.row("live_batch")
        if live and live["n_users"] == n_users:
            return world
        if live:
            world.cluster.stop()
            raise SystemExit(f"{state} holds {live['n_users']:,} lists, not {n_users:,}: remove it, or say --users")
        publisher.rows(
            "register_model", model_version="1", batch_id=BATCH_ID, uri="nowhere", sha256="0" * 64,
            data_cutoff="2026-01-01T00:00:00Z", recipe={},
        )  # fmt: skip
        loader.row("stage_batch", record=_record(n_users))
        for table, rows in (
            ("top_n", _lists(n_users)),
            ("item_records", _items()),
            ("popular_lists", _popular()),
        ):
            loader.copy(f"copy_{table}", copy_format.stream(rows), {"partition": partition(table, BATCH_ID)})
        loader.rows("seal_batch", batch_id=BATCH_ID)
        flip = {"batch_id": BATCH_ID, "pinned_champion": None, "forced": False}
        publisher.rows("attach_batch", **flip)
        publisher.rows("publish_batch", reason=None, **flip)
    # As autovacuum would within the minute, amid the measuring.
    vacuum = [postgres_binaries.find() / "vacuumdb", "--quiet", "--analyze"]
    subprocess.run(vacuum, check=True, env=os.environ | world.libpq("admin"))
    return world


def _record(n_users: int) -> dict[str, object]:
    return {
        "batch_id": BATCH_ID, "as_of": "2026-01-01T03:00:00Z", "attempt": 1, "computed_at": "2026-01-01T03:10:00Z",
        "model_version": "1", "champion_version": "1", "n_users": n_users, "n_items": N_ITEMS,
        "n_interactions": 20 * n_users, "top_n_stored": STORED, "top_n_served": SERVED, "input_hash": "none",
        "checksum": str(n_users), "code_version": "bench",
    }  # fmt: skip


def _lists(n_users: int) -> Iterator[memoryview]:
    """Four of five lists are the model's alone; the fifth has 60 items of its own and is filled up."""
    n_visitors = visitors_of(n_users)
    assert math.gcd(7_919, n_visitors) == 1, f"ids would not be distinct: say another number than {n_users:,} users"
    known = np.arange(1, n_visitors + 1)
    known = known[known % UNKNOWN_EVERY > 0]
    rng, ids = np.random.default_rng(7), item_ids()
    for first in range(0, known.size, ROWS):
        rank = known[first : first + ROWS]
        starts, steps = rng.integers(0, N_ITEMS, rank.size), rng.integers(1, N_ITEMS // STORED, rank.size)
        items = (starts[:, None] + steps[:, None] * np.arange(STORED)) % N_ITEMS
        scores = np.sort(rng.random((rank.size, STORED), np.float32))[:, ::-1]
        offsets = pa.array(np.arange(0, items.size + 1, STORED, dtype=np.int32))
        short = rank % 5 == 0
        yield copy_format.rows(
            [
                copy_format.constant_text(BATCH_ID),
                copy_format.text(pa.array(user_ids(rank, n_visitors)).cast(pa.string())),
                copy_format.text_array(pa.ListArray.from_arrays(offsets, ids.take(pa.array(items.ravel())))),
                copy_format.float_array(pa.ListArray.from_arrays(offsets, pa.array(scores.ravel()))),
                copy_format.constant_text("als"),
                copy_format.number(pa.array(np.where(short, 60, STORED)), ">i2"),
                copy_format.number(pa.array(np.where(short, 20, 0)), ">i2"),
            ],
            rank.size,
        )


def _items() -> Iterator[memoryview]:
    ids = item_ids().to_pylist()
    rows = {
        "title": pa.array(titles()),
        "categories": pa.array([[CATEGORIES[k % len(CATEGORIES)]] for k in range(N_ITEMS)]),
        "price": pa.array([k % 5000 / 100 for k in range(N_ITEMS)]),
        "url": pa.array([f"https://shop.example/items/{item}" for item in ids]),
        "image": pa.array([f"https://shop.example/images/{item}.webp" for item in ids]),
    }
    yield copy_format.rows(
        [
            copy_format.constant_text(BATCH_ID),
            copy_format.text(pa.array(ids)),
            copy_format.text(rows["title"]),
            copy_format.text_array(rows["categories"]),
            copy_format.number(rows["price"], ">f8"),
            copy_format.text(rows["url"]),
            copy_format.text(rows["image"]),
            copy_format.boolean(pa.array([True] * N_ITEMS)),
            copy_format.number(pa.array([9] * N_ITEMS, pa.int32()), ">i4"),
        ],
        N_ITEMS,
    )


def _popular() -> Iterator[memoryview]:
    """`all`, and a list for each category, 500 items each."""
    ids = item_ids().to_pylist()
    lists = {"all": ids[:500]}
    for k, name in enumerate(CATEGORIES):
        lists[f"category:{name}"] = ids[k :: len(CATEGORIES)][:500]
    scores = [[1 / (rank + 1) for rank in range(len(items))] for items in lists.values()]
    yield copy_format.rows(
        [
            copy_format.constant_text(BATCH_ID),
            copy_format.text(pa.array(list(lists))),
            copy_format.text_array(pa.array(list(lists.values()))),
            copy_format.float_array(pa.array(scores, pa.list_(pa.float32()))),
        ],
        len(lists),
    )
