"""A small model of what meets at the pointer: each pair of transactions, in every order of their steps, in Postgres.

Whatever the order, every reader sees whole lists of one batch with the rules that were committed, at every moment, and
who cannot go on is told so.
"""

import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local import ports
from local.postgres import Cluster
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from tests.interleaving import Actor, Interleaving, orders
from tests.publishing import LIST_TABLES
from tests.worlds import Postgres, soak

CONTRACT = (Path(__file__).parent.parent / "pointer_contract.sql").read_text()
CATALOG = "shop"
IN_MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 * 2**30
A, B, C, D = (f"2025010{day}T000000Z-1" for day in (1, 2, 3, 4))
"""The batch before the live one, the live one, one that is loaded, one that is to be loaded."""
ITEMS = [f"i{k}" for k in range(6)]
TEA = {A: ("i0", "i1"), B: ("i2", "i3"), C: ("i4", "i5"), D: ("i0", "i5")}
"""What is tea in which batch: a rule on the category hides other items in each."""
TOLD = {"RJ065", "RJ075", "RJ076", "40001", "40P01", "22012", "no row"}
"""How a transaction may end that cannot go on."""

BLOCK = json.dumps({"kind": "block", "category": "tea", "author": "ann", "allow_unknown": True})
ADD = f"select add_rule('{BLOCK}')"
OTHER = "insert into rules (kind, item_id, author) values ('block', 'i1', 'ben')"
READ_COMMITTED, REPEATABLE = "begin", "begin isolation level repeatable read"
LOADING = "select 1 / pg_try_advisory_lock(hashtextextended('recjobs.load.' || current_schema(), 0))::integer"
"""As the publish step does, which gives up where we divide by zero."""
MARK = (Path(__file__).parents[2] / "sql/queries/prune/mark_pruned.sql").read_text().replace("%(batch_id)s", f"'{A}'")


def part(table: str, batch_id: str) -> str:
    return f"{table}_{batch_id.lower().replace('-', '_')}"


def record(batch_id: str) -> str:
    day = int(batch_id[7])
    model = f"m{day}"
    return json.dumps({
        "batch_id": batch_id, "as_of": f"2025-01-0{day}", "attempt": 1, "computed_at": "2025-01-01", "n_users": 3,
        "n_items": 6, "n_interactions": 1, "top_n_stored": 6, "top_n_served": 3, "input_hash": "h", "checksum": "c",
        "code_version": "1", "model_version": model, "champion_version": model,
    })  # fmt: skip


def load(batch_id: str) -> list[str]:
    """As the loader does it; the lists of each batch begin elsewhere."""
    day = int(batch_id[7])
    items = [f"({batch_id!r}, {i!r}, array[{'tea' if i in TEA[batch_id] else 'other'!r}], true, 1, {k})"
             for k, i in enumerate(ITEMS)]  # fmt: skip
    order = {u: ITEMS[(u + day) % 6 :] + ITEMS[: (u + day) % 6] for u in range(3)}
    lists = [f"({batch_id!r}, 'u{u}', array{of_u}, '{{6,5,4,3,2,1}}', 'als', 6, 0)" for u, of_u in order.items()]
    return [
        f"select register_model('m{day}', '{batch_id}', 'nowhere', repeat('0', 64), now(), '{{}}')",
        f"select stage_batch('{record(batch_id)}')",
        f"insert into {part('item_records', batch_id)} (batch_id, item_id, categories, available, n_users, item_idx)"
        f" values {', '.join(items)}",
        f"insert into {part('top_n', batch_id)} (batch_id, user_id, item_ids, scores, source, n_model, n_category)"
        f" values {', '.join(lists)}",
        f"select seal_batch('{batch_id}')",
    ]


def publish(batch_id: str, champion: str | None) -> list[str]:
    pinned = f"'{champion}'" if champion else "null"
    return [
        f"select attach_batch('{batch_id}', {pinned}, false)",
        f"select publish_batch('{batch_id}', {pinned}, false, null)",
    ]


def actor(
    name: str, role: str, *steps: str | tuple[str, ...], before: tuple[str, ...] = (), row: tuple[int, ...] = ()
) -> Actor:
    whole = tuple(step if isinstance(step, tuple) else (step,) for step in steps)
    return Actor(name, f"recjobs_{role}", whole, before, frozenset(row))


DETACH = [f"alter table {t} detach partition {part(t, A)} concurrently" for t in LIST_TABLES]
ATTACH, FLIP = publish(C, "m2")
ADDED = (f"select add_rule('{BLOCK}')",)
FLIPS = (
    actor("publish", "publisher", (LOADING, ATTACH), ("begin", FLIP), "commit"),
    actor("roll back", "editor", ("begin", "select roll_back(null, 'x')"), "commit"),
    actor("roll back, reading as of before", "publisher", (REPEATABLE, "select count(*) from batches"),
          f"select roll_back('{A}', 'x')", "commit"),
    actor("promote", "publisher", ("begin", "select promote_model('m1', 'x')"), "commit"),
)  # fmt: skip
OTHERS = (
    actor("prune what is before", "migrator", ("set role recjobs_owner", "begin", "select take_turn()", MARK), "commit",
          (*DETACH, f"drop table {', '.join(part(t, A) for t in LIST_TABLES)}"), row=(0,)),
    actor("load another", "loader", (LOADING, f"select stage_batch('{record(D)}')"), f"select seal_batch('{D}')"),
    actor("decide a challenger", "publisher", ("begin", f"select decide_challenger('s', '{C}', 'promoted', false)"),
          "commit"),
)  # fmt: skip
EDITORS = (
    actor("add the first rule", "editor", ("begin", ADD), "commit"),
    actor("add two rules", "editor", ("begin", ADD), OTHER, "commit"),
    actor("add a rule, reading as of before", "editor", (REPEATABLE, "select count(*) from rules"), ADD, "commit"),
    actor("remove a rule", "editor", ("begin", "select remove_rule(1, 'ann')"), "commit", before=ADDED),
    actor("restore a rule", "editor", ("begin", "select restore_rule(1, 'ann')"), "commit",
          before=(*ADDED, "select remove_rule(1, 'ann')")),
    actor("end a rule", "editor",
          ("begin", "update rules set ends_at = now() + interval '1 us' where rule_id = 1"), "commit", before=ADDED),
    actor("try a rule", "editor", ("begin", f"select try_rule('{BLOCK}', 100)"), "commit"),
)  # fmt: skip
IMPATIENT = actor(
    "add a rule, constraints immediate", "editor", ("begin", "set constraints all immediate", ADD), "commit"
)
PAIRS = [
    (one, other)
    for one, other in itertools.combinations_with_replacement((*FLIPS, *OTHERS, *EDITORS, IMPATIENT), 2)
    if (one.before in ((), other.before) or not other.before)
    and not one.name == other.name == "prune what is before"  # one drops what the other looks for: not at the pointer
]
CASES = [(pair, order) for pair in PAIRS for order in orders(*(len(one.steps) for one in pair))]


class Shop:
    """Copies of a database in which A and B were published, B is live, and C is loaded."""

    def __init__(self, postgres: Postgres) -> None:
        self._cluster, self._numbers = postgres.cluster, itertools.count(1)
        self._admin = self.connect("admin", database="recjobs")
        self.database = "pointer_template"
        self._run(f"create database {self.database}")
        migrate_database(Database(self._cluster.url("admin", self.database)))
        migrate_catalog(Database(self._cluster.url("recjobs_migrator", self.database), CATALOG), "")
        with contextlib.closing(self.connect("admin")) as connection, connection.cursor() as cursor:
            # for LOADING: the step holds the row of lock_loading in a session of its own, where an actor has one only
            cursor.execute("grant execute on function pg_try_advisory_lock(bigint) to recjobs_publisher")
            cursor.execute(f"select register_model('m4', '{D}', 'nowhere', repeat('0', 64), now(), '{{}}')")
            for statement in (*load(A), *publish(A, None), *load(B), *publish(B, "m1"), *load(C)):
                cursor.execute(statement)
            cursor.execute(
                "select record_challenger(%s)",
                (json.dumps({"study_id": "s", "as_of": "2025-01-01", "data_cutoff": "2025-01-01", "recipe": {},
                             "base_recipe": {}, "value": 1, "base_value": 1, "n_trials": 1}),),
            )  # fmt: skip
            cursor.execute("select batch_id from live_batch")
            assert cursor.fetchall() == [(B,)]

    def connect(self, role: str, asynchronous: bool = False, database: str | None = None) -> Any:
        """A connection to the copy of now; in autocommit mode, if it is not asynchronous."""
        url, path = self._cluster.url(role, database or self.database), f"-c search_path={CATALOG},pg_temp"
        connection = psycopg2.connect(url, options=path, async_=asynchronous)
        if not asynchronous:
            connection.autocommit = True
        return connection

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Any]:
        """A copy that nobody has used, as an administrator's connection."""
        template, self.database = self.database, f"pointer_{next(self._numbers)}"
        try:
            self._run(f"create database {self.database} template {template} strategy file_copy")
            with contextlib.closing(self.connect("admin")) as connection:
                yield connection
            self._run(f"drop database {self.database} with (force)")
        finally:
            self.database = template

    def _run(self, statement: str) -> None:
        with self._admin.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """On a server of its own, whose files are in memory where there is room: there a copy takes a tenth of the time."""
    room = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if room else None) as folder:
        cluster = Cluster(Path(folder), ports.any_free())
        try:
            cluster.start()
            postgres = Postgres(cluster)
            postgres.do_not_wait_for_the_disk()
            yield Shop(postgres)
        finally:
            cluster.stop()


def meets(shop: Shop, pair: tuple[Actor, Actor], order: tuple[int, ...]) -> tuple[Interleaving, list[str | None]]:
    """Let two actors meet in this order, and hold the contract against what can be seen after each step."""
    case = f"{pair[0].name} x {pair[1].name}, {order}"
    with shop.fresh() as observer, observer.cursor() as cursor:

        def contract() -> None:
            cursor.execute(CONTRACT)
            assert cursor.fetchall() == [], case

        met = Interleaving(pair, lambda role, asynchronous: shop.connect(role, asynchronous), observer)
        refusals = met.run(order, contract)
        assert {why for why in refusals if why} <= TOLD, (case, refusals)
        cursor.execute("select state from challenger_records")
        assert cursor.fetchall() == [
            ("promoted" if "decide a challenger" in (one.name for one in pair) else "waiting",)
        ]
    return met, refusals


@pytest.mark.soak
def test_no_order_of_two_transactions_at_the_pointer_shows_a_wrong_list(shop: Shop, figure: Callable[[str], None]):
    n = soak(len(CASES), 150)
    told = 0
    for pair, order in CASES[:: len(CASES) // n]:
        met, refusals = meets(shop, pair, order)
        told += sum(why is not None for why in refusals)
        names = [one.name for one in pair]
        for one, other in (met.running, met.running[::-1]):
            assert one.actor not in FLIPS or other.actor not in EDITORS or not one.waited_in, (names, order)
    figure(
        f"{n} of {len(CASES)} orders of {len(PAIRS)} pairs of transactions at the pointer, 0 wrong lists, {told} told"
    )


def test_a_first_rule_that_is_not_committed_when_a_batch_is_published_holds_for_that_batch(shop: Shop):
    publisher, editor = FLIPS[0], EDITORS[0]
    _, refusals = meets(shop, (publisher, editor), (1, 0, 0, 0, 1))
    assert refusals == [None, None]
