"""The connections of this process to one catalog.

A request gives up at its deadline, but what it started is not thrown away: a connection that takes longer than one
request may wait is finished by the next ones. Otherwise a machine too busy to connect in 280 ms would never connect.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from webapp.postgres.connection import Connection, DeadlinePassed, first_ready

CONNECT_AGAIN_SECONDS = 0.5
UNFINISHED_SECONDS = 2.0


class CatalogPool:
    """Idle connections, those that are still connecting, and those whose answer is late. Threads share it.

    connect: starts a connection. connecting: one lock for all catalogs. cache: `webapp.lists` keeps it for the catalog.
    """

    def __init__(self, connect: Callable[[], Connection], connecting: threading.Lock, cache: Any) -> None:
        # list.append and list.pop are atomic, so threads need no lock; the connection used last is the warmest.
        self.idle: list[Connection] = []
        self.cache = cache
        self._connect = connect
        self._connecting = connecting
        self._opening: list[Connection] = []
        self._late: list[Connection] = []

    def take(self, deadline: float) -> tuple[Connection, bool]:
        """Return an idle connection or, one request at a time, a new one (then True).

        A new backend costs Postgres a hundred times what a request does. When eight requests find nothing idle, one
        connects, and the others mostly get a connection that is given back meanwhile.
        """
        while True:
            try:
                return self.idle.pop(), False
            except IndexError:
                pass
            if (connection := self._answered_late()) is not None:
                return connection, False
            if self._connecting.acquire(timeout=0.005):
                try:
                    if not self.idle:
                        return self._new(deadline), True
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
            connection.close()

    def _answered_late(self) -> Connection | None:
        """Return a connection whose late answer has arrived: a new one would cost more."""
        for _ in range(len(self._late)):
            try:
                connection = self._late.pop(0)
                if not connection.awaited_event():
                    return connection
            except IndexError:
                return None
            except psycopg2.Error:
                continue
            if time.monotonic() - connection.started_at > UNFINISHED_SECONDS:
                connection.close()
            else:
                self._late.append(connection)
        return None

    def _new(self, deadline: float) -> Connection:
        while True:
            opening = self._started()
            try:
                connection = first_ready(opening, min(deadline, time.monotonic() + CONNECT_AGAIN_SECONDS))
            except DeadlinePassed:
                if time.monotonic() >= deadline:
                    raise
            except psycopg2.Error:
                opening.clear()
                raise
            else:
                opening.remove(connection)
                return connection

    def _started(self) -> list[Connection]:
        """Return the connections that are connecting, at least one.

        A slow one gets a second one beside it: the server may never answer the first.
        """
        now = time.monotonic()
        for old in [one for one in self._opening if now - one.started_at > UNFINISHED_SECONDS]:
            self._opening.remove(old)
            old.close()
        if not self._opening or now - self._opening[-1].started_at > CONNECT_AGAIN_SECONDS:
            self._opening.append(self._connect())
        return self._opening
