"""What an application server loads: `granian --interface wsgi webapp.wsgi:app`, or `python -m webapp`."""

import ctypes
import logging
import logging.config
import multiprocessing
import os
import signal
import sys
import threading
import time

from webapp import create_app
from webapp.access.connection_limit import ConnectionLimit
from webapp.api import logs
from webapp.postgres.connection_pool import ConnectionPool
from webapp.settings import Settings

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.5


def end_with_parent(parent: int) -> None:
    """Let SIGKILL end this process as soon as its parent has ended, whatever ended that.

    An orphan would go on to answer, with the settings of another time. Linux sends the signal itself; elsewhere this
    process looks twice a second, as it does on Linux in case that call is not allowed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, name="parent", daemon=True).start()


# Of the workers that `python -m webapp` starts, not of another application server's.
if (main := multiprocessing.parent_process()) is not None and main.pid is not None:
    end_with_parent(main.pid)

logging.basicConfig(level=logging.INFO, format="%(message)s")

settings = Settings.load()
logs.hide(settings.secrets)
app = create_app(settings)

if settings.log == "json":
    logging.config.dictConfig(logs.as_json(settings.secrets))

pool: ConnectionPool = app.extensions["connection_pool"]
pool.warm()

if settings.connections_per_address or not settings.proxies:
    ConnectionLimit(settings.port, settings.connections_per_address or settings.connections // 2).watch()
