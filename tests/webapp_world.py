"""A small world for the web app's tests: a real Postgres, a shop with odd ids, and a published batch in it.

Lists go in as a night puts them: staged, loaded by the loader,
sealed, published by the publisher.
"""

import json
import random
import weakref
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from flask import Flask
from flask.testing import FlaskClient
from psycopg2.extras import execute_values

from local import ports
from local.postgres import Cluster
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from tests.worlds import Postgres
from webapp import create_app
from webapp.settings import Settings

ODD_IDS = [
    "007", "7", "NA", "null", "None", "\\N", "\\", "1e5", "9223372036854775808", "9007199254740993", "-0", " ",
    " padded ", "tab\there", "line\nfeed", "\u0001", "🙂", "caf\u00e9", "cafe\u0301", "\ufffd", "\U0010ffff", "it's",
    '"quoted"', "a/b", "/", "..", "../etc/passwd", ".", "%2F", "%", "%00", "a+b", "a&n=1", "a;b", "?", "#", "{}",
    "{x,y}", "$1", "%s", "x'; drop table top_n; --", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "x" * 256, "é" * 128,
]  # fmt: skip
STEPS = ["extract", "validate", "split", "train", "evaluate", "gate", "refit", "score", "inspect", "publish", "report"]
FIRST_NIGHT, SECOND_NIGHT, RUNNING_NIGHT = (f"2024010{k}T000000Z-1" for k in (1, 2, 3))
APPS: "weakref.WeakSet[Flask]" = weakref.WeakSet()
PATIENT: dict[str, Any] = {"statement_timeout_ms": 4000, "request_timeout_ms": 5000, "page_timeout_ms": 5000}
"""Settings of an app whose answers a busy machine may take long for; for tests that are not about its limits."""
INERT_TITLE = "<img src=x onerror=alert(1)>"


@dataclass
class Batch:
    """What one night publishes; each list is (item ids, scores). reasons: what speaks for a user's list, and for each
    of its items up to three places in that, packed; links: url and image of an item; gone: what is sold no more."""

    batch_id: str
    as_of: str
    model_version: str = "1"
    items: dict[str, tuple[str | None, list[str] | None, float | None]] = field(default_factory=dict)
    users: dict[str, tuple[list[str], list[float], str, int, int]] = field(default_factory=dict)
    similar: dict[str, tuple[list[str], list[float]]] = field(default_factory=dict)
    together: dict[str, tuple[list[str], list[float]]] = field(default_factory=dict)
    popular: dict[str, tuple[list[str], list[float]]] = field(default_factory=dict)
    history: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    again: dict[str, tuple[list[str], list[float]]] = field(default_factory=dict)
    reasons: dict[str, tuple[list[str], list[int]]] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    links: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    top_n_served: int = 30
    top_n_stored: int = 40
    computed_at: str = "2024-01-02T03:04:05.678Z"


def shop_batch(batch_id: str = "20240101T000000Z-1", seed: int = 1) -> Batch:
    """300 items and 600 customers besides the odd ones; item 1 has a title that would like to be HTML."""
    draw = random.Random(seed)
    item_ids = [f"item{k}" for k in range(300)] + ODD_IDS
    scores = [round(1 / rank, 4) for rank in range(1, 41)]
    batch = Batch(batch_id, as_of=f"{batch_id[:4]}-{batch_id[4:6]}-{batch_id[6:8]}")
    for k, item_id in enumerate(item_ids):
        title = INERT_TITLE if k == 1 else None if k == 2 else f"TITLE OF {k}"
        batch.items[item_id] = (title, [f"kind {k % 3}"] if k % 2 else None, k / 100 if k % 5 else None)
        batch.similar[item_id] = (draw.sample(item_ids, 40), scores)
    del batch.similar["item299"]
    batch.together = {item: (ids[::-1], scores) for item, (ids, _) in batch.similar.items() if item != "item298"}
    for k, user_id in enumerate([f"u{k:04}" for k in range(600)] + ODD_IDS):
        source, n_model, n_category = [("als", 35, 3), ("foldin", 10, 5), ("popular", 0, 0), ("popular", 0, 5)][k % 4]
        batch.users[user_id] = (draw.sample(item_ids, 40), scores, source, n_model, n_category)
        if k % 7:
            batch.history[user_id] = [(item, "2023-12-01T10:00:00Z") for item in draw.sample(item_ids, 12)]
            batch.again[user_id] = ([item for item, _ in batch.history[user_id][:7]], scores[:7])
    more = random.Random(seed)
    for k, user_id in enumerate(batch.users):
        if batch.users[user_id][2] == "als":
            reasons = more.sample(item_ids, 12)
            places = [more.sample(range(1, 13), more.randrange(4)) for _ in range(40)]
            batch.reasons[user_id] = (reasons, [sum(p << 10 * i for i, p in enumerate(some)) for some in places])
        if k % 3:
            batch.seen[user_id] = more.sample([i for i in item_ids if i not in batch.users[user_id][0]], 60)
    for k, item_id in enumerate(item_ids[:200:2]):
        batch.links[item_id] = (f"https://shop.example/{k}", f"https://shop.example/{k}.jpg" if k % 3 else None)
    batch.popular["all"] = (item_ids[:40], scores)
    batch.popular["category:kind 2"] = (item_ids[5:240:6], scores)
    batch.popular["category:kind 1"] = (item_ids[1:10:3], scores[:3])
    batch.popular["category:Tea & <cake>"] = (item_ids[:5], scores[:5])
    return batch


def _exposure(batch: Batch) -> dict[str, list[Any]]:
    lists = [one[0] for one in batch.users.values()]
    served = Counter(item for items in lists for item in items[: batch.top_n_served])
    first = Counter(item for items in lists for item in items[:10])
    return {"item_id": list(served), "n_lists": list(served.values()), "n_top10": [first[item] for item in served]}


def two_nights() -> tuple[Batch, Batch]:
    """Two batches whose difference is known by eye: anna's list, shown to its twentieth item, gained i30 at the third
    rank and lost i19; bert is new. The category Tea gained what Coffee lost; i1 would like to be HTML."""
    items = {
        f"i{k}": (INERT_TITLE if k == 1 else f"Thing {k}", ["Tea" if k >= 30 else "Coffee"], None) for k in range(40)
    }
    before = [f"i{k}" for k in range(25)]
    now = ["i1", "i0", "i30", *before[2:]]
    made = []
    for batch_id, lists in (
        (FIRST_NIGHT, {"anna": before, "carl": before}),
        (SECOND_NIGHT, {"anna": now, "bert": now, "carl": before}),
    ):
        scores = [1 / rank for rank in range(1, 27)]
        batch = Batch(
            batch_id,
            as_of=f"{batch_id[:4]}-{batch_id[4:6]}-{batch_id[6:8]}",
            model_version=batch_id[7],
            items=items,
            top_n_served=25,
        )
        batch.users = {user: (ids, scores[: len(ids)], "als", len(ids), 0) for user, ids in lists.items()}
        batch.similar = {item: (["i2"], [1.0]) for item in items}
        batch.popular = {
            "all": (before, scores[:25]),
            "category:Tea": (["i30"], [1.0]),
            "segment:trade": (["i4"], [1.0]),
        }
        batch.history = {"anna": [("i39", "2023-12-01T10:00:00Z")]}
        made.append(batch)
    return made[0], made[1]


def publish_two_nights(world: "World", catalog: str) -> None:
    """What the nights of `two_nights` leave behind, and a third that has got as far as training."""
    for batch, n_accepted in zip(two_nights(), (9_000, 10_000), strict=True):
        world.note_night(catalog, batch.batch_id, n_accepted)
        world.publish(catalog, batch)
        for step in STEPS:
            world.note_step(catalog, batch.batch_id, step, "running")
            world.note_step(catalog, batch.batch_id, step, "done")
        world.sql(
            "select record_report(%s, '<!doctype html>')", batch.batch_id, role="recjobs_publisher", catalog=catalog
        )
    for step, state in (("extract", "done"), ("validate", "done"), ("split", "done"), ("train", "running")):
        world.note_step(catalog, RUNNING_NIGHT, step, state)


class World:
    """A Postgres server with catalogs in it. `cluster` may be stopped and started."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.start()
        Postgres(cluster).do_not_wait_for_the_disk()
        migrate_database(Database(self.url()))

    def url(self, role: str = "admin") -> str:
        """How a role reaches the database."""
        return self.cluster.url(role, "recjobs")

    def sql(self, statement: str, *parameters: Any, role: str = "admin", catalog: str = "pg_temp") -> list[Any]:
        """Run a statement as a role in a catalog."""
        connection = psycopg2.connect(self.url(role), options=f"-c search_path={catalog},pg_temp")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def make_catalog(self, catalog: str, description: str = "") -> None:
        """A catalog in which nothing is published."""
        migrate_catalog(Database(self.url(), catalog), description)

    def publish(self, catalog: str, batch: Batch) -> None:
        """Write a batch and move the pointer to it."""
        champion = self.sql("select model_version from champion", role="recjobs_loader", catalog=catalog)
        record = {
            "batch_id": batch.batch_id, "as_of": batch.as_of, "attempt": 1, "computed_at": batch.computed_at,
            "model_version": batch.model_version, "champion_version": batch.model_version, "n_users": len(batch.users),
            "n_items": len(batch.items), "n_interactions": 12345, "top_n_stored": batch.top_n_stored,
            "top_n_served": batch.top_n_served, "input_hash": "h", "checksum": batch.batch_id, "code_version": "test",
        }  # fmt: skip
        self.sql(
            "select register_model(%s, %s, 'nowhere', repeat('0', 64), now(), '{}')",
            batch.model_version, batch.batch_id, role="recjobs_publisher", catalog=catalog,
        )  # fmt: skip
        self.sql("select stage_batch(%s)", json.dumps(record), role="recjobs_loader", catalog=catalog)
        place = {item_id: k for k, item_id in enumerate(batch.items)}
        rows: dict[str, list[tuple[Any, ...]]] = {
            "item_records": [
                (i, *known, *batch.links.get(i, (None, None)), i not in batch.gone, 9, place[i])
                for i, known in batch.items.items()
            ],
            "top_n": [
                (u, *one[:5], one[5] if one[5:] else None, *batch.reasons.get(u, (None, None)))
                for u, one in batch.users.items()
            ],
            "similar_lists": [(i, *one, *batch.together.get(i, (None, None))) for i, one in batch.similar.items()],
            "popular_lists": [(s, *one) for s, one in batch.popular.items()],
            "history_lists": [
                (
                    u,
                    [i for i, _ in h],
                    [at for _, at in h],
                    sorted(place[i] for i in batch.seen[u]) if u in batch.seen else None,
                    *batch.again.get(u, (None, None)),
                )
                for u, h in ((u, batch.history.get(u, [])) for u in {**batch.history, **batch.seen})
            ],
        }
        loader = psycopg2.connect(self.url("recjobs_loader"), options=f"-c search_path={catalog},pg_temp")
        with loader, loader.cursor() as cursor:
            for table, values in rows.items():
                cursor.execute("select partition_name(%s, %s)", (table, batch.batch_id))
                part = cursor.fetchall()[0][0]
                cast = (
                    "(%s, %s, %s::text[], %s::timestamptz[], %s::integer[], %s::text[], %s::real[])"
                    if table == "history_lists"
                    else None
                )
                execute_values(cursor, f"insert into {part} values %s", [(batch.batch_id, *v) for v in values], cast)
            cursor.execute("select seal_batch(%s)", (batch.batch_id,))
            counts = json.dumps(_exposure(batch))
            cursor.execute("select record_exposure(%s, %s)", (batch.batch_id, counts))
        loader.close()
        for flip in ("attach_batch(%s, %s, false)", "publish_batch(%s, %s, false, 'test')"):
            self.sql(
                f"select {flip}",
                batch.batch_id, champion[0][0] if champion else None, role="recjobs_publisher", catalog=catalog,
            )  # fmt: skip

    def note_step(self, catalog: str, batch_id: str, step: str, state: str) -> None:
        """Note a step as `recjobs` does."""
        self.sql("select note_step(%s, %s, %s)", batch_id, step, state, role="recjobs_publisher", catalog=catalog)

    def note_night(self, catalog: str, batch_id: str, n_accepted: int, verdict: str = "promoted") -> None:
        """Record what a night read, found and decided, before it publishes."""
        read = {"batch_id": batch_id, "as_of": batch_id[:8], "input_hash": "h", "state": "accepted",
                "n_read": n_accepted + 7, "n_accepted": n_accepted, "n_quarantined": 7,
                **dict.fromkeys(("n_excluded", "n_merged", "n_carried", "n_users", "n_items"), 0)}  # fmt: skip
        finding = {
            "reason": "bad_time",
            "action": "quarantined",
            "column_name": "at",
            "n_rows": 7,
            "example": "<b>soon",
        }
        moved = {"feature": "item_mix", "value": 0.4, "threshold": 0.25, "compared_with": FIRST_NIGHT}
        promotion = {"verdict": verdict, "reason": "better than popular items", "decided_at": batch_id[:8],
                     "metric": "ndcg_at_20", "candidate": 0.12, "champion": 0.11, "baseline": 0.08,
                     "lift": 0.5}  # fmt: skip
        given = [json.dumps(one) for one in (read, [finding], [moved], [])]
        self.sql("select record_input(%s, %s, %s, %s)", *given, role="recjobs_publisher", catalog=catalog)
        given = [batch_id, json.dumps(promotion)]
        self.sql("select record_night(%s, %s, '[]')", *given, role="recjobs_publisher", catalog=catalog)

    def client(self, **settings: Any) -> FlaskClient:
        """A client of the app on this database, with time enough for a busy machine."""
        given = PATIENT | {"request_log": False, "database_url": self.url("recjobs_reader")} | settings
        app = create_app(Settings(**given))
        APPS.add(app)
        return app.test_client()


def close_idle_connections() -> None:
    """Close what the apps of earlier tests hold: the role has a limit, and an app lives until it is collected."""
    for app in list(APPS):
        shared = app.extensions["connection_pool"]._shared
        for pool in shared.pools:
            while pool.idle:
                shared.close(pool.idle.pop())


def free_port() -> int:
    """A TCP port nobody listens on."""
    return ports.any_free()


def start_world(state: Path) -> World:
    """The one place that says where the tests' Postgres comes from."""
    return World(Cluster(state=state, port=free_port()))
