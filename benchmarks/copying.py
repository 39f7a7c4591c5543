"""Lists into Postgres: our binary COPY of Arrow columns, and the server's own COPY from a file of the same rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from psycopg2 import sql

from local import ports
from local.postgres import Cluster
from recjobs.adapters.postgres import Database
from recjobs.core.lists import copy_format

ROWS = 8192
"""Lists encoded at a time, as when a batch is published."""
COLUMNS = ["user_id", "item_ids", "scores"]


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
