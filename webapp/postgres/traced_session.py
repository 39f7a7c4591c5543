"""A session whose statements are spans; the connection pool opens it in place of `ReadSession` where traces are on."""

from collections.abc import Callable

from webapp.api import tracing
from webapp.postgres.connection import Connection, Row
from webapp.postgres.read_session import ReadSession


class TracedSession(ReadSession):
    """A `ReadSession` with a span for each statement."""

    def _answered(self, name: str, ask: Callable[[Connection], list[Row]]) -> list[Row]:
        with tracing.statement(name, self._pool.catalog):
            return super()._answered(name, ask)
