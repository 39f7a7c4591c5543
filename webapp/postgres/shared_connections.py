"""The connections of this process to Postgres, for all catalogs together: no more than a limit.

A request gives up at its deadline, but what it started is not thrown away: a connection that takes longer than one
request may wait is finished by the next ones. Otherwise a machine too busy to connect in 280 ms would never connect.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from webapp.postgres.connection import Connection, DeadlinePassed, first_ready

CONNECT_AGAIN_SECONDS = 0.5
UNFINISHED_SECONDS = 2.0
WAIT_SECONDS = 0.005
GIVES_UP_ANOTHER = 3
"""The reluctance of a connection that would have to give up the planned statements of another catalog."""


class CatalogPool:
    """The idle connections that were last used for one catalog, and what `webapp.lists` caches of it."""

    def __init__(self, catalog: str, shared: "SharedConnections", cache: Any) -> None:
        # list.append and list.pop are atomic, so threads need no lock; the connection used last is the warmest.
        self.idle: list[Connection] = []
        self.catalog, self.cache, self.shared = catalog, cache, shared

    def take(self, deadline: float) -> tuple[Connection, bool]:
        """Return an idle connection, or another one, and whether that is new."""
        try:
            return self.idle.pop(), False
        except IndexError:
            return self.shared.take(self, deadline)

    def give_back(self, connection: Connection, is_spare: bool = False) -> None:
        """Keep a connection for the next request.

        is_spare: if it was taken over from another catalog, it is the first to be taken over again.
        """
        if is_spare and connection.is_taken_over:
            connection.used_at = 0.0
            self.idle.insert(0, connection)
        else:
            connection.used_at, connection.is_taken_over = time.monotonic(), False
            self.idle.append(connection)


class SharedConnections:
    """Connections that are idle by catalog, those that are still connecting, and those whose answer is late.

    connect: starts a connection for a catalog. limit: the most of them. Threads share it.
    """

    def __init__(self, connect: Callable[[str], Connection], limit: int) -> None:
        self.pools: list[CatalogPool] = []
        self._connect, self._limit = connect, limit
        self._connecting = threading.Lock()
        self._opening: list[Connection] = []
        self._late: list[Connection] = []
        self._open: set[Connection] = set()

    def pool(self, catalog: str, cache: Any) -> CatalogPool:
        """A pool of one more catalog."""
        pool = CatalogPool(catalog, self, cache)
        self.pools.append(pool)
        return pool

    def take(self, pool: CatalogPool, deadline: float) -> tuple[Connection, bool]:
        """Return a connection for a catalog that has none idle, and whether it is new.

        A new backend costs Postgres a hundred times what a request does. When eight requests find nothing idle, one
        connects, and the others mostly get a connection that is given back meanwhile. An idle connection of another
        catalog gets another search path instead, if it still has this catalog's statements planned or room for them,
        and at the limit in any case. The one that was used last comes first: a lookup takes a backend that has just
        run a fourth of what it takes one whose memory is in no processor's cache.
        """
        while True:
            if (connection := self._idle(pool)) is not None:
                try:
                    connection.use(pool.catalog, deadline)
                    return connection, False
                except psycopg2.Error:
                    self.close(connection)  # it died while it was idle
                except BaseException:
                    self.close(connection)
                    raise
            elif self._is_full():
                time.sleep(WAIT_SECONDS)
            elif self._connecting.acquire(timeout=WAIT_SECONDS):
                try:
                    if not (pool.idle or self._is_full()):
                        connection = self._new(pool.catalog, deadline)
                        connection.use(pool.catalog, deadline)
                        return connection, True
                finally:
                    self._connecting.release()
            if time.monotonic() > deadline:
                raise DeadlinePassed

    def abandon(self, connection: Connection) -> None:
        """Stop waiting for a connection's answer: keep the connection until the answer arrives, or close it."""
        if connection.reusable:
            connection.started_at = time.monotonic()
            self._late.append(connection)
        else:
            self.close(connection)

    def close(self, connection: Connection) -> None:
        """Close a connection, so that there may be another one."""
        self._open.discard(connection)
        connection.close()

    def _is_full(self) -> bool:
        return len(self._open) >= self._limit and not self._opening

    def _idle(self, pool: CatalogPool) -> Connection | None:
        try:
            return pool.idle.pop()
        except IndexError:
            pass
        if (connection := self._answered_late()) is not None:
            return connection
        idle = [(connection, one) for one in self.pools for connection in tuple(one.idle)]
        idle.sort(key=lambda each: _reluctance(each[0], pool.catalog))
        if idle and _reluctance(idle[0][0], pool.catalog)[0] == GIVES_UP_ANOTHER and not self._is_full():
            return None
        for connection, one in idle:
            with contextlib.suppress(ValueError):  # another thread has taken it
                one.idle.remove(connection)
                return connection
        return None

    def _answered_late(self) -> Connection | None:
        """Return a connection whose late answer has arrived: a new one would cost more."""
        for _ in range(len(self._late)):
            try:
                connection = self._late.pop(0)
            except IndexError:
                return None
            try:
                if not connection.awaited_event():
                    return connection
            except psycopg2.Error:
                self.close(connection)
                continue
            if time.monotonic() - connection.started_at > UNFINISHED_SECONDS:
                self.close(connection)
            else:
                self._late.append(connection)
        return None

    def _new(self, catalog: str, deadline: float) -> Connection:
        while True:
            opening = self._started(catalog)
            try:
                connection = first_ready(opening, min(deadline, time.monotonic() + CONNECT_AGAIN_SECONDS))
            except DeadlinePassed:
                if time.monotonic() >= deadline:
                    raise
            except psycopg2.Error:
                for one in opening:
                    self.close(one)
                opening.clear()
                raise
            else:
                opening.remove(connection)
                return connection

    def _started(self, catalog: str) -> list[Connection]:
        """Return the connections that are connecting, at least one.

        A slow one gets a second one beside it: the server may never answer the first.
        """
        now = time.monotonic()
        for old in [one for one in self._opening if now - one.started_at > UNFINISHED_SECONDS]:
            self._opening.remove(old)
            self.close(old)
        if not self._opening or (
            now - self._opening[-1].started_at > CONNECT_AGAIN_SECONDS and len(self._open) < self._limit
        ):
            connection = self._connect(catalog)
            self._open.add(connection)
            self._opening.append(connection)
        return self._opening


def _reluctance(connection: Connection, catalog: str) -> tuple[int, float]:
    """The lower, the sooner a connection of another catalog is taken over. A spare one has not been used at all."""
    used_at = connection.used_at
    if connection.has_planned(catalog):
        return 0, -used_at
    if used_at == 0:
        return 1, 0.0
    return (2, -used_at) if connection.has_room() else (GIVES_UP_ANOTHER, used_at)
