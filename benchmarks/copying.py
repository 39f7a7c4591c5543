"""Lists into Postgres: our binary COPY of Arrow columns, and the server's own COPY from a file of the same rows.

`make bench-copy`: 1, 2 and 4 of our COPYs at once into one standalone table, each of its share of the lists, in turn,
round by round: rows a second, processor time of this process and of the server's, and the checksum of what is there.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from recjobs.config import load_settings  # first: it limits BLAS to one thread

import numpy as np  # isort: skip
import psutil
import pyarrow as pa
from psycopg2 import sql

from local import ports
from local.postgres import Cluster
from recjobs.adapters.postgres import Database, Session
from recjobs.core.lists import copy_format

ROWS = 8192
"""Lists encoded at a time, as when a batch is published."""
COLUMNS = ["user_id", "item_ids", "scores"]
STREAMS = (1, 2, 4)
CHECKSUM = "select md5(string_agg(md5(l::text), '' order by user_id)) as checksum, count(*) as n from lists as l"


@contextmanager
def server(folder: Path) -> Iterator[Cluster]:
    """A Postgres of its own."""
    folder.mkdir(parents=True)
    cluster = Cluster(folder, ports.any_free())
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def loads(lists: pa.Table, cluster: Cluster) -> Iterator[tuple[Callable[[], int], Callable[[], object]]]:
    """(ours, the server's): each empties the table and fills it with a list of each user, and commits."""
    with Database(cluster.url(), "public").connect() as session:
        session.run(sql.SQL("create table lists (user_id text, item_ids text[], scores real[])"))
        path = sql.Literal(str(cluster.data / "lists.copy"))

        def ours() -> int:
            with session.transaction():
                session.run(sql.SQL("truncate lists"))
                return session.copy("lists", COLUMNS, copy_format.stream(_encoded(lists)))

        def servers() -> None:
            with session.transaction():
                session.run(sql.SQL("truncate lists"))
                session.run(sql.SQL("copy lists from {} (format binary)").format(path))

        ours()
        session.run(sql.SQL("copy lists to {} (format binary)").format(path))
        yield ours, servers


def _encoded(lists: pa.Table) -> Iterator[memoryview]:
    for batch in lists.select(COLUMNS).combine_chunks().to_batches(ROWS):
        user_ids, item_ids, scores = batch.columns
        fields = [copy_format.text(user_ids), copy_format.text_array(item_ids), copy_format.float_array(scores)]
        yield copy_format.rows(fields, batch.num_rows)


@dataclass(frozen=True)
class Load:
    """What a load by some streams took: seconds, those of this process' and the server's processors, and the hash."""

    seconds: float
    of_ours: float
    of_servers: float
    checksum: str


def main() -> None:
    """Print a row for each number of streams."""
    parser = argparse.ArgumentParser(prog="make bench-copy", description=__doc__)
    parser.add_argument("--lists", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    load_settings()
    lists = _lists(arguments.lists)
    found: dict[int, list[Load]] = {number: [] for number in STREAMS}
    with tempfile.TemporaryDirectory(prefix="bench") as folder, server(Path(folder) / "postgres") as cluster:
        database = Database(cluster.url(), "public")
        with database.connect() as session:
            session.run(
                sql.SQL(
                    "create table lists (user_id text, item_ids text[], scores real[]) with (toast_tuple_target = 8160)"
                )
            )
            for _ in range(arguments.rounds + 1):
                for number in STREAMS:
                    found[number].append(_load(database, session, lists, number))
    assert len({load.checksum for loads_of in found.values() for load in loads_of}) == 1
    print(f"{arguments.lists:,} lists of 100; median of {arguments.rounds} rounds; checksum {found[1][0].checksum}\n")
    print("| streams | lists/s | the best round | to one stream, by round | processor us a list: ours | the server's |")
    print("|---|---|---|---|---|---|")
    for number in STREAMS:
        taken, one = found[number][1:], found[1][1:]  # the first round warms up
        ratios = [b.seconds / a.seconds for a, b in zip(taken, one, strict=True)]
        cells = [
            f"{number}",
            f"{arguments.lists / statistics.median(load.seconds for load in taken):,.0f}",
            f"{arguments.lists / min(load.seconds for load in taken):,.0f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{1e6 * statistics.median(load.of_ours for load in taken) / arguments.lists:.0f}",
            f"{1e6 * statistics.median(load.of_servers for load in taken) / arguments.lists:.0f}",
        ]
        print(f"| {' | '.join(cells)} |")


def _load(database: Database, session: Session, lists: pa.Table, streams: int) -> Load:
    session.run(sql.SQL("truncate lists"))
    session.run(sql.SQL("checkpoint"))
    share = -(-lists.num_rows // streams)
    parts = [lists.slice(number * share, share) for number in range(streams)]
    with ExitStack() as stack, ThreadPoolExecutor(streams) as threads:
        sessions = [stack.enter_context(database.connect()) for _ in parts]
        servers = [psutil.Process(_backend(one)) for one in sessions]
        ours_before, servers_before = time.process_time(), _processor_seconds(servers)
        began = time.perf_counter()
        copied = [threads.submit(_copy, one, part) for one, part in zip(sessions, parts, strict=True)]
        assert sum(one.result() for one in copied) == lists.num_rows
        seconds = time.perf_counter() - began
        ours, of_servers = time.process_time() - ours_before, _processor_seconds(servers) - servers_before
    checksum, n = _row(session, CHECKSUM)
    assert n == lists.num_rows
    return Load(seconds, ours, of_servers, str(checksum))


def _copy(session: Session, part: pa.Table) -> int:
    return session.copy("lists", COLUMNS, copy_format.stream(_encoded(part)))


def _row(session: Session, statement: str) -> tuple[object, ...]:
    with session._connection.cursor() as cursor:
        cursor.execute(statement)
        return tuple(cursor.fetchone())


def _backend(session: Session) -> int:
    [pid] = _row(session, "select pg_backend_pid()")
    assert isinstance(pid, int)
    return pid


def _processor_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _lists(n: int) -> pa.Table:
    """Lists of 100 of 20,000 items, with ids of seven signs, as those of a shop."""
    rng = np.random.default_rng(7)
    ids = pa.array([f"{number:07d}" for number in rng.permutation(20_000)])
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * 100)
    scores = -np.sort(-rng.random((n, 100), np.float32), axis=1)
    return pa.table(
        {
            "user_id": [f"user{number:07d}" for number in range(n)],
            "item_ids": pa.ListArray.from_arrays(offsets, ids.take(pa.array(rng.integers(0, 20_000, n * 100)))),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores.ravel())),
        }
    )


if __name__ == "__main__":
    main()
