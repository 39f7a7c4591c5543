"""Counts of requests and of served lists, by thread: counting takes no lock, and reading them adds the threads up.

No label has a user's, an item's or a client's id. Requests to unknown addresses are all of the route `other`.
"""

import re
import time
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, current_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0)
"""Upper bounds of the buckets of durations, in seconds; 0.3 is what an API request is promised to stay below."""
SUM = len(BOUNDS) + 1
"""Where a list of durations has their sum, behind the counts of the buckets."""
UNTIMED = ("health", "static", "docs", "info", "catalogs", "batches", "categories", "segments", "other")
"""Routes without a histogram: probes, files, what says what there is, and what finds nothing."""

PLAIN_ROUTES = {"/v1": "catalogs", "/info": "info", "/healthz": "health", "/readyz": "health",
                "/openapi.json": "docs", "/docs": "docs"}  # fmt: skip
PATH = "/metrics"
"""Requests for the numbers themselves are not counted."""

Durations = list[float]
"""The counts of the buckets of `BOUNDS` and of what is longer, then the sum in seconds."""
Key = tuple[str, str, str | None, str | None]
"""Route and status line; catalog and source of the list that was served, if one was."""


class Totals(NamedTuple):
    """What was counted since the process began.

    requests: by route and status; durations: by route; lists: by catalog and source.
    """

    requests: dict[tuple[str, int], int]
    durations: dict[str, Durations]
    lists: dict[tuple[str, str], int]


@lru_cache(maxsize=1000)
def route_of(rule: str | None) -> str:
    """The label `route` of one of Flask's rules, as the proxy's log names it (docker/nginx.conf); None: of no rule."""
    if rule is None:
        return "other"
    if of_catalog := re.fullmatch(r"/v1/<catalog>/(?:users/<user_id>/|items/<item_id>/)?([a-z:]+)(?:/.*)?", rule):
        return of_catalog[1]
    return PLAIN_ROUTES.get(rule) or ("static" if rule.startswith("/static/") else "page")


class Counters:
    """Counts requests and lists. Threads share it.

    The numbers of a thread are found by its identity, which the system gives to another thread once it has ended: that
    one goes on with them.
    """

    def __init__(self) -> None:
        self._threads: dict[int, dict[Key, Durations]] = {}
        self._lists: dict[int, dict[tuple[str, str], int]] = {}

    def request(
        self, route: str, status: str, seconds: float, catalog: str | None = None, source: str | None = None
    ) -> None:
        """Count an answered request. status: its line; catalog, source: of the one user's list that it got."""
        of_thread = self._threads.get(get_ident())
        if of_thread is None:
            of_thread = self._threads[get_ident()] = {}
        key = (route, status, catalog, source)
        durations = of_thread.get(key)
        if durations is None:
            durations = of_thread[key] = [0] * (SUM + 1)
        durations[bisect_left(BOUNDS, seconds)] += 1
        durations[SUM] += seconds

    def served(self, catalog: str, source: str) -> None:
        """Count a user's list that `request` is not told of."""
        lists = self._lists.setdefault(get_ident(), {})
        lists[catalog, source] = lists.get((catalog, source), 0) + 1

    def totals(self) -> Totals:
        """The sums over all threads."""
        totals = Totals({}, {}, {})
        # A copy of a dictionary or list is made in one go: its thread adds nothing meanwhile.
        for of_thread in self._threads.copy().values():
            for (route, status, catalog, source), durations in of_thread.copy().items():
                durations = durations.copy()
                n = int(sum(durations[:SUM]))
                _add(totals.requests, (route, int(status[:3])), n)
                if catalog and source:
                    _add(totals.lists, (catalog, source), n)
                if route not in UNTIMED:
                    so_far = totals.durations.get(route, [0] * (SUM + 1))
                    totals.durations[route] = [a + b for a, b in zip(so_far, durations, strict=True)]
        for lists in self._lists.copy().values():
            for key, n in lists.copy().items():
                _add(totals.lists, key, n)
        return totals


class NoCounters(Counters):
    """Counts nothing (WEBAPP_METRICS=false)."""

    def request(
        self, route: str, status: str, seconds: float, catalog: str | None = None, source: str | None = None
    ) -> None:
        """Count nothing."""

    def served(self, catalog: str, source: str) -> None:
        """Count nothing."""


def install(app: Flask, counts: bool) -> Counters:
    """Count each request that Flask answers, if they are to be counted."""
    known: Counters = Counters() if counts else NoCounters()
    app.extensions["counters"] = known
    inner: WSGIApplication = app.wsgi_app

    def counted(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            rule = environ["werkzeug.request"].url_rule
            if rule is None or rule.rule != PATH:
                known.request(route_of(rule and rule.rule), status, time.perf_counter() - started)
            return start_response(status, headers, *more)

        return inner(environ, start)

    if counts:
        app.wsgi_app = counted  # type: ignore[method-assign]
    return known


def counters() -> Counters:
    """The counters of the running app."""
    known: Counters = current_app.extensions["counters"]
    return known


def _add(sums: dict[Any, int], key: object, n: int) -> None:
    sums[key] = sums.get(key, 0) + n
