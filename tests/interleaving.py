"""Transactions of two sessions, their steps run in a given order: a session that has to wait is seen to wait, by what
Postgres says of it, and the other goes on."""

import contextlib
import itertools
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg2

PATIENCE_SECONDS = 60.0
"""For a busy machine: how long a statement may neither end nor wait for another session."""
WAITS = "select cardinality(pg_blocking_pids(%s)) > 0"


@dataclass(frozen=True)
class Actor:
    """What one session does: its steps, each some statements.

    It rolls back and stops at a statement that fails, and at a step of `needs_a_row` that returns none. before: what an
    administrator does first.
    """

    name: str
    role: str
    steps: tuple[tuple[str, ...], ...]
    before: tuple[str, ...] = ()
    needs_a_row: frozenset[int] = frozenset()


@dataclass
class Running:
    """An actor under way on a connection of its own; waited_in: the steps that waited for a lock."""

    actor: Actor
    connection: Any
    place: int = 0
    statements: list[str] = field(default_factory=list)
    refusal: str | None = None
    waits: bool = False
    waited_in: set[int] = field(default_factory=set)

    @property
    def busy(self) -> bool:
        """Whether a statement is under way."""
        return bool(self.statements)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not self.busy and self.place == len(self.actor.steps)

    def begin_step(self) -> None:
        """Start the next step, and do not wait for it."""
        self.statements = list(self.actor.steps[self.place])
        self.place += 1
        self._send()

    def look(self) -> None:
        """Take note of a statement that has ended, and start the one after it."""
        while self.statements:
            try:
                if self.connection.poll() != psycopg2.extensions.POLL_OK:
                    return
            except psycopg2.Error as error:
                self._stop(error.pgcode or type(error).__name__)
                continue
            self.statements.pop(0)
            self.waits = False
            if not self.statements and self.place - 1 in self.actor.needs_a_row and not self._has_a_row():
                self._stop("no row")
            elif self.statements:
                self._send()

    def _has_a_row(self) -> bool:
        return self.refusal is not None or bool(self._cursor.description and self._cursor.fetchall())

    def _stop(self, why: str) -> None:
        self.place = len(self.actor.steps)
        first, self.refusal = self.refusal is None, self.refusal or why
        self.statements = ["rollback"] if first and not self.connection.closed else []
        if self.statements:
            self._send()

    def _send(self) -> None:
        self._cursor = self.connection.cursor()
        self._cursor.execute(self.statements[0])


def orders(first: int, second: int) -> Iterator[tuple[int, ...]]:
    """Every order of the steps of two actors: which of them (0, 1) goes on, one after another."""
    for places in itertools.combinations(range(first + second), first):
        yield tuple(0 if k in places else 1 for k in range(first + second))


class Interleaving:
    """Some actors on one database. connect(role, asynchronous) makes a connection; observer: one in autocommit mode."""

    def __init__(self, actors: tuple[Actor, ...], connect: Callable[[str, bool], Any], observer: Any) -> None:
        self._observer = observer
        self._stack = contextlib.ExitStack()
        self.running: list[Running] = []
        for actor in actors:
            with observer.cursor() as cursor:
                for statement in actor.before:
                    cursor.execute(statement)
        for actor in actors:
            connection = self._stack.enter_context(contextlib.closing(connect(actor.role, True)))
            while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
                writes = [connection] if state == psycopg2.extensions.POLL_WRITE else []
                select.select([] if writes else [connection], writes, [], 1)
            self.running.append(Running(actor, connection))

    def run(self, order: tuple[int, ...], after_each: Callable[[], None]) -> list[str | None]:
        """Let the actors go on in this order, as far as none of them waits; then whoever can.

        after_each: called whenever all have ended their step or wait. Returns why each was refused, None if it was not.
        """
        with self._stack:
            for number in order:
                self._step(self.running[number], after_each)
            while not all(one.over for one in self.running):
                for one in self.running:
                    self._step(one, after_each)
                if any(one.waits for one in self.running) and all(one.waits or one.over for one in self.running):
                    self._settle(until_one_goes_on=True)
                    after_each()
            return [one.refusal for one in self.running]

    def _step(self, one: Running, after_each: Callable[[], None]) -> None:
        if one.busy or one.over:
            return
        one.begin_step()
        self._settle()
        after_each()

    def _settle(self, until_one_goes_on: bool = False) -> None:
        """Wait until every session has ended its step or waits for another one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        before = [one for one in self.running if one.waits]
        settled = 0
        while settled < 2:  # seen twice, since what one has waited for may have ended while it was looked at
            for one in self.running:
                one.look()
                one.waits = one.busy and self._waits(one)
                one.look()
            goes_on = not until_one_goes_on or any(not one.waits for one in before)
            settled = settled + 1 if goes_on and all(one.waits or not one.busy for one in self.running) else 0
            assert time.monotonic() < deadline, [(one.actor.name, one.statements) for one in self.running]
            if busy := [one.connection for one in self.running if one.busy]:
                select.select(busy, [], [], 0.002)
        for one in self.running:
            if one.waits:
                one.waited_in.add(one.place - 1)

    def _waits(self, one: Running) -> bool:
        with self._observer.cursor() as cursor:
            cursor.execute(WAITS, (one.connection.info.backend_pid,))
            return bool(cursor.fetchone()[0])
