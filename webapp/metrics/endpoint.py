"""`GET /metrics`, for a Prometheus that reaches each replica by itself; docker/nginx.conf does not pass it on."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from flask import Blueprint, Flask, Response, current_app

from webapp.api.operations import Operation
from webapp.api.release import version
from webapp.metrics import counters, prometheus, statsd
from webapp.metrics.prometheus import Published
from webapp.settings import Settings

blueprint = Blueprint("metrics", __name__)

FRESH_SECONDS = 5.0
"""How old the publish instants may be that are shown: several may ask, StatsD's thread among them."""

ReadLive = Callable[[], Published]


class LiveLists:
    """When the live lists of each catalog were published and how old they may become, as last read.

    read: reads them; while it fails, the last ones count, so that lists that grow old are seen to do so.
    """

    def __init__(self, read: ReadLive) -> None:
        self._read = read
        self._live: Published = {}
        self._read_at = float("-inf")
        self._reading = threading.Lock()

    def __call__(self) -> Published:
        """Read them, unless they are fresh or another thread is reading."""
        if time.monotonic() - self._read_at > FRESH_SECONDS and self._reading.acquire(blocking=False):
            try:
                with suppress(Exception):  # Postgres is away
                    self._live = self._read()
            finally:
                self._read_at = time.monotonic()
                self._reading.release()
        return self._live


@blueprint.get(counters.PATH)
@Operation("The numbers of this process, for Prometheus", media="text/plain", errors=(400,))
def metrics() -> Response:
    """What was counted since the process began, and when the live lists were published."""
    totals, published = current_app.extensions["counters"].totals(), current_app.extensions["published"]()
    page = prometheus.text(totals, published, version(), current_app.extensions["commit"])
    return Response(page, content_type=prometheus.CONTENT_TYPE)


def install(app: Flask, settings: Settings, read_live: ReadLive) -> None:
    """Answer `/metrics` and, where STATSD_HOST is set, begin to send."""
    if not settings.metrics:
        return
    published = app.extensions["published"] = LiveLists(read_live)
    app.register_blueprint(blueprint)
    if settings.statsd_host:
        totals = app.extensions["counters"].totals
        statsd.Sender(settings.statsd_host, settings.statsd_port, totals, published).start()
