"""Readers that never stop, and a watch on what they might have to wait for."""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from tests.worlds import World


@dataclass
class Reader(threading.Thread):
    """Reads until told to stop, on one connection that another statement may come first on, and keeps what it saw."""

    world: World
    statement: str
    stop: threading.Event
    first: str | None = None
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        connection = self.world.postgres.connect("recjobs_reader", self.world.name)
        try:
            with contextlib.closing(connection), connection.cursor() as cursor:
                if self.first:
                    cursor.execute(self.first)
                while not self.stop.is_set():
                    cursor.execute(self.statement)
                    self.seen.append(tuple(cursor.fetchall()))
        except psycopg2.Error as error:
            self.failure = error

    __hash__ = threading.Thread.__hash__


ALL_LISTS = "select batch_id, count(*), md5(string_agg(user_id || item_ids::text || scores::text, '' order by user_id))"
READS = {
    "every list": f"{ALL_LISTS} from served_lists group by batch_id",
    "one user": "select distinct batch_id from recommendations where user_id = 'u07'",
    "the function": "select distinct batch_id from recommend('u07', 10)",
    "an unknown user": "select distinct batch_id from recommend('who', 10)",
    "similar and popular": "select distinct batch_id from popular_items union select distinct batch_id from items",
    "which is live": "select batch_id from batches where is_live",
}


LOCKED = """
select l.pid, l.relation::regclass::text as name
from pg_locks as l
join pg_stat_activity as a on a.pid = l.pid and a.backend_xid is not null
where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
    and l.database = (select oid from pg_database where datname = current_database())
"""
READ = """
select c.oid::regclass::text as name
from pg_class as c
left join pg_inherits as i on i.inhrelid = c.oid and not i.inhdetachpending
where c.relnamespace = current_schema()::regnamespace and (c.relkind = 'p' or i.inhrelid is not null)
"""


class LockWatch(threading.Thread):
    """Looks, as often as it can, for locks that would make a reader wait: on a list table or what is attached to it.

    A table counts only if it was attached before and after the look. Attaching one locks it first, and letting one go
    locks it last, when no reader knows it. A transaction that has just committed is seen before its locks are gone: it
    has no id any more, and its locks do not count.
    """

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world, self._told = world, threading.Event()
        self.looks = 0
        self.found: set[str] = set()

    def run(self) -> None:
        connection = self._world.postgres.connect("admin", self._world.name)
        with contextlib.closing(connection), connection.cursor() as cursor:

            def names(statement: str) -> set[str]:
                cursor.execute(statement)
                return {row[-1] for row in cursor.fetchall()}

            before = names(READ)
            while not self._told.is_set():
                locked = names(LOCKED)
                after = names(READ)
                self.found |= locked & before & after
                before = after
                self.looks += 1

    def stop(self) -> set[str]:
        """The tables that were locked."""
        time.sleep(0.05)
        self._told.set()
        self.join()
        return self.found
